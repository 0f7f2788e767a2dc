"""Photos whose things are outlined in the layout of COCO."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.dense_sets import LABELS, write_masks
from veca_edge.errors import VecaError
from veca_edge.photos.coco import Outlines, unpacked
from veca_edge.photos.masks import (
    Classes,
    MaskedPhotos,
    decoded,
    holds_masks,
    read_masked_folder,
    read_masked_split,
)

HEIGHT, WIDTH = 40, 60
CATEGORIES = [{"id": 7, "name": "cup"}, {"id": 3, "name": "table"}]  # the order is that of the ids


def box(left: int, top: int, right: int, bottom: int) -> list[list[float]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def thing(category: int, outline: Any, image: int = 1, crowd: int = 0) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "segmentation": outline, "iscrowd": crowd}


RUNS = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * (WIDTH - 10), HEIGHT * 10]}  # the ten columns on the right
THINGS = [thing(7, box(20, 10, 30, 20)), thing(3, box(5, 5, 45, 35)), thing(3, RUNS, crowd=1)]


def document(**changes: Any) -> dict[str, Any]:
    images = [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}]
    return {"images": images, "categories": CATEGORIES, "annotations": THINGS, **changes}


def write_coco(folder: Path, photos: str = "images/{}", **parts: Any) -> Path:
    """Files of these parts with a photo `a.png` for each; `photos` is where those of a part lie."""
    (folder / "annotations").mkdir()
    for part, value in parts.items():
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        (folder / "annotations" / f"instances_{part}.json").write_bytes(text)
        place = folder / photos.format(part)
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / "a.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    return folder


def mask_of(photos: MaskedPhotos, said: list[str] | None = None) -> np.ndarray[Any, np.dtype[np.uint8]]:
    say = (lambda _: None) if said is None else said.append
    ((_, mask),) = decoded(photos.val, photos.meaning, lambda image, target: target, say)
    return mask


def test_outlines_become_masks_with_the_smaller_thing_on_top(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    photos = read_masked_folder(
        write_coco(tmp_path, train2017=document(), val2017=document(annotations=THINGS[::-1])), "segmentation"
    )
    assert isinstance(photos.meaning, Classes)
    assert photos.meaning.labels == ("background", "table", "cup")
    assert holds_masks(tmp_path) == "segmentation"
    mask = mask_of(photos)
    wanted = np.zeros((HEIGHT, WIDTH), np.uint8)
    wanted[5:35, 5:45] = 1
    wanted[10:20, 20:30] = 2
    wanted[:, WIDTH - 10 :] = 255
    assert np.array_equal(mask, wanted)
    assert np.array_equal(mask_of(read_masked_split(tmp_path, "segmentation")), wanted)


@pytest.mark.parametrize("photos", ["images/{}", "{}", "images", "."])
def test_photos_lie_where_programs_put_them(tmp_path: Path, photos: str) -> None:
    pytest.importorskip("pycocotools")
    found = read_masked_split(write_coco(tmp_path, photos, default=document()), "segmentation")
    assert [pair.image.name for pair in found.val] == ["a.png"]


def test_a_single_file_is_divided_and_missing_photos_are_named(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    names = ["a.png", "b.png", "gone.png"]
    images = [
        {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH} for number, name in enumerate(names)
    ]
    folder = write_coco(tmp_path, default=document(images=images, annotations=[]))
    cv2.imwrite(str(folder / "images/default/b.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    said: list[str] = []
    photos = read_masked_folder(folder, "segmentation", said.append)
    assert (len(photos.train), len(photos.val)) == (1, 1)
    assert "gone.png of instances_default.json: no such file" in said[0]
    assert "1 photo of 2 held out" in said[1]
    assert not mask_of(photos).any()  # nothing is outlined


def test_a_listed_background_is_number_0(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    categories = [{"id": 0, "name": "Background"}, *CATEGORIES]
    photos = read_masked_split(write_coco(tmp_path, all=document(categories=categories)), "segmentation")
    assert photos.meaning.labels == ("Background", "table", "cup")  # type: ignore[union-attr]
    assert mask_of(photos)[15, 25] == 2


def test_labels_of_our_own_come_first(tmp_path: Path) -> None:
    folder = write_coco(write_masks(tmp_path, train=2, val=1), val=b"no JSON")
    assert read_masked_folder(folder, "segmentation").meaning.labels == LABELS  # type: ignore[union-attr]


def test_compressed_runs_are_those_of_pycocotools() -> None:
    library = pytest.importorskip("pycocotools.mask")
    mask = (np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.1).astype(np.uint8)
    mask[:, 20:50] = 1  # a long run
    text = library.encode(np.asfortranarray(mask))["counts"]
    outlines = Outlines("a", HEIGHT, WIDTH, ((1, {"size": [HEIGHT, WIDTH], "counts": text.decode()}),))
    assert np.array_equal(outlines.mask(), mask)
    assert sum(unpacked(text)) == mask.size


def categories(*names: str) -> dict[str, Any]:
    return document(categories=[{"id": i, "name": name} for i, name in enumerate(names)], annotations=[])


CASES: dict[str, tuple[Any, str]] = {
    "no JSON": (b"{", "is not JSON"),
    "a list": ([], "there is no list of categories"),
    "other entries": (document(images=[1]), "there is no list of images"),
    "a text for a number": (document(images=[{**document()["images"][0], "height": "40"}]), "height is '40'"),
    "no pixels": (document(images=[{**document()["images"][0], "width": 0}]), "has 0 x 40 pixels"),
    "a huge photo": (document(images=[{**document()["images"][0], "width": 1 << 40}]), "megapixels"),
    "an unknown category": (document(annotations=[thing(5, [])]), "category 5, which is not listed"),
    "a name without a text": (document(categories=[{"id": 1, "name": None}]), "name is None"),
    "two categories of an id": (document(categories=[*CATEGORIES, {"id": 3, "name": "fork"}]), "have the id 3"),
    "two photos of an id": (document(images=document()["images"] * 2), "two photo entries have the id 1"),
    "two of a name": (categories("cup", "cup"), "names cup twice"),
    "a name of controls": (categories("\x1b[2J"), "not a printable name"),
    "too many": (categories(*map(str, range(300))), "give 2 to 255"),
    **{
        f"the name {name!r}": (
            document(images=[{**document()["images"][0], "file_name": name}]),
            "expected one inside the folder",
        )
        for name in ("../a.png", "/etc/passwd", "x/../../a.png", "..\\a.png", "C:a.png", "", "a\n.png")
    },
}
OUTLINES: dict[str, tuple[Any, str]] = {
    "nothing": ([], "has no polygon"),
    "another kind": ("abc", "not of COCO's form"),
    "numbers": ([1, 2, 3, 4, 5, 6], "no list of three or more points"),
    "two points": ([[1, 2, 3, 4]], "no list of three or more points"),
    "half a point": ([[1, 2, 3, 4, 5, 6, 7]], "no list of three or more points"),
    "words": ([["a", "b", "c", "d", "e", "f"]], "not of COCO's form"),
    "lists of other lengths": ([[1, [2], 3, 4, 5, 6]], "not of COCO's form"),
    "not a number": ([[1, 2, 3, 4, 5, float("nan")]], "far outside"),
    "far away": ([[1, 2, 3, 4, 5, 1e300]], "far outside"),
    "without end": ([[0, 0, 100, 100] * 5000], "is longer than"),
    "many that are long": ([[0, 0, 100, 100] * 500] * 11, "is longer than"),
    "runs of another size": ({"size": [HEIGHT, 1], "counts": [HEIGHT]}, "for another size"),
    "runs that are too short": ({"size": [HEIGHT, WIDTH], "counts": [1, 2]}, "do not add up"),
    "runs below 0": ({"size": [HEIGHT, WIDTH], "counts": [-1, HEIGHT * WIDTH + 1]}, "no numbers of pixels"),
    "runs that overflow": ({"size": [HEIGHT, WIDTH], "counts": [2**63 - 1, 2**63 - 1, 2402]}, "no numbers of"),
    "no runs": ({"size": [HEIGHT, WIDTH], "counts": None}, "no numbers of pixels"),
    "runs that break off": ({"size": [HEIGHT, WIDTH], "counts": "o"}, "damaged run lengths"),
    "runs of other letters": ({"size": [HEIGHT, WIDTH], "counts": "é "}, "damaged run lengths"),
    "a run without end": ({"size": [HEIGHT, WIDTH], "counts": "o" * 100 + "0"}, "damaged run lengths"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_file_is_one_line(tmp_path: Path, case: str) -> None:
    pytest.importorskip("pycocotools")
    content, message = CASES[case]
    with pytest.raises(VecaError, match=r"instances_all\.json") as caught:
        read_masked_split(write_coco(tmp_path, all=content), "segmentation")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", OUTLINES)
def test_a_photo_with_a_damaged_outline_is_named_and_skipped(tmp_path: Path, case: str) -> None:
    pytest.importorskip("pycocotools")
    outline, message = OUTLINES[case]
    good = document()
    both = copy.deepcopy(good)
    both["images"].append({**good["images"][0], "id": 2})
    both["annotations"].append(thing(7, outline, image=2))
    said: list[str] = []
    mask = mask_of(read_masked_split(write_coco(tmp_path, all=both), "segmentation"), said)
    assert mask[15, 25] == 2
    assert "skipped: a.png in instances_all.json: the outline" in said[0]
    assert message in said[0]


def test_a_photo_of_another_size_is_named_before_anything_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    large = {**document()["images"][0], "height": 9000, "width": 9000}
    said: list[str] = []
    photos = read_masked_split(
        write_coco(tmp_path, all=document(images=[large], annotations=[thing(7, "not drawn")])), "segmentation"
    )
    with pytest.raises(VecaError, match="none of the 1 photos"):
        mask_of(photos, said)
    assert "differ in size: 60 x 40 and 9000 x 9000" in said[0]


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    folder = write_coco(
        tmp_path, train=document(), val=document(categories=[*CATEGORIES, {"id": 9, "name": "jug"}])
    )
    with pytest.raises(VecaError, match=r"instances_train.json and instances_val.json .* list other categories"):
        read_masked_folder(folder, "segmentation")
    (folder / "annotations/instances_train2014.json").write_text("{}")
    with pytest.raises(VecaError, match=r"leave one instances_train\*.json"):
        holds_masks(folder)


def test_without_pycocotools_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    monkeypatch.setattr("veca_edge.errors.is_installed", lambda module: False)
    with pytest.raises(VecaError, match=r"needs pycocotools.*pip install 'veca-edge\[coco\]'"):
        read_masked_folder(write_coco(tmp_path, all=document()), "segmentation")
