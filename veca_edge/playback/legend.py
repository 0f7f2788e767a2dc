"""What the colours of a dense result mean, on a pane at the bottom left."""

from __future__ import annotations

import math

import numpy as np

from veca_edge.arrays import Image
from veca_edge.playback.drawing import Box, fill_rounded, panel
from veca_edge.playback.masks import shown_classes, value_colours
from veca_edge.playback.overlay import DIM, GLASS, INK, NARROWEST, OPACITY, text_size
from veca_edge.playback.text import BOLD, REGULAR, Pen
from veca_edge.runtime.dense import DenseResult

_ROW = 1.6  # heights of a letter per line
_WIDEST = 17  # heights of a letter


def draw_legend(image: Image, dense: DenseResult, title: str, pen: Pen) -> Box | None:
    """Draw classes with their share of the picture, or a scale of values, in place on (H, W, 3) uint8 RGB.

    Args:
        title: a line above them; "" for none.

    Returns:
        The pane (x, y, width, height) that they are on; None on a frame too narrow for it.
    """
    if image.shape[1] < NARROWEST:
        return None
    return (_draw_classes if dense.task.kind == "segmentation" else _draw_scale)(image, dense, title, pen)


def _draw_classes(image: Image, dense: DenseResult, title: str, pen: Pen) -> Box:
    size, areas = text_size(image), list(dense.areas().values())
    row, gap = round(size * _ROW), round(size * 0.7)
    room = (image.shape[0] * 6 // 10 - 3 * gap) // row - (1 if title else 0)
    numbers = _chosen(shown_classes(dense), areas, max(1, room))
    labels = [dense.task.labels[number] for number in numbers]
    percent = pen.width("100 %", size)
    widest = min(image.shape[1] - 4 * gap, round(size * _WIDEST))
    taken = max(pen.width(label, size) for label in labels) + round(size * 1.5) + 2 * gap + percent
    inner = min(max(taken, pen.width(title, size, BOLD)), widest)
    (x, y), pane = _pane(image, inner, row * len(labels), title, pen)
    for number, label in zip(numbers, labels, strict=True):
        baseline, there = y + round(size * 0.82), areas[number] > 0
        swatch = (x, y + round(size * 0.02), round(size * 0.92), round(size * 0.92))
        fill_rounded(image, swatch, size * 0.24, dense.task.colours[number], 1.0 if there else 0.4)
        ink, said = INK if there else DIM, _percent(areas[number])
        fitting = pen.fit(label, size, REGULAR, inner - percent - round(size * 2))
        pen.draw(image, fitting, (x + round(size * 1.5), baseline), size, ink)
        pen.draw(image, said, (x + inner - pen.width(said, size), baseline), size, ink)
        y += row
    return pane


def _chosen(numbers: list[int], areas: list[float], room: int) -> list[int]:
    """All classes, or those with the largest areas: in their own order, so that lines stay in place."""
    return sorted(sorted(numbers, key=lambda number: -areas[number])[:room])


def _percent(share: float) -> str:
    """A share of the picture; "<1 %" for what is there, but less than half a percent."""
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _draw_scale(image: Image, dense: DenseResult, title: str, pen: Pen) -> Box:
    size, task, values = text_size(image), dense.task, dense.values()
    row, gap = round(size * _ROW), round(size * 0.7)
    low, high = task.range
    ends = [_short(value, high - low) for value in (low, (low + high) / 2, high)]
    ends[-1] = f"{ends[-1]} {task.unit}".rstrip()
    found = [_short(float(value), high - low) for value in np.percentile(np.nan_to_num(values), (0, 50, 100))]
    told = f"{found[0]} to {found[2]}, median {found[1]}"
    inner = min(image.shape[1] - 4 * gap, max(round(size * _WIDEST), pen.width(told, size)))
    thick = round(size * 0.6)
    (x, y), pane = _pane(image, inner, thick + 2 * row, title or task.name, pen)
    colours = value_colours()[np.linspace(0, 255, inner).round().astype(int), 0]
    image[y : y + thick, x : x + inner] = colours
    baseline = y + thick + round(size * 1.25)
    starts = [round(place * (inner - pen.width(text, size))) for place, text in zip((0, 0.5, 1), ends, strict=True)]
    free = starts[1] + pen.width(ends[1], size) + gap <= starts[2]  # beside a long unit there is no middle
    for start, text in zip(starts[:: 1 if free else 2], ends[:: 1 if free else 2], strict=True):
        pen.draw(image, text, (x + start, baseline), size, DIM)
    pen.draw(image, pen.fit(told, size, REGULAR, inner), (x, baseline + row), size, INK)
    return pane


def _short(value: float, span: float) -> str:
    """A value with as many digits as its scale is worth: a hundredth of it."""
    return f"{round(value, 2 - math.floor(math.log10(span))):g}"


def _pane(image: Image, inner: int, height: int, title: str, pen: Pen) -> tuple[tuple[int, int], Box]:
    """A pane of this size inside its margins, with a title; gives the top left corner below that, and the pane."""
    size = text_size(image)
    row, gap = round(size * _ROW), round(size * 0.7)
    head = row if title else 0
    outer = head + height + 2 * gap - (row - size)
    top = image.shape[0] - gap - outer
    pane = (gap, top, inner + 2 * gap, outer)
    panel(image, pane, size * 0.6, GLASS, OPACITY)
    if title:
        text = pen.fit(title, size, BOLD, inner)
        pen.draw(image, text, (2 * gap, top + gap + round(size * 0.82)), size, INK, BOLD)
    return (2 * gap, top + gap + head), pane
