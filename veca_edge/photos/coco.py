"""The layout of COCO: photos, and files that outline the things in them.

    street/annotations/instances_train2017.json    one for train and one for val, or a single one of any name
    street/train2017/*.jpg                         or images/train2017/, or images/

Categories are numbered from 1 in the order of their ids; 0 is the background. Crowds are ignored (255). Where
things lie over each other, the smaller one is on top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PureWindowsPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from veca_edge.documents import parse_json
from veca_edge.errors import VecaError, require, shown
from veca_edge.files import is_folder, is_regular, shortened
from veca_edge.image.opencv import check_pixels
from veca_edge.image.skipping import Say, Skipped
from veca_edge.modelfile.heads import BACKGROUND, IGNORE, is_background
from veca_edge.photos.folders import entries

ANNOTATIONS, PREFIX = "annotations", "instances_"
MAX_BYTES = 1 << 29  # of a file: the largest of COCO itself, train2017, has 450 MB
LONGEST_OUTLINE = 1_000_000  # pixels: pycocotools walks along outlines in steps of a fifth, and keeps all of them

_KINDS: Mapping[type, str] = {int: "a whole number", str: "a text"}

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Outlines:
    """The things in a photo, as its file has them; `mask` draws them.

    Attributes:
        name: of the photo's entry, for messages.
        height, width: of the photo, pixels.
        things: class number, 255 of a crowd, and outline (polygons, or run lengths) of each.
    """

    name: str
    height: int
    width: int
    things: tuple[tuple[int, Any], ...]

    def mask(self) -> NDArray[np.uint8]:
        """Class numbers, uint8 (height, width).

        Raises:
            VecaError: an outline cannot be drawn.
        """
        drawn = [(number, self._runs(outline)) for number, outline in self.things]
        columns = np.zeros(self.width * self.height, np.uint8)
        for number, runs in sorted(drawn, key=lambda thing: -int(thing[1][1::2].sum())):
            columns[np.repeat(np.arange(len(runs)) % 2 == 1, runs)] = number
        return np.ascontiguousarray(columns.reshape(self.width, self.height).T)

    def _runs(self, outline: Any) -> NDArray[np.int64]:
        """Numbers of pixels outside, inside, outside …, column after column."""
        try:
            if isinstance(outline, list):
                return np.array(unpacked(self._packed(outline)), np.int64)
            if outline["size"] != [self.height, self.width]:
                raise VecaError("is for another size than the photo's")
            counts = outline["counts"]
            return self._checked(np.array(unpacked(counts.encode()) if isinstance(counts, str) else counts))
        except VecaError as error:
            reason = str(error)
        except (ValueError, TypeError, LookupError, OverflowError):  # numpy's, of lists in lists and the like
            reason = "is not of COCO's form"
        raise VecaError(f"{self.name}: the outline {shown(outline)} {reason}")

    def _checked(self, runs: NDArray[Any]) -> NDArray[np.int64]:
        pixels = self.width * self.height
        if runs.ndim != 1 or runs.dtype.kind != "i" or (runs < 0).any() or (runs > pixels).any():
            raise VecaError("has runs that are no numbers of pixels")
        if runs.sum(dtype=np.int64) != pixels:
            raise VecaError("has runs that do not add up to the photo")
        return runs.astype(np.int64)

    def _packed(self, polygons: list[Any]) -> bytes:
        """Run lengths of polygons, which are checked first: pycocotools, written in C, trusts them."""
        from pycocotools import mask

        checked = [np.array(polygon, np.float64) for polygon in polygons]
        if not checked:
            raise VecaError("has no polygon")
        length = 0.0
        for points in checked:
            if points.ndim != 1 or len(points) < 6 or len(points) % 2:
                raise VecaError("has a polygon that is no list of three or more points")
            if not (np.abs(points) <= 2 * max(self.width, self.height)).all():  # NaN neither
                raise VecaError("is far outside of the photo")
            corners = points.reshape(-1, 2)
            length += np.abs(corners - np.roll(corners, 1, axis=0)).sum()
            if length > LONGEST_OUTLINE:
                raise VecaError(f"is longer than {LONGEST_OUTLINE} pixels")
        parts = mask.frPyObjects([points.tolist() for points in checked], self.height, self.width)
        packed: bytes = mask.merge(parts)["counts"]
        return packed


@dataclass(frozen=True, eq=False)
class Instances:
    """What a file says: K labels, and photos with the things in them."""

    labels: tuple[str, ...]
    photos: tuple[tuple[Path, Outlines], ...]


def instance_files(folder: Path) -> list[Path]:
    """The files that outline things: those of train and val, or a single one, or none.

    Raises:
        VecaError: several, from which it is not plain which is which.
    """
    place = folder / ANNOTATIONS
    names = entries(place) if is_folder(place) else []
    files = [path for path in names if path.match(f"{PREFIX}*.json") and is_regular(path)]
    if len(files) < 2:
        return files
    parts = [[file for file in files if file.name.startswith(PREFIX + part)] for part in ("train", "val")]
    if [len(part) for part in parts] != [1, 1]:
        raise VecaError(
            f"{shortened(place)} has {len(files)} files {PREFIX}*.json: leave one {PREFIX}train*.json and one "
            f"{PREFIX}val*.json, or a single one"
        )
    return [file for part in parts for file in part]


def read_instances(folder: Path, path: Path, say: Say) -> Instances:
    """Read one of the `instance_files`; what it outlines is drawn only when a mask is asked for.

    Args:
        folder: the set.
        path: the file.
        say: receives lines about photos that are not there.

    Raises:
        VecaError: pycocotools is missing, or the file is too large, no JSON, or not of COCO's form.
    """
    require("pycocotools", "coco")
    document = _document(path)
    try:
        labels, numbers = _categories(_listed(document, "categories"))
        things: dict[Any, list[tuple[int, Any]]] = {}
        for entry in _listed(document, "annotations"):
            number = numbers.get(_value(entry, "category_id", int))
            if number is None:
                raise VecaError(f"an annotation has the category {entry['category_id']}, which is not listed")
            outline = entry.get("segmentation", [])
            crowd = bool(entry.get("iscrowd", 0))
            things.setdefault(_value(entry, "image_id", int), []).append((IGNORE if crowd else number, outline))
        photos = tuple(
            (name, Outlines(f"{name} in {path.name}", height, width, tuple(things.get(identity, ()))))
            for identity, name, height, width in _photos(_listed(document, "images"))
        )
    except VecaError as error:
        raise VecaError(f"{shortened(path)}: {error}") from None
    return Instances(labels, tuple(_there(folder, path, photos, say)))


def unpacked(text: bytes) -> list[int]:
    """The run lengths in pycocotools' compressed form, which itself reads past the end of damaged ones.

    Each is a difference from the one before the last, five bits in a character, the lowest first.

    Raises:
        VecaError: it is damaged; the message does not name it.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = character - 48
        if not 0 <= bits < 64 or shift > 30:
            raise VecaError("has damaged run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits >> 4 & 1) << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise VecaError("has damaged run lengths")
    return runs


def _document(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return parse_json(file.read(MAX_BYTES + 1), MAX_BYTES)
    except OSError as error:
        raise VecaError(f"cannot read {shortened(path)}: {error.strerror}") from None
    except VecaError as error:
        raise VecaError(f"{shortened(path)} {error}") from None


def _listed(document: Any, name: str) -> list[dict[str, Any]]:
    found = document.get(name) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise VecaError(f"there is no list of {name}: give a file in the form of COCO's {PREFIX}*.json")
    return found


def _value(entry: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = entry.get(name)
    if not isinstance(value, kind):
        raise VecaError(f"{name} is {shown(value)} in {shown(entry)}: expected {_KINDS[kind]}")
    return value


def _categories(entries: list[dict[str, Any]]) -> tuple[tuple[str, ...], dict[int, int]]:
    """Labels, and the class number of each category's id."""
    names = {identity: _value(entry, "name", str).strip() for identity, entry in _identified(entries, "category")}
    order = sorted(names)
    first = 0 if order and is_background(names[order[0]]) else 1  # some programs list it
    labels = chain([BACKGROUND] * first, (names[identity] for identity in order))
    return tuple(labels), {identity: number for number, identity in enumerate(order, first)}


def _photos(entries: list[dict[str, Any]]) -> Iterator[tuple[int, str, int, int]]:
    """Id, file name, height and width of each."""
    for identity, entry in _identified(entries, "photo"):
        name, height, width = (
            _value(entry, "file_name", str),
            _value(entry, "height", int),
            _value(entry, "width", int),
        )
        path = PureWindowsPath(name)  # knows all ways to leave a folder: /, \, drives
        if not path.name or path.anchor or ".." in path.parts or not name.isprintable():
            raise VecaError(f"a photo's name is {shown(name)}: expected one inside the folder")
        if min(height, width) < 1:
            raise VecaError(f"{shown(name)} has {width} x {height} pixels")
        check_pixels(shown(name), width, height)
        yield identity, name, height, width


def _identified(entries: list[dict[str, Any]], noun: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each with its id, by which annotations name it."""
    seen = set[int]()
    for entry in entries:
        identity = _value(entry, "id", int)
        if identity in seen:
            raise VecaError(f"two {noun} entries have the id {identity}: give each an id of its own")
        seen.add(identity)
        yield identity, entry


def _there(
    folder: Path, path: Path, photos: tuple[tuple[str, Outlines], ...], say: Say
) -> Iterator[tuple[Path, Outlines]]:
    """Those whose file is in one of the folders that are usual for it."""
    part = path.stem.removeprefix(PREFIX)
    usual = (folder / "images" / part, folder / part, folder / "images", folder)
    places = [place for place in usual if is_folder(place)]
    with Skipped(say) as skipped:
        for name, outlines in photos:
            found = next((place / name for place in places if is_regular(place / name)), None)
            if found is None:
                skipped(f"{shortened(Path(name))} of {path.name}: no such file in images, images/{part} or {part}")
            else:
                yield found, outlines
