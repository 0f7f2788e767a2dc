"""A contact sheet: small pictures in rows, each with a line of text or two below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veca_edge.arrays import Image
from veca_edge.errors import VecaError
from veca_edge.image.stills import read_image
from veca_edge.playback.drawing import fill_rounded
from veca_edge.playback.overlay import DIM, INK
from veca_edge.playback.text import BOLD, REGULAR, Pen

SIDE = 176  # pixels of a picture's longer side
GAP = 16
TEXT = 15  # pixels of a line's letters
COLUMNS = 7
MOST = 140  # pictures on a sheet: 20 rows
PAPER, EMPTY, FRAME = (24, 24, 24), (48, 48, 48), (240, 180, 60)
_CELL = SIDE + GAP, SIDE + GAP + 3 * TEXT + TEXT // 2  # width and height
_BORDER = 5


@dataclass(frozen=True)
class Tile:
    """A picture on the sheet.

    Attributes:
        path: the file; one that cannot be read is an empty place.
        title: a few words below it.
        name: a line below that; of a path that is too long, the end of it.
    """

    path: Path
    title: str
    name: str


def contact_sheet(groups: Sequence[Sequence[Tile]]) -> Image:
    """Draw groups of pictures one after the other, the first of each in a frame: uint8 (H, W, 3), RGB.

    Args:
        groups: pictures, one or more in all, of which the first `MOST` are drawn.
    """
    places = list(_places(groups))[:MOST]
    rows, columns = places[-1][0] + 1, max(column for _, column, _, _ in places) + 1
    sheet = np.full((rows * _CELL[1] + GAP, columns * _CELL[0] + GAP, 3), PAPER, np.uint8)
    pen = Pen()
    for row, column, is_first, tile in places:
        _draw(sheet, GAP + column * _CELL[0], GAP + row * _CELL[1], is_first, tile, pen)
    return sheet


def _places(groups: Sequence[Sequence[Tile]]) -> Iterator[tuple[int, int, bool, Tile]]:
    """Of each picture its row, its column, and whether it is the first of its group."""
    place = 0
    for group in groups:
        if place % COLUMNS + len(group) > COLUMNS:  # it would be torn apart: in a new row then
            place = -(-place // COLUMNS) * COLUMNS
        for index, tile in enumerate(group):
            yield (place + index) // COLUMNS, (place + index) % COLUMNS, index == 0, tile
        place += len(group)


def _draw(sheet: Image, x: int, y: int, is_first: bool, tile: Tile, pen: Pen) -> None:
    small = _small(tile.path)
    height, width = (SIDE, SIDE) if small is None else small.shape[:2]
    left, top = x + (SIDE - width) // 2, y + (SIDE - height) // 2
    if is_first:
        border = (left - _BORDER, top - _BORDER, width + 2 * _BORDER, height + 2 * _BORDER)
        fill_rounded(sheet, border, _BORDER, FRAME)
    if small is None:
        fill_rounded(sheet, (left, top, width, height), 0, EMPTY)
        pen.draw(sheet, "cannot be read", (left + GAP, top + height // 2), TEXT, DIM)
    else:
        sheet[top : top + height, left : left + width] = small
    below = y + SIDE + GAP // 2 + TEXT
    pen.draw(sheet, tile.title, (x, below), TEXT, FRAME if is_first else INK, BOLD)
    pen.draw(sheet, _end(tile.name, pen), (x, below + TEXT + TEXT // 4), TEXT, DIM)


def _small(path: Path) -> Image | None:
    """A file's picture, its longer side `SIDE` pixels; None if it cannot be read."""
    import cv2

    try:
        image = read_image(path)
    except VecaError:
        return None
    scale = SIDE / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def _end(name: str, pen: Pen) -> str:
    """A path, or as many of its last parts as there is room for."""
    parts = name.split("/")
    for start in range(len(parts)):
        text = "/".join(parts[start:])
        if pen.width(text, TEXT) <= SIDE:
            return text
    return pen.fit(parts[-1], TEXT, REGULAR, SIDE)
