"""Shapes with soft edges, drawn in place on (H, W, 3) uint8 images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float, Image
from veca_edge.playback.text import Colour

Box = tuple[int, int, int, int]
_SHIFT = 4  # OpenCV takes coordinates in sixteenths of a pixel
_FROST = 8  # how much a panel's background is shrunk to blur it


def clip_box(box: Box, width: int, height: int) -> Box:
    """The part of (x, y, width, height) inside an image; width or height may come out as 0."""
    x0, y0 = min(max(box[0], 0), width), min(max(box[1], 0), height)
    x1, y1 = min(max(box[0] + box[2], x0), width), min(max(box[1] + box[3], y0), height)
    return x0, y0, x1 - x0, y1 - y0


def rounded_mask(width: int, height: int, radius: float) -> NDArray[np.uint8]:
    """(height, width) uint8: 255 inside a rounded rectangle that fills it, smooth at the corners."""
    import cv2

    radius = max(0.0, min(radius, width / 2, height / 2))
    mask = np.zeros((height, width), np.uint8)
    if radius < 1:
        mask[:] = 255
        return mask
    inset = int(np.ceil(radius))
    mask[:, inset : width - inset] = 255
    mask[inset : height - inset, :] = 255
    one = 1 << _SHIFT
    for x in (radius - 0.5, width - radius - 0.5):
        for y in (radius - 0.5, height - radius - 0.5):
            centre = (round(x * one), round(y * one))
            cv2.circle(mask, centre, round((radius - 0.5) * one), 255, -1, cv2.LINE_AA, _SHIFT)
    return mask


def fill_rounded(image: Image, box: Box, radius: float, colour: Colour, opacity: float = 1.0) -> None:
    """Fill a rounded rectangle (x, y, width, height)."""
    _blend(image, box, radius, np.array(colour, np.uint8).reshape(1, 1, 3), opacity)


def panel(image: Image, box: Box, radius: float, colour: Colour, opacity: float) -> None:
    """A pane of tinted frosted glass: what lies behind is blurred, so that text on it stays readable."""
    import cv2

    x, y, width, height = clip_box(box, image.shape[1], image.shape[0])
    if not width or not height:
        return
    behind = image[y : y + height, x : x + width]
    small = (max(1, width // _FROST), max(1, height // _FROST))
    blurred = cv2.blur(cv2.resize(behind, small, interpolation=cv2.INTER_AREA), (3, 3))
    frost = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
    tint = np.full_like(frost, colour)
    _blend(image, (x, y, width, height), radius, cv2.addWeighted(tint, opacity, frost, 1 - opacity, 0), 1.0)


def _blend(image: Image, box: Box, radius: float, paint: Image, opacity: float) -> None:
    """Mix paint, a colour (1, 1, 3) or a picture (h, w, 3), into a rounded rectangle."""
    x, y, width, height = clip_box(box, image.shape[1], image.shape[0])
    if not width or not height:
        return
    region = image[y : y + height, x : x + width]
    cap = min(math.ceil(min(radius, width / 2, height / 2)), height // 2)
    if height - 2 * cap < cap:
        _mix(region, paint, rounded_mask(width, height, radius), opacity)
        return
    # Only the rows with rounded corners need a mask; at 4K that saves most of the work.
    mask = rounded_mask(width, 2 * cap, radius)
    top, middle, bottom = slice(0, cap), slice(cap, height - cap), slice(height - cap, height)
    for rows, part in ((top, mask[:cap]), (middle, None), (bottom, mask[cap:])):
        _mix(region[rows], paint if len(paint) == 1 else paint[rows], part, opacity)


def _mix(region: Image, paint: Image, mask: NDArray[np.uint8] | None, opacity: float) -> None:
    """Move `region` towards `paint` by opacity times mask / 255."""
    if not region.size:
        return
    if mask is None and opacity == 1:
        region[:] = paint
        return
    share = np.float32(opacity) if mask is None else mask[..., None] * np.float32(opacity / 255)
    region[:] = np.rint(region + (paint.astype(np.float32) - region) * share)


def bar(image: Image, box: Box, share: float, colour: Colour, rail: Colour, rail_opacity: float) -> None:
    """A horizontal bar filled from the left; `share` 0 … 1."""
    x, y, width, height = box
    fill_rounded(image, box, height / 2, rail, rail_opacity)
    filled = round(width * min(max(share, 0.0), 1.0))
    if filled > 0:
        fill_rounded(image, (x, y, max(filled, min(height, width)), height), height / 2, colour)


def oklch_to_rgb(lightness: Float, chroma: Float, hue: Float) -> NDArray[np.uint8]:
    """Colours of even brightness to sRGB.

    Args:
        lightness: any shape, 0 … 1.
        chroma: same shape, 0 (grey) to about 0.3.
        hue: same shape, radians.

    Returns:
        The shape of the arguments + (3,), uint8.
    """
    return oklab_to_rgb(lightness, chroma * np.cos(hue), chroma * np.sin(hue))


def oklab_to_rgb(lightness: Float, a: Float, b: Float) -> NDArray[np.uint8]:
    """OKLab (a: green to red, b: blue to yellow) to sRGB; returns the arguments' shape + (3,), uint8."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ),
        axis=-1,
    ).clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    rgb: NDArray[np.uint8] = np.rint(encoded * 255).astype(np.uint8)
    return rgb


def brackets(image: Image, box: Box, length: int, thickness: int, colour: Colour) -> None:
    """Mark the corners of a box inside the image."""
    x, y, width, height = clip_box(box, image.shape[1], image.shape[0])
    arm = min(length, width // 3, height // 3)
    for left in (x, x + width - arm):
        for top in (y, y + height - thickness):
            fill_rounded(image, (left, top, arm, thickness), 0, colour, 0.8)
    for left in (x, x + width - thickness):
        for top in (y, y + height - arm):
            fill_rounded(image, (left, top, thickness, arm), 0, colour, 0.8)
