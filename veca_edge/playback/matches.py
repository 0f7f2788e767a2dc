"""A picture of matches: two images side by side, a line from each place to the one that looks like it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float, Image
from veca_edge.playback.drawing import oklch_to_rgb

HEIGHT = 480  # pixels of both images
GAP = 12
PAPER = 18  # grey level between them
_SHIFT = 4  # OpenCV takes coordinates in sixteenths of a pixel


def draw_matches(first: Image, second: Image, starts: Float, ends: Float) -> Image:
    """Draw matches.

    Args:
        first, second: uint8 (H, W, 3), RGB, of any sizes.
        starts: (n, 2), x and y in pixels of the first.
        ends: (n, 2), in pixels of the second.

    Returns:
        uint8 (480, W', 3), RGB.
    """
    import cv2

    left, right = _resized(first), _resized(second)
    canvas = np.full((HEIGHT, left.shape[1] + GAP + right.shape[1], 3), PAPER, np.uint8)
    canvas[:, : left.shape[1]] = left
    canvas[:, left.shape[1] + GAP :] = right
    begin = starts * (HEIGHT / first.shape[0])
    finish = ends * (HEIGHT / second.shape[0]) + (left.shape[1] + GAP, 0)
    for start, end, colour in zip(_fixed(begin), _fixed(finish), _colours(begin, left.shape[1]), strict=True):
        cv2.line(canvas, start, end, colour, 1, cv2.LINE_AA, _SHIFT)
        for point in (start, end):
            cv2.circle(canvas, point, 4 << _SHIFT, (0, 0, 0), -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(canvas, point, 3 << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
    return canvas


def _resized(image: Image) -> Image:
    import cv2

    width = max(1, round(image.shape[1] * HEIGHT / image.shape[0]))
    method = cv2.INTER_AREA if image.shape[0] > HEIGHT else cv2.INTER_CUBIC
    resized: Image = cv2.resize(image, (width, HEIGHT), interpolation=method)
    return resized


def _fixed(points: NDArray[np.floating]) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in np.rint(points * (1 << _SHIFT))]


def _colours(points: Float, width: int) -> list[tuple[int, int, int]]:
    """A colour per place: hue from left to right, lightness from top to bottom."""
    hue = np.asarray(points[:, 0] / width * 5.2, np.float32)
    light = np.asarray(0.85 - 0.2 * points[:, 1] / HEIGHT, np.float32)
    return [(int(r), int(g), int(b)) for r, g, b in oklch_to_rgb(light, np.full_like(hue, 0.15), hue)]
