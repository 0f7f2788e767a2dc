"""From an image of any size to the pixels a model looks at. The same rules ship inside every model file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.errors import VecaError, shown
from veca_edge.image.scaling import averaged, interpolated
from veca_edge.numbers import finite, whole

FITS = ("crop", "pad", "stretch", "keep")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_IMAGE_SIZE = 4096
MAX_ASPECT = 8.0

Box = tuple[int, int, int, int]


class Fitted(NamedTuple):
    """An image cut to the model's size, and where it came from.

    Attributes:
        image: (H', W', 3) uint8 RGB, contiguous; H' and W' are multiples of the patch size.
        crop: (x, y, width, height) in pixels of the given image: the region that `image` shows. With
            `fit="pad"` it is the padded square, so x or y may be negative and it may reach past the image.
    """

    image: Image
    crop: Box


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a model's input.

    Attributes:
        image_size: pixels; the side of the square, or with `fit="keep"` the short side. 1 … 4096.
        fit: "crop" (the centred square), "pad" (the whole image, letterboxed with the mean colour),
            "stretch" (the whole image as a square) or "keep" (the whole image, its aspect ratio kept).
        mean: per channel (RGB), of pixels in 0 … 1.
        std: per channel (RGB), of pixels in 0 … 1; above 0.
    """

    image_size: int = 256
    fit: str = "crop"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        _check_size(self.image_size)
        if not isinstance(self.fit, str) or self.fit not in FITS:
            raise VecaError(f"preprocessing: fit is {shown(self.fit)}, expected one of {', '.join(FITS)}")
        object.__setattr__(self, "mean", _triple("mean", self.mean))
        object.__setattr__(self, "std", _triple("std", self.std))
        if not all(0 <= value <= 1 for value in self.mean):
            raise VecaError(f"preprocessing: mean is {self.mean}, expected values from 0 to 1")
        if not all(value > 0 for value in self.std):
            raise VecaError(f"preprocessing: std is {self.std}, expected values above 0")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Read what `to_dict` wrote; missing names take their defaults.

        Raises:
            VecaError: `values` is no mapping, has an unknown name, or a value out of range.
        """
        if not isinstance(values, Mapping):
            raise VecaError(f"preprocessing: expected a table of settings, got {type(values).__name__}")
        unknown = [name for name in values if name not in cls.__dataclass_fields__]
        if unknown:
            raise VecaError(f"preprocessing: unknown setting {shown(unknown[0])}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "image_size": self.image_size,
            "fit": self.fit,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def resize(self, image: Image, patch_size: int, image_size: int | None = None) -> Fitted:
        """Fit an image to the model's input.

        Args:
            image: (H, W, 3) uint8 RGB, any size.
            patch_size: pixels; the sides of the result are multiples of it.
            image_size: pixels, in place of `self.image_size`; a multiple of `patch_size`.

        Raises:
            VecaError: `image` has another shape or dtype or is empty, the size does not fit the patches, or
                with `fit="keep"` the image is more than 8 times as long as it is wide.
        """
        check_image(image)
        size = check_image_size(self.image_size if image_size is None else image_size, patch_size)
        height, width = image.shape[:2]
        if self.fit == "crop":
            x, y, side, _ = crop = centre_square(width, height)
            # Cropping first: the resize then never reads the pixels that would be thrown away.
            return Fitted(_scale(image[y : y + side, x : x + side], size, size), crop)
        if self.fit == "pad":
            return self._letterbox(image, size)
        whole = (0, 0, width, height)
        if self.fit == "stretch":
            return Fitted(_scale(image, size, size), whole)
        return Fitted(_scale(image, *kept_size(width, height, size, patch_size)), whole)

    def squares(self, width: int, height: int, patch_size: int, image_size: int) -> float:
        """How many times the patches of a square of `image_size` pixels an image of this size has once it fits.

        Args:
            width, height: of the image, pixels.
            patch_size: pixels.
            image_size: pixels, a multiple of `patch_size`.

        Raises:
            VecaError: the image is too long for `fit="keep"`, the only fit that does not make squares.
        """
        if self.fit != "keep":
            return 1.0
        return max(kept_size(width, height, image_size, patch_size)) / image_size

    def _letterbox(self, image: Image, size: int) -> Fitted:
        """The whole image centred on a (size, size) square of the mean colour."""
        height, width = image.shape[:2]
        side = max(height, width)
        inner_w = max(1, round(width * size / side))
        inner_h = max(1, round(height * size / side))
        left, top = (size - inner_w) // 2, (size - inner_h) // 2
        canvas = np.empty((size, size, 3), np.uint8)
        canvas[:] = np.rint(np.asarray(self.mean) * 255)
        canvas[top : top + inner_h, left : left + inner_w] = _scale(image, inner_w, inner_h)
        return Fitted(canvas, (-round(left * side / size), -round(top * side / size), side, side))


def halved(image: Image) -> Image:
    """An image of even sides at half the size: every block of 2 x 2 pixels becomes its average."""
    return averaged(image, 2, 2)


def check_image(image: Image) -> None:
    """Raise a VecaError, with a remedy, unless `image` is a non-empty (H, W, 3) uint8 array."""
    if not isinstance(image, np.ndarray):
        raise VecaError(
            f"expected an image as a numpy array, got {type(image).__name__}: numpy.asarray(image) converts most "
            "images, veca_edge.open_source(path) reads files"
        )
    if image.dtype != np.uint8:
        remedy = '(image * 255).astype("uint8") if they are 0 … 1' if image.dtype.kind == "f" else "scale them"
        raise VecaError(f"expected 8 bits per channel (uint8, 0 … 255), got {image.dtype} values: {remedy}")
    if image.ndim != 3 or image.shape[2] != 3:
        raise VecaError(f"expected an RGB image of shape (height, width, 3), got {image.shape}{_shape_hint(image)}")
    if image.size == 0:
        raise VecaError(f"the image is empty: shape {image.shape}")


def check_many_images(frames: object, one: str, wanted: str = "something that yields images") -> None:
    """Raise a VecaError unless `frames` can yield images.

    Args:
        one: the call that takes a single image.
        wanted: what could have been given.
    """
    if isinstance(frames, np.ndarray) and frames.ndim == 3:
        raise VecaError(f"this is one image, and many are wanted: call {one}, or give [image]")
    if not isinstance(frames, Iterable) or isinstance(frames, (str, bytes, bytearray, dict)):
        raise VecaError(f"cannot take frames from a {type(frames).__name__}: give {wanted}")


def _shape_hint(image: NDArray[Any]) -> str:
    """What turns an array of this shape into an image; "" if nothing obvious does."""
    shape = image.shape
    if len(shape) == 4:
        return ": give one image of the batch at a time, image[0]"
    if len(shape) == 2:
        return ": for a grey image numpy.stack([image] * 3, axis=-1)"
    if len(shape) == 3 and shape[2] == 4:
        return ": leave the transparency out, image[..., :3]"
    if len(shape) == 3 and shape[0] == 3:
        return ": channels go last, image.transpose(1, 2, 0)"
    return ""


def check_image_size(size: int, patch_size: int) -> int:
    """`size` in pixels, or a VecaError unless it is possible and made of whole patches."""
    size = _check_size(size)
    check_whole_patches(size, patch_size)
    return size


def check_whole_patches(size: int, patch_size: int) -> None:
    """Raise a VecaError unless an image of `size` pixels is made of whole patches."""
    if size % patch_size:
        near = max(1, round(size / patch_size)) * patch_size
        raise VecaError(
            f"image size {size} is not a multiple of the patch size {patch_size}: use {near}, for example"
        )


def centre_square(width: int, height: int) -> Box:
    """(x, y, side, side) of the largest centred square, in pixels."""
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def kept_size(width: int, height: int, short: int, patch_size: int) -> tuple[int, int]:
    """(width, height) in pixels with the short side `short` and the long side to the nearest patch."""
    aspect = max(width, height) / min(width, height)
    if aspect > MAX_ASPECT:
        raise VecaError(
            f"the image is {width}x{height}: too long for fit 'keep', which takes up to {MAX_ASPECT:g} to 1"
        )
    long = max(short, round(short * aspect / patch_size) * patch_size)
    return (long, short) if width >= height else (short, long)


def _scale(image: Image, width: int, height: int) -> Image:
    """Resize to (height, width, 3): average whole blocks of pixels down to less than twice the size, then
    interpolate linearly.

    A true average over areas costs six times as much as both for the difference of a grey level or two. Linear
    rather than cubic: it never overshoots, and the image libraries of phones compute the same thing.
    """
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    tall, wide = image.shape[0] // height, image.shape[1] // width
    if max(tall, wide) > 1:
        tall, wide = max(1, tall), max(1, wide)
        rows, columns = image.shape[0] // tall, image.shape[1] // wide
        # The few pixels that fill no block are left out evenly at both sides.
        top, left = image.shape[0] % tall // 2, image.shape[1] % wide // 2
        image = averaged(image[top : top + rows * tall, left : left + columns * wide], tall, wide)
    return image if image.shape[:2] == (height, width) else interpolated(image, width, height)


def _check_size(size: int) -> int:
    number = whole(size, 1, MAX_IMAGE_SIZE)
    if number is None:
        raise VecaError(f"image size {shown(size)}: use a whole number of pixels, 1 to {MAX_IMAGE_SIZE}")
    return number


def _triple(name: str, values: Any) -> tuple[float, float, float]:
    """Three finite floats, or a VecaError."""
    found = [finite(value) for value in values] if isinstance(values, (list, tuple)) else []
    if len(found) != 3 or None in found:
        raise VecaError(f"preprocessing: {name} must hold three finite numbers, got {shown(values)}")
    first, second, third = (float(value or 0) for value in found)
    return first, second, third
