"""Folders of photos with masks or values."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as pillow  # noqa: N813

from tests.dense_sets import LABELS, scene, write_masks, write_values
from veca_edge.errors import VecaError
from veca_edge.files import shortened
from veca_edge.photos.masks import (
    Classes,
    MaskedPhotos,
    Scale,
    decoded,
    holds_masks,
    read_masked_folder,
    read_masked_split,
    read_values,
)
from veca_edge.photos.voc import VOC_LABELS


def masks_of(photos: MaskedPhotos) -> list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    return [mask for _, (_, mask) in decoded(photos.val, photos.meaning, lambda image, target: (image, target))]


def test_a_folder_of_masks_is_read_with_its_labels_and_colours(tmp_path: Path) -> None:
    photos = read_masked_folder(write_masks(tmp_path), "segmentation")
    assert isinstance(photos.meaning, Classes)
    assert photos.meaning.labels == LABELS
    assert photos.meaning.colours[2] == (0x20, 0x40, 0xE0)
    assert (len(photos.train), len(photos.val), photos.kind) == (12, 4, "segmentation")
    assert np.array_equal(masks_of(photos)[0], scene(100)[1])
    assert holds_masks(tmp_path) == "segmentation"


def test_values_are_in_the_unit_and_unknown_where_nothing_was_measured(tmp_path: Path) -> None:
    photos = read_masked_folder(write_values(tmp_path), "regression")
    assert photos.meaning == Scale(0.01, "m")
    for values in masks_of(photos):  # from PNG and from .npy
        assert np.isnan(values[:8, :8]).all()
        assert set(np.unique(values[~np.isnan(values)]).round(3).tolist()) <= {1.0, 2.0, 4.0}
    assert holds_masks(tmp_path) == "regression"


def test_a_palette_holds_class_numbers_not_colours(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    path = folder / "val" / "masks" / "100.png"
    picture = pillow.fromarray(scene(100)[1], "P")
    picture.putpalette([0, 0, 0, 250, 0, 0, 0, 0, 250])
    picture.save(path)
    assert np.array_equal(masks_of(read_masked_folder(folder, "segmentation"))[0], scene(100)[1])


def test_without_val_some_are_held_out(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    for part in ("images", "masks"):
        shutil.move(folder / "train" / part, folder / part)
    shutil.rmtree(folder / "train")
    shutil.rmtree(folder / "val")
    said: list[str] = []
    photos = read_masked_folder(folder, "segmentation", said.append)
    assert (len(photos.train), len(photos.val)) == (11, 1)
    assert "1 photo of 12 held out" in said[-1]


def test_one_part_of_a_folder_is_read_with_the_labels_beside_it(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    for place in (folder, folder / "val"):
        assert len(read_masked_split(place, "segmentation").val) == 4


def test_voc_is_read_as_it_is(tmp_path: Path) -> None:
    image, mask = scene(1)
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "JPEGImages" / f"{name}.jpg"), image)
        cv2.imwrite(str(tmp_path / "SegmentationClass" / f"{name}.png"), mask)
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_text("a\nmissing\n")
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("b\n")
    said: list[str] = []
    photos = read_masked_folder(tmp_path, "segmentation", said.append)
    assert photos.meaning.labels == VOC_LABELS  # type: ignore[union-attr]
    assert (len(photos.train), len(photos.val)) == (1, 1)
    assert "missing.jpg: no such file" in said[0]


def test_what_cannot_be_used_is_named_and_skipped(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    masks = folder / "val" / "masks"
    (masks / "100.png").unlink()
    cv2.imwrite(str(masks / "101.png"), np.zeros((5, 5), np.uint8))
    cv2.imwrite(str(masks / "102.png"), np.full((96, 120), 7, np.uint8))
    said: list[str] = []
    photos = read_masked_folder(folder, "segmentation", said.append)
    kept = [index for index, _ in decoded(photos.val, photos.meaning, lambda *_: None, said.append)]
    assert kept == [2]
    assert "100.png has no partner in masks" in said[0]
    assert "differ in size: 120 x 96 and 5 x 5" in said[1]
    assert "has class 7, but there are 3 labels" in said[2]


def test_two_photos_or_masks_of_one_name_are_named_and_skipped(tmp_path: Path) -> None:
    folder = write_masks(tmp_path)
    images, masks = folder / "val" / "images", folder / "val" / "masks"
    photo = sorted(images.iterdir())[0]
    twin = photo.with_suffix(".png" if photo.suffix != ".png" else ".jpg")
    shutil.copy(photo, twin)
    np.save(masks / "101.npy", np.zeros((5, 5)))
    said: list[str] = []
    photos = read_masked_folder(folder, "segmentation", said.append)
    assert [pair.image.stem for pair in photos.val] == ["102", "103"]
    first, second = sorted((photo, twin))
    assert said == [
        f"skipped: {shortened(first)} and {second.name} differ in nothing but the ending: keep one of them",
        f"skipped: {shortened(masks / '101.npy')} and 101.png differ in nothing but the ending: keep one of them",
    ]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("labels.txt", b"only one\n", "give 2 to 255"),
        ("labels.txt", b"a\nb\na\n", "names a twice"),
        ("labels.txt", b"\xff\xfe\x00", "not a text in UTF-8"),
        ("labels.txt", b"a\n\x1b[2J\n", "not a printable name"),
        ("labels.txt", b"a\n" * 200_000, "give 2 to 255"),
        ("val/masks/100.png", b"no picture", "none of the 1 photos"),
    ],
)
def test_damaged_files_are_one_line(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    folder = write_masks(tmp_path, train=2, val=1)
    (folder / file).write_bytes(content)
    with pytest.raises(VecaError, match=message) as caught:
        masks_of(read_masked_folder(folder, "segmentation"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("zero m", "write what a step stands for"), ("-1 m", "stands for"), ("nan m", "stands for")],
)
def test_a_scale_is_a_number_and_a_unit(tmp_path: Path, text: str, message: str) -> None:
    folder = write_values(tmp_path, train=2, val=1)
    (folder / "scale.txt").write_text(text)
    with pytest.raises(VecaError, match=message):
        read_masked_folder(folder, "regression")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int64", "uint64", ">f8", "longdouble"])
def test_values_that_cannot_be_are_unknown(tmp_path: Path, kind: str) -> None:
    floats = np.dtype(kind).kind == "f"
    row = [-2.0, np.inf, 1.0 if kind == "float16" else np.finfo(kind).max] if floats else [3, np.iinfo(kind).max, 1]
    np.save(tmp_path / "a.npy", np.array([row], kind))
    values = read_values(tmp_path / "a.npy", Scale())
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, [[row[0], np.nan, 1 if row[2] == 1 else np.nan]])


def test_an_archive_is_no_array(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.savez(file, np.ones((2, 2)))
    with pytest.raises(VecaError, match=r"cannot read .*a\.npy"):
        read_values(tmp_path / "a.npy", Scale())


def test_colour_pictures_are_no_masks(tmp_path: Path) -> None:
    folder = write_masks(tmp_path, train=2, val=1)
    cv2.imwrite(str(folder / "val" / "masks" / "100.png"), np.zeros((96, 120, 3), np.uint8))
    said, photos = list[str](), read_masked_folder(folder, "segmentation")
    with pytest.raises(VecaError, match="none of the 1 photos"):
        list(decoded(photos.val, photos.meaning, lambda *_: None, said.append))
    assert "a mask holds class numbers" in said[0]
