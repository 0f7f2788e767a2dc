"""Dense results as pictures: classes as translucent masks with outlines, values as a colour map."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float, Image
from veca_edge.modelfile.heads import is_background
from veca_edge.playback.drawing import Box, oklch_to_rgb
from veca_edge.playback.overlay import text_size
from veca_edge.runtime.dense import DenseResult

Plane = NDArray[np.uint8]
_FAINT, _FIRM = 0.24, 0.60  # opacity of a mask where its class is a guess, and where it is sure
_LINE = 0.95  # opacity of its outline
_REACH = 1.5  # cells on either side of an edge within which the distance to it is told apart
_STEPS = 8  # of that distance per pixel
_MOVED = 6.0  # grey levels of change that are no noise
_STILL = 0.15  # share of the news that is taken per frame where nothing moves
_COVER = 0.75  # opacity of a colour map


class MaskSteadier:
    """Holds a film's masks still where its picture stands still.

    When the governor changes the cores, every patch is computed anew, and close calls flip here and there: the film
    flickers, though nothing moves. So the odds follow slowly there, and at once where the picture changes. For
    pictures only: results stay as they are.
    """

    def __init__(self) -> None:
        self._last: DenseResult | None = None
        self._odds = self._seen = np.zeros(0, np.float32)

    def __call__(self, image: Image, dense: DenseResult) -> DenseResult:
        """The same with logits of what to show.

        Args:
            image: the film's next frame, uint8 (H, W, 3), RGB.
            dense: what a head says about it; a regression stays as it is.
        """
        if dense.task.kind != "segmentation":
            return dense
        odds, seen = dense.probabilities(), _at_cells(image, dense)
        if self._last is not None and _alike(self._last, dense):
            odds = self._odds + (odds - self._odds) * _share_taken(seen - self._seen)
        self._last, self._odds, self._seen = dense, odds, seen
        return replace(dense, cells=np.log(np.maximum(odds, 1e-9)))


def _alike(one: DenseResult, other: DenseResult) -> bool:
    """Whether two results are of the same head on the same part of frames of one size."""
    return (one.task, one.crop, one.cells.shape) == (other.task, other.crop, other.cells.shape)


def _at_cells(image: Image, dense: DenseResult) -> Float:
    """The grey levels of what the model saw, one per cell: float32 (rows, columns)."""
    import cv2

    (rows, columns), (x, y, width, height) = dense.cells.shape[:2], dense.crop
    across, down = columns / width, rows / height
    size = (max(1, round(image.shape[1] * across)), max(1, round(image.shape[0] * down)))
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    shift = np.array(((1, 0, -x * across), (0, 1, -y * down)), np.float32)
    levels = cv2.warpAffine(small.astype(np.float32), shift, (columns, rows), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(levels, np.float32)


def _share_taken(change: Float) -> Float:
    """How much of each cell's news to take, (rows, columns, 1): all of it in and around cells that changed."""
    import cv2

    share = (np.abs(change) / _MOVED).clip(_STILL, 1).astype(np.float32)
    return np.asarray(cv2.dilate(share, np.ones((5, 5), np.uint8)), np.float32)[..., None]


def shown_classes(dense: DenseResult) -> list[int]:
    """The numbers of a segmentation's classes that have a colour in pictures: all but a background."""
    labels = dense.task.labels
    return list(range(1 if is_background(labels[0]) else 0, len(labels)))


def paint_dense(seen: Image, dense: DenseResult, inside: Box) -> None:
    """Lay what a head says over what the model saw, in place.

    Args:
        seen: uint8 (height, width, 3) RGB, the part of the crop that lies in the frame.
        inside: x, y, width and height of that part in the crop, pixels.
    """
    (_paint_classes if dense.task.kind == "segmentation" else _paint_values)(seen, dense, inside)


def _paint_classes(seen: Image, dense: DenseResult, inside: Box) -> None:
    """Each class in its colour, the firmer the surer, with an outline where another one begins."""
    import cv2

    # In few bits from the cells on, and each class in its own box only: several times faster than floats.
    planes = np.ascontiguousarray(np.nan_to_num(dense.cells).transpose(2, 0, 1), np.float32)
    second, best = np.partition(planes, -2, axis=0)[-2:]
    even = 1 / len(planes)
    sure = (1 / np.exp(planes - best).sum(axis=0) - even) / (1 - even)
    opacity = enlarged(_bytes(255 * (_FAINT + (_FIRM - _FAINT) * sure)), dense.crop, inside)
    pixels = min(dense.crop[2] / best.shape[1], dense.crop[3] / best.shape[0])
    body, outline = _profiles(max(1.5, text_size(seen) * 0.13))
    paint, cover = np.zeros_like(seen), np.zeros(seen.shape[:2], np.uint8)
    for number in shown_classes(dense):
        wins = planes[number] == best
        place = _pixels_of(wins, dense.crop, inside)
        if place is None:
            continue
        lead = np.where(wins, best - second, planes[number] - best)
        distance = enlarged(_distances(lead, pixels), dense.crop, inside)[place]
        distance = cv2.add(distance, 128.0, dtype=cv2.CV_8U)  # cut to what the profiles cover
        alpha = cv2.multiply(cv2.LUT(distance, body), opacity[place], scale=1 / 255)
        alpha = cv2.max(alpha, cv2.LUT(distance, outline))
        tint = cv2.merge([cv2.convertScaleAbs(alpha, alpha=part / 255) for part in dense.task.colours[number]])
        paint[place] = cv2.add(paint[place], tint)
        cover[place] = cv2.add(cover[place], alpha)
    # Colours already carry their opacity, so edges between two of them are as soft as those to the frame.
    seen[:] = cv2.add(cv2.multiply(seen, cv2.merge([cv2.bitwise_not(cover)] * 3), scale=1 / 255), paint)


def _paint_values(seen: Image, dense: DenseResult, inside: Box) -> None:
    """Values in the colours of their scale, over the frame in grey, so that hues stay what they are."""
    import cv2

    low, high = dense.task.range
    share = (np.nan_to_num(dense.values()).clip(low, high) - low) / (high - low)
    levels = cv2.convertScaleAbs(enlarged(share.astype(np.float32), dense.crop, inside), alpha=255)
    colours = cv2.applyColorMap(levels, value_colours())
    grey = cv2.cvtColor(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    seen[:] = cv2.addWeighted(colours, _COVER, grey, 1 - _COVER, 0)


@cache
def value_colours() -> Image:
    """256 colours of evenly growing lightness, violet over green to yellow: uint8 (256, 1, 3) RGB."""
    place = np.linspace(0, 1, 256, dtype=np.float32)
    hue = np.radians(308 - 200 * place**1.15, dtype=np.float32)
    chroma = (0.13 + 0.06 * place - 0.06 * (1 - (2 * place - 1) ** 2)).astype(np.float32)
    return oklch_to_rgb(0.28 + 0.63 * place, chroma, hue)[:, None]


def enlarged(cells: NDArray[Any], crop: Box, inside: Box) -> NDArray[Any]:
    """A plane (rows, columns) enlarged to the crop's pixels: the part of them that lies in the frame."""
    import cv2

    x, y, width, height = inside
    whole: NDArray[Any] = cv2.resize(cells, crop[2:], interpolation=cv2.INTER_LINEAR)
    return whole[y : y + height, x : x + width]


def _pixels_of(cells: NDArray[np.bool_], crop: Box, inside: Box) -> tuple[slice, slice] | None:
    """The box of pixels around the cells that are set, a cell wider on each side; None if it is empty."""
    found: list[slice] = []
    for axis, offset, size, extent in ((0, inside[1], inside[3], crop[3]), (1, inside[0], inside[2], crop[2])):
        used = np.flatnonzero(cells.any(axis=1 - axis))
        if not len(used):
            return None
        pixels = extent / cells.shape[axis]
        first, last = int((used[0] - 1) * pixels) - offset, int((used[-1] + 2) * pixels) + 1 - offset
        found.append(slice(max(first, 0), min(last, size)))
    rows, columns = found
    # OpenCV takes a single pixel for a scalar.
    return (rows, columns) if _length(rows) * _length(columns) > 1 else None


def _length(part: slice) -> int:
    return max(0, int(part.stop - part.start))


def _distances(lead: Float, pixels: float) -> NDArray[np.int16]:
    """How far inside a class each cell is, by its lead over the next: in steps, for cells of so many pixels."""
    import cv2

    # The lead changes by about the slope from cell to cell, so what there is of it tells how far away the edge is.
    slope = cv2.magnitude(*(cv2.Sobel(lead, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))))
    cells = (lead / np.maximum(slope, 1e-6)).clip(-_REACH, _REACH)
    return np.asarray((cells * (_STEPS * pixels)).clip(-30000, 30000), np.int16)


@cache
def _profiles(width: float) -> tuple[Plane, Plane]:
    """Opacities of a mask's body and of its outline, this many pixels wide, by steps inside, plus 128."""
    away = (np.arange(256, dtype=np.float32) - 128) * np.float32(1 / _STEPS)
    return _bytes(255 * (away + 0.5)), _bytes(255 * _LINE * np.minimum(away + 0.5, width + 0.5 - away).clip(0, 1))


def _bytes(values: Float) -> Plane:
    """Values rounded and cut to 0 … 255."""
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)
