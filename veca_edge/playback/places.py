"""The names that can be taught, with their keys and counts, on a pane at the bottom right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from veca_edge.arrays import Image
from veca_edge.playback.drawing import panel
from veca_edge.playback.overlay import ACCENT, DIM, GLASS, INK, LABELS_WIDE, NARROWEST, OPACITY, text_size
from veca_edge.playback.teaching import Place, Taught
from veca_edge.playback.text import BOLD, REGULAR, Pen

TYPING = "Enter keeps the name, Esc does not, Tab: the next"
LABEL_HIGH, NUMBERS_HIGH = 3.6, 4.5  # heights of a letter: the pane of a label below, that of the numbers above
_NARROW, _WIDE = 10, 24  # heights of a letter: this pane's least and greatest width


@dataclass(frozen=True)
class _Line:
    """A place as it is drawn."""

    key: str
    name: str
    count: str
    chosen: bool
    used: bool


def draw_places(image: Image, taught: Taught, place: int, typing: str | None, pen: Pen) -> None:
    """Draw in place on (H, W, 3) uint8 RGB.

    Args:
        place: the number of the name that is set off.
        typing: what has been typed of its new name, shown instead of it; None if nobody types.
    """
    if image.shape[1] < NARROWEST:
        return
    letter = text_size(image)
    size, gap = max(9, round(letter * 0.8)), round(letter * 0.7)
    step, told = round(size * 1.6), taught.told if typing is None else TYPING
    # Beside the label, or above it where there is no room.
    beside = image.shape[1] - round(letter * LABELS_WIDE) - 3 * gap
    above = beside < _NARROW * size + 2 * gap
    bottom = image.shape[0] - gap - (round(letter * LABEL_HIGH) if above else 0)
    most = max(1, (bottom - round(letter * NUMBERS_HIGH) - 2 * gap) // step - bool(told))
    lines = _lines(taught, place, typing, most)
    room = (image.shape[1] - 2 * gap if above else beside) - 2 * gap
    inner = min(max(_NARROW * size, _taken(lines, told, size, pen)), _WIDE * size, room)
    height = (len(lines) + bool(told)) * step + 2 * gap - (step - size)
    x, y = image.shape[1] - 2 * gap - inner, bottom - height + gap
    panel(image, (x - gap, y - gap, inner + 2 * gap, height), letter * 0.6, GLASS, OPACITY)
    baseline = y + round(size * 0.82)
    for line in lines:
        _draw(image, line, (x, baseline), inner, size, pen)
        baseline += step
    pen.draw(image, pen.fit(told, size, REGULAR, inner), (x, baseline), size, DIM)


def _lines(taught: Taught, place: int, typing: str | None, most: int) -> list[_Line]:
    """So many places at most, with the chosen one among them if it is on show."""
    places = taught.on_show(place if typing is not None else 0)
    at = next((index for index, each in enumerate(places) if each.number == place), 0)
    start = max(0, at - most + 1)
    return [_line(each, each.number == place, typing) for each in places[start : start + most]]


def _line(place: Place, chosen: bool, typing: str | None) -> _Line:
    name = f"{typing}_" if chosen and typing is not None else place.name
    return _Line(str(place.number), name, str(place.examples), chosen, place.used)


def _taken(lines: Sequence[_Line], told: str, size: int, pen: Pen) -> int:
    """The width that all of it takes, in pixels."""
    widths = [3 * size + pen.width(line.name, size, BOLD) + pen.width(line.count, size, BOLD) for line in lines]
    return max(*widths, pen.width(told, size))


def _draw(image: Image, line: _Line, at: tuple[int, int], width: int, size: int, pen: Pen) -> None:
    x, baseline = at
    weight, ink = (BOLD if line.chosen else REGULAR), (INK if line.used or line.chosen else DIM)
    count = pen.width(line.count, size, weight)
    room = width - 3 * size - count
    name = line.name
    while name.endswith("_") and len(name) > 1 and pen.width(name, size, weight) > room:
        name = name[1:]  # of what is typed the end is what matters
    pen.draw(image, line.key, (x, baseline), size, ACCENT, BOLD)
    pen.draw(image, pen.fit(name, size, weight, room), (x + 2 * size, baseline), size, ink, weight)
    pen.draw(image, line.count, (x + width - count, baseline), size, ink, weight)
