from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.fakes import picture
from veca_edge.arrays import Image
from veca_edge.playback.graph import BATTERY, HEAT, draw_graph
from veca_edge.playback.overlay import ACCENT
from veca_edge.playback.recording import Graph
from veca_edge.playback.text import Colour, Pen

GRAPH = Graph(
    *(60.0, 30.0, ((0.0, 0.9), (60.0, 0.1)), ((0.0, 0.2), (60.0, 0.8)), ((0.0, 1.0), (15.0, 0.125))),
    ("battery 50 %", "41 °C", "8 cores"),
)
WORDLESS = replace(GRAPH, words=("", "", ""))


def drawn(graph: Graph = WORDLESS, value: int = 0, size: tuple[int, int] = (360, 640), below: int = 0) -> Image:
    image = picture(value, *size)
    draw_graph(image, graph, Pen(), below)
    return image


def inked(image: Image, colour: Colour) -> np.ndarray:
    """Where a picture has about this colour."""
    return np.asarray((np.abs(image.astype(int) - np.array(colour)) < 24).all(axis=-1))


def test_lines_go_up_to_now_in_colour() -> None:
    def reach(now: float, colour: Colour) -> int:
        columns = np.flatnonzero(inked(drawn(replace(WORDLESS, now=now)), colour).any(axis=0))
        return int(columns[-1] - columns[0])

    for colour in (BATTERY, HEAT):
        assert reach(60.0, colour) == pytest.approx(2 * reach(30.0, colour), abs=8)
        assert reach(500.0, colour) == reach(60.0, colour)


def test_a_line_is_where_its_values_are() -> None:
    rows = [np.flatnonzero(column) for column in inked(drawn(replace(WORDLESS, now=60.0)), BATTERY).T]
    levels = [float(found.mean()) for found in rows if len(found)]
    assert levels[0] < levels[len(levels) // 2] < levels[-1]  # a battery that empties


def test_the_filled_area_is_what_cores_were_in_use() -> None:
    def area(*cores: tuple[float, float]) -> int:
        return int(inked(drawn(replace(WORDLESS, cores=cores)), ACCENT).sum())

    full = area((0.0, 1.0))
    assert area((0.0, 0.5)) == pytest.approx(full / 2, rel=0.12)
    assert area((0.0, 1.0), (15.0, 0.5)) == pytest.approx(full * 0.75, rel=0.12)


def test_what_a_recording_does_not_say_is_not_drawn() -> None:
    silent = drawn(replace(WORDLESS, battery=(), heat=()))
    assert not inked(silent, BATTERY).any()
    assert not inked(silent, HEAT).any()
    assert inked(silent, ACCENT).any()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_words_are_readable_on_any_ground(value: int) -> None:
    pane = drawn(GRAPH, value)[240:345, 480:625]
    assert np.median(pane) < 90
    assert inked(pane, HEAT).sum() > 20


@pytest.mark.parametrize("size", [(120, 160), (360, 640), (640, 360), (2160, 3840), (48, 64), (1, 1), (120, 1000)])
def test_it_stays_in_its_corner_of_a_frame_of_any_size(size: tuple[int, int]) -> None:
    height, width = size
    image = drawn(GRAPH, 200, size, below=height // 5)
    assert (image[:, : width // 3] == 200).all()
    assert (image[: height // 5] == 200).all()
    changed = np.flatnonzero((image != 200).any(axis=(1, 2)))
    if height > width >= 96:
        assert changed[-1] < height / 2  # upright: under the numbers, above the legend
    assert len(changed) or min(size) <= 120
