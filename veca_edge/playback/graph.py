"""A small graph in a corner: battery and heat over time, and the cores that were chosen under them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.playback.drawing import Box, fill_rounded, panel
from veca_edge.playback.overlay import ACCENT, DIM, GLASS, INK, NARROWEST, RAIL, text_size
from veca_edge.playback.recording import Graph, Line
from veca_edge.playback.text import Colour, Pen

BATTERY, HEAT = (122, 190, 255), (255, 122, 92)
_WIDTH, _LINES, _STEPS = 11.0, 3.2, 1.7  # of the graph, of its lines and of its steps, in heights of a letter
_OPACITY = 0.82  # thin lines need a darker ground than words
_AHEAD = 0.42  # brightness of what is still to come
_SHIFT = 4  # OpenCV takes coordinates in sixteenths of a pixel
Points = NDArray[np.int32]


def draw_graph(image: Image, graph: Graph, pen: Pen, below: int = 0) -> None:
    """Draw a recording on a pane at the bottom right, on upright frames at the top right; in place.

    Args:
        image: (H, W, 3) uint8 RGB.
        below: the row of pixels that other panes at the top reach down to.
    """
    size = text_size(image)
    small, gap = max(9, round(size * 0.8)), round(size * 0.7)
    width, lines, steps = (round(size * share) for share in (_WIDTH, _LINES, _STEPS))
    row = round(small * 1.45)
    height = 2 * row + lines + steps + 2 * gap + round(gap * 0.6)
    left = image.shape[1] - width - 3 * gap
    upright, lowest = image.shape[0] > image.shape[1], image.shape[0] - gap - height
    if image.shape[1] < NARROWEST or left < gap or lowest < below + gap:
        return
    top = below + gap if upright else lowest
    panel(image, (left, top, width + 2 * gap, height), size * 0.6, GLASS, _OPACITY)
    x, y = left + gap, top + gap
    battery, heat, cores = graph.words
    _words(image, (x, y + round(small * 0.82)), width, small, ((battery, BATTERY), (heat, HEAT)), pen)
    plot = (x, y + row, width, lines)
    for line, colour in ((graph.battery, BATTERY), (graph.heat, HEAT)):
        _curve(image, plot, line, graph, colour, size)
    y += row + lines + round(gap * 0.6)
    minutes = f"{graph.now / 60:.0f} min"
    _words(image, (x, y + round(small * 0.82)), width, small, ((cores, ACCENT), (minutes, DIM)), pen)
    stairs = (x, y + row, width, steps)
    _steps(image, stairs, graph)
    for box in (plot, stairs):
        _marker(image, box, graph, size)


def _words(
    image: Image, at: tuple[int, int], width: int, size: int, parts: Sequence[tuple[str, Colour]], pen: Pen
) -> None:
    """Two values, on the left and on the right, each in its line's colour."""
    for place, (words, colour) in zip((0.0, 1.0), parts, strict=True):
        pen.draw(image, words, (at[0] + round(place * (width - pen.width(words, size))), at[1]), size, colour)


def _place(time: float, graph: Graph, width: int) -> float:
    """Where on the graph a time is, in pixels from its left; its right end for what is later."""
    return min(1.0, time / graph.length) * (width - 1)


def _curve(image: Image, box: Box, line: Line, graph: Graph, colour: Colour, size: int) -> None:
    """A line in its colour up to now, and dimmed after that."""
    import cv2

    if not line:
        return
    x, y, width, height = box
    thick = max(1, round(size * 0.11))
    times, values = np.array(line, np.float64).T
    across = x + np.minimum(times / graph.length, 1) * (width - 1)
    down = y + thick + (1 - values) * (height - 1 - 2 * thick)
    now = x + _place(graph.now, graph, width)
    reached = np.append(across[across <= now], now)
    past = np.stack((reached, np.interp(reached, across, down)), axis=-1)
    ahead = tuple(round(part * _AHEAD + ground * (1 - _AHEAD)) for part, ground in zip(colour, GLASS, strict=True))
    for points, shade in ((np.stack((across, down), axis=-1), ahead), (past, colour)):
        cv2.polylines(image, [_fixed(points)], False, shade, thick, cv2.LINE_AA, _SHIFT)


def _steps(image: Image, box: Box, graph: Graph) -> None:
    """Cores as a filled area, one step for each change, up to now."""
    import cv2

    x, y, width, height = box
    fill_rounded(image, (x, y + height - 1, width, 1), 0, RAIL, 0.22)
    times = [time for time, _ in graph.cores] + [graph.now]
    for (_, share), start, end in zip(graph.cores, times[:-1], times[1:], strict=True):
        left, right = x + _place(start, graph, width), x + _place(end, graph, width)
        top = y + (1 - share) * height
        corners = np.array(((left, top), (right, top), (right, y + height), (left, y + height)))
        cv2.fillPoly(image, [_fixed(corners)], ACCENT, cv2.LINE_AA, _SHIFT)


def _marker(image: Image, box: Box, graph: Graph, size: int) -> None:
    """A line down the graph where it is now."""
    import cv2

    x, (top, height) = box[0] + _place(graph.now, graph, box[2]), box[1::2]
    ends = _fixed(np.array(((x, top), (x, top + height - 1))))
    cv2.polylines(image, [ends], False, INK, max(1, round(size * 0.07)), cv2.LINE_AA, _SHIFT)


def _fixed(points: NDArray[np.float64]) -> Points:
    """Pixels as OpenCV takes them with `_SHIFT`."""
    return np.asarray(np.rint(points * (1 << _SHIFT)), np.int32)
