"""What is drawn over a frame: the model's labels, and a small panel of numbers. Sizes follow the frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from veca_edge.arrays import Image
from veca_edge.gallery.gallery import Match
from veca_edge.modelfile.certainty import NOT_SURE
from veca_edge.playback.drawing import Box, bar, brackets, clip_box, fill_rounded, panel
from veca_edge.playback.recording import Graph
from veca_edge.playback.text import BOLD, REGULAR, Pen
from veca_edge.runtime.result import Prediction

INK, DIM, GLASS = (255, 255, 255), (200, 208, 220), (12, 16, 24)
ACCENT, RAIL = (94, 234, 196), (255, 255, 255)
OPACITY = 0.7
LABELS_WIDE = 17  # heights of a letter: the pane of labels
NARROWEST = 96  # pixels; on smaller frames a panel would hide the picture


@dataclass(frozen=True)
class Hud:
    """The numbers of the panel.

    Attributes:
        cores: cores in use.
        budgets: what the model offers, ascending.
        latency: seconds the model took for this frame.
        fps: frames per second over the last second or so, None at the start.
        image_size: (height, width) of the model's input in pixels.
        patches: patches computed and in all, or None if that is always all of them.
        note: a word such as "paused" or "recording", or "".
        lines: more, in words, below.
        graph: of a recording that plays along, or None.
    """

    cores: int
    budgets: tuple[int, ...]
    latency: float
    fps: float | None
    image_size: tuple[int, int]
    patches: tuple[int, int] | None = None
    note: str = ""
    lines: tuple[str, ...] = ()
    graph: Graph | None = None


def text_size(image: Image) -> int:
    """The height of a line of text for a frame, in pixels: 10 at 160 x 120, 15 at 640 x 360, 79 at 4K."""
    height, width = int(image.shape[0]), int(image.shape[1])
    return max(9, round(min(math.sqrt(width * height) * 0.030, width * 0.036, height * 0.1)))


def draw_hud(image: Image, hud: Hud, pen: Pen) -> int:
    """Draw the panel at the top left, in place on (H, W, 3) uint8 RGB; gives the row below it."""
    if image.shape[1] < NARROWEST:
        return 0
    size = text_size(image)
    gap, title = round(size * 0.7), f"{hud.cores} cores"
    height, width = hud.image_size
    details = [f"{hud.latency * 1000:.{1 if hud.latency < 0.1 else 0}f} ms"]
    details += [f"{hud.fps:.0f} fps"] if hud.fps is not None else []
    details += [f"{_percent(*hud.patches)} of patches"] if hud.patches else []
    details += [f"{width}×{height}"]
    details += [hud.note] if hud.note else []
    room = image.shape[1] - 4 * gap
    titles, small = pen.width(title, size, BOLD), max(9, round(size * 0.8))
    while len(details) > 1 and titles + size + pen.width(" · ".join(details), small) > room:
        details.pop(-2 if hud.note and len(details) > 2 else -1)
    line = " · ".join(details)
    # In whole steps, so that the panel does not tremble with every digit.
    lines = [pen.fit(text, small, REGULAR, room) for text in hud.lines]
    taken = max(titles + size + pen.width(line, small), *(pen.width(text, small) for text in lines), 0)
    inner = max(taken, min(room, math.ceil(taken / (2 * size)) * 2 * size))
    thick = max(2, round(size * 0.24))
    below = round(small * 1.5) * len(lines)
    box = (gap, gap, inner + 2 * gap, round(size * 1.1) + thick + round(2.3 * gap) + below)
    panel(image, box, size * 0.6, GLASS, OPACITY)
    x, baseline = 2 * gap, gap + gap + round(size * 0.82)
    pen.draw(image, title, (x, baseline), size, INK, BOLD)
    pen.draw(image, line, (x + titles + size, baseline), small, DIM, REGULAR)
    _budget_bar(image, hud, x, baseline + round(gap * 0.8), inner, thick)
    for number, text in enumerate(lines):
        at = (x, baseline + round(gap * 0.8) + thick + round(small * 1.5) * (number + 1) - round(small * 0.1))
        pen.draw(image, text, at, small, DIM, REGULAR)
    return box[1] + box[3]


def _percent(part: int, whole: int) -> str:
    """A share in whole percent; "<1 %" for what is there, but less than half of one."""
    share = part / max(1, whole)
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _budget_bar(image: Image, hud: Hud, x: int, y: int, width: int, height: int) -> None:
    """One segment per budget, lit up to the one in use."""
    count = len(hud.budgets)
    space = max(1, height // 2)
    edges = np.linspace(0, width + space, count + 1).round().astype(int)
    for budget, left, right in zip(hud.budgets, edges[:-1], edges[1:], strict=True):
        lit = budget <= hud.cores
        segment = (x + int(left), y, max(1, int(right - left) - space), height)
        fill_rounded(image, segment, height / 2, ACCENT if lit else RAIL, 1.0 if lit else 0.22)


def draw_labels(image: Image, predictions: Sequence[Prediction], pen: Pen, above: Box | None = None) -> None:
    """Draw labels with bars at the bottom left, in place; the first prediction is set off from the rest.

    Without any, the model is not sure, and that is said.

    Args:
        above: a pane (x, y, width, height) to stand on, as wide as that; None for the bottom.
    """
    rows = [
        _Row(entry.label, f"{entry.probability * 100:.0f} %", entry.probability, number == 0)
        for number, entry in enumerate(predictions)
    ]
    _draw_rows(image, rows or [_Row(NOT_SURE, "", None, False)], pen, above)


def draw_match(image: Image, match: Match, pen: Pen, above: Box | None = None) -> None:
    """Draw the name that a gallery has for a picture, or that it is unknown, as `draw_labels` does."""
    said = f"{match.similarity:.2f}" if match.label else ""
    row = _Row(match.name, said, match.similarity if said else None, match.sure)
    _draw_rows(image, [row], pen, above)


class _Row(NamedTuple):
    """A label on the left, what is said of it on the right, and a thin bar of a share, if there is one, below."""

    label: str
    said: str
    share: float | None
    strong: bool


def _draw_rows(image: Image, rows: Sequence[_Row], pen: Pen, above: Box | None) -> None:
    if image.shape[1] < NARROWEST:
        return
    size = text_size(image)
    gap, step = round(size * 0.7), round(size * 2.0)
    rows = rows[: max(1, (image.shape[0] // 2 - 2 * gap) // step)]
    width = min(image.shape[1] - 2 * gap, round(size * LABELS_WIDE)) if above is None else above[2]
    height = len(rows) * step + round(1.2 * gap)
    top = (image.shape[0] if above is None else above[1]) - gap - height
    panel(image, (gap, top, width, height), size * 0.6, GLASS, OPACITY)
    for number, row in enumerate(rows):
        _draw_row(image, row, (2 * gap, top + gap + number * step), width - 2 * gap, size, pen)


def _draw_row(image: Image, row: _Row, at: tuple[int, int], width: int, size: int, pen: Pen) -> None:
    x, baseline = at[0], at[1] + round(size * 0.82)
    weight, ink = (BOLD, INK) if row.strong else (REGULAR, DIM)
    taken = pen.width(row.said, size, weight)
    label = pen.fit(row.label, size, weight, width - taken - size)
    pen.draw(image, label, (x, baseline), size, ink, weight)
    pen.draw(image, row.said, (x + width - taken, baseline), size, ink, weight)
    if row.share is not None:
        rail = (x, baseline + round(size * 0.38), width, max(2, round(size * 0.2)))
        bar(image, rail, row.share, ACCENT if row.strong else DIM, RAIL, 0.16)


def mark_crop(image: Image, crop: tuple[int, int, int, int]) -> None:
    """Mark the corners of what the model saw, in place, unless it saw the whole image."""
    size = text_size(image)
    height, width = image.shape[:2]
    if clip_box(crop, width, height) != (0, 0, width, height):
        brackets(image, crop, round(size * 1.6), max(1, round(size * 0.13)), INK)


def draw_lines(image: Image, lines: Sequence[tuple[str, str]], pen: Pen) -> None:
    """A card of (key, meaning) lines in the middle, in place."""
    size = text_size(image)
    gap, row = size, round(size * 1.7)
    keys = max(pen.width(key, size, BOLD) for key, _ in lines)
    width = keys + 2 * size + max(pen.width(meaning, size) for _, meaning in lines) + 2 * gap
    height = len(lines) * row + 2 * gap - round(size * 0.5)
    left, top = (image.shape[1] - width) // 2, (image.shape[0] - height) // 2
    panel(image, (left, top, width, height), size * 0.8, GLASS, 0.78)
    for number, (key, meaning) in enumerate(lines):
        baseline = top + gap + number * row + round(size * 0.82)
        pen.draw(image, key, (left + gap, baseline), size, ACCENT, BOLD)
        pen.draw(image, meaning, (left + gap + keys + 2 * size, baseline), size, INK)
