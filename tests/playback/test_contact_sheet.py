"""Contact sheets: where the pictures stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.paths import ASSETS
from veca_edge.playback.contact_sheet import COLUMNS, MOST, Tile, _places, contact_sheet


def tiles(count: int) -> list[Tile]:
    return [Tile(Path("none.jpg"), "", "")] * count


@pytest.mark.parametrize(
    ("counts", "firsts"),
    [
        ([3, 4, 2], [(0, 0), (0, 3), (1, 0)]),  # what fits stands in one row
        ([5, 3], [(0, 0), (1, 0)]),  # what does not begins another
        ([16, 2], [(0, 0), (2, 2)]),
        ([], []),
    ],
)
def test_groups_stay_together(counts: list[int], firsts: list[tuple[int, int]]) -> None:
    places = list(_places([tiles(count) for count in counts]))
    assert [(row, column) for row, column, first, _ in places if first] == firsts
    assert len({place[:2] for place in places}) == sum(counts)
    assert all(column < COLUMNS for _, column, _, _ in places)


def test_a_sheet_has_an_end() -> None:
    assert contact_sheet([tiles(MOST + 100)]).shape == contact_sheet([tiles(MOST)]).shape


@pytest.mark.parametrize("name", ["a.jpg", "äöü/" * 40 + "b" * 300 + ".jpg", "a\n\x1b[31m.jpg", "", "/"])
def test_any_name_is_drawn(name: str) -> None:
    sheet = contact_sheet([[Tile(ASSETS / "photos" / "milk.jpg", "0.50", name)]])
    assert sheet[:, :8].max() == sheet[:, -8:].max()  # nothing of it at the sides
