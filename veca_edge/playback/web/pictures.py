"""Pictures as files for a browser, each encoded once however many ask for it."""

from __future__ import annotations

from veca_edge.arrays import Image
from veca_edge.image.opencv import quiet_opencv
from veca_edge.playback.web.board import Picture
from veca_edge.playback.writers import encode_png

SIZES = (320, 480, 800, 1280)  # pixels of the longer side that a viewer can choose among
QUALITY = 80
WHOLE = 0  # stands for: as it is, without loss


class Encoder:
    """Encodes the newest picture in the sizes that are asked for. For one thread at a time."""

    def __init__(self) -> None:
        quiet_opencv()
        self._number = -1
        self._made: dict[int, bytes] = {}

    def encode(self, picture: Picture, size: int) -> bytes:
        """A JPEG at most `size` pixels long, one of SIZES; or, for WHOLE, a PNG of all of it."""
        if picture.number != self._number:
            self._number, self._made = picture.number, {}
        # A picture that is small anyway is the same for several sizes.
        longest = max(picture.image.shape[:2])
        size = next((known for known in SIZES if known >= min(size, longest)), SIZES[-1]) if size else WHOLE
        if size not in self._made:
            self._made[size] = encode_png(picture.image) if size == WHOLE else jpeg(picture.image, size)
        return self._made[size]


def jpeg(image: Image, size: int) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG whose longer side has at most `size` pixels."""
    import cv2

    scale = size / max(image.shape[:2])
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return bytes(data.tobytes())
