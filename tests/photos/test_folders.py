"""Folders of photos as users have them: with and without val, damaged, oddly named."""

from __future__ import annotations

import os
import struct
import unicodedata
from pathlib import Path

import pytest

from tests.photos.labelled_photos import LABELS, write_folders, write_photos
from veca_edge.errors import VecaError
from veca_edge.image.formats import READ
from veca_edge.photos.folders import read_any_folder, read_folder


def test_train_and_val_by_label(tmp_path: Path) -> None:
    splits = read_folder(write_photos(tmp_path, train=3, val=2))
    assert splits.train.labels == splits.val.labels == splits.unlabelled.labels == LABELS
    assert [path.parent.name for path in splits.train.paths] == [label for label in LABELS for _ in range(3)]
    assert splits.train.label_names() == tuple(label for label in LABELS for _ in range(3))
    assert splits.val.targets.tolist() == [0, 0, 1, 1, 2, 2]
    assert splits.val.counts().tolist() == [2, 2, 2]
    assert len(splits.unlabelled) == 0


def test_without_val_a_tenth_of_each_label_is_held_out(tmp_path: Path) -> None:
    write_folders(tmp_path, {"hat": 40, "milk": 3, "banana": 1})
    said: list[str] = []
    splits = read_folder(tmp_path, said.append)
    assert splits.train.counts().tolist() == [1, 36, 2]
    assert splits.val.counts().tolist() == [0, 4, 1]
    assert not set(splits.train.paths) & set(splits.val.paths)
    assert said == [f"{tmp_path} has no val folder: one photo in 10 of each label is held out"]
    assert read_folder(tmp_path).val.paths == splits.val.paths
    assert read_folder(tmp_path, seed=1).val.paths != splits.val.paths


@pytest.mark.parametrize(
    ("counts", "learn", "evaluate"),
    [
        ({".": 7}, 4, 3),
        ({"hat": 4, "milk": 3}, 4, 3),
        ({"train/hat": 4, "train/milk": 3}, 4, 3),
        ({"train/hat": 4, "train/milk": 1, "val/milk": 2}, 5, 2),
    ],
)
def test_photos_to_calibrate_and_to_evaluate_with(
    tmp_path: Path, counts: dict[str, int], learn: int, evaluate: int
) -> None:
    paths, said = write_folders(tmp_path, counts), list[str]()
    parts = read_any_folder(tmp_path, said.append, seed=0)
    assert tuple(map(len, parts)) == (learn, evaluate)
    assert sorted(path for part in parts for path in part.paths) == sorted(paths)
    assert all(part.label_names()[0] == (None if "." in counts else part.paths[0].parent.name) for part in parts)
    assert [part.paths for part in parts] == [part.paths for part in read_any_folder(tmp_path, print, seed=0)]
    assert said == []


def test_a_label_may_be_called_train(tmp_path: Path) -> None:
    write_folders(tmp_path, {"train": 3, "plane": 3})
    assert read_folder(tmp_path).train.labels == ("plane", "train")


def test_photos_without_labels_lie_anywhere_below_unlabelled(tmp_path: Path) -> None:
    write_folders(tmp_path, {"hat": 2, "milk": 2})
    loose = write_folders(tmp_path, {"unlabelled/2024/may": 2, "unlabelled": 1})
    splits = read_folder(tmp_path)
    assert splits.train.labels == ("hat", "milk")
    assert set(splits.unlabelled.paths) == {*loose}
    assert splits.unlabelled.targets.tolist() == [-1, -1, -1]


def test_what_is_no_photo_is_skipped_and_named(tmp_path: Path) -> None:
    write_photos(tmp_path, train=2, val=1)
    label = tmp_path / "train" / "hat"
    (label / "text.jpg").write_text("not a photo")
    (label / "empty.png").write_bytes(b"")
    (label / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + struct.pack(">II", 90_000, 90_000))
    (label / "notes.txt").write_text("no word about this one")
    (label / "._photo.jpg").write_bytes(b"nor this one")
    (label / "folder.jpg").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(label / "pipe.jpg")
    (tmp_path / "train" / "nothing").mkdir()
    said: list[str] = []
    assert read_folder(tmp_path, said.append).train.counts().tolist() == [2, 2, 2]
    assert said == [
        f"skipped: cannot read {label}/empty.png: it is not {READ}",
        f"skipped: {label}/huge.png is 90000x90000 pixels: use at most 100 megapixels",
        f"skipped: cannot read {label}/text.jpg: it is not {READ}",
        f"{tmp_path}/train/nothing has no photos: left out",
    ]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Äpfel", "Äpfel"),
        (unicodedata.normalize("NFD", "Äpfel"), "Äpfel"),
        ("苹果", "苹果"),
        ("全角\u3000空白", "全角 空白"),
        ("نیم\u200cفاصله", "نیمفاصله"),
        ("\N{WOMAN}\u200d\N{ROCKET}", "\N{WOMAN}\N{ROCKET}"),
        ("  two   words ", "two words"),
        ("\u202eright to left", "right to left"),
    ],
)
def test_labels_of_any_script(tmp_path: Path, name: str, label: str) -> None:
    write_folders(tmp_path, {name: 2, "hat": 2})
    assert set(read_folder(tmp_path).train.labels) == {"hat", label}


def test_a_name_that_is_too_long_is_not_called_missing(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match=r"^cannot read …x+: File name too long$"):
        read_folder(tmp_path / ("x" * 300))


def test_one_name_typed_on_two_systems_is_one_label(tmp_path: Path) -> None:
    write_folders(tmp_path, {"hat": 5} | {unicodedata.normalize(form, "Äpfel"): 5 for form in ("NFC", "NFD")})
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system holds them to be one name")
    splits = read_folder(tmp_path)
    assert splits.train.labels == ("hat", "Äpfel")
    assert len(splits.train) + len(splits.val) == 15


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "no photo in a folder of a label"),
        ({"train/hat": 0}, "no photo in a folder of a label"),
        ({"hat": 3, "milk": 0}, r"only one label with photos \(hat\)"),
        ({"train/hat": 1, "train/milk": 1, "val/hat": 1, "val/boat": 1}, "val has a label that train lacks: boat"),
        ({"val/hat": 1}, "a val folder, but no train folder"),
        ({"train/hat": 1, "train/milk": 1, "val/milk": 0}, "no photo to evaluate on"),
        ({"hat": 1, "milk": 1}, "no photo to evaluate on"),
        ({"red\x1b[31m": 1}, r"'red\\x1b\[31m' in .* cannot be a label: rename it"),
        (None, "no such folder of photos"),
    ],
)
def test_sets_from_which_nothing_can_be_learned_are_refused(
    tmp_path: Path, counts: dict[str, int] | None, message: str
) -> None:
    if counts is not None:
        write_folders(tmp_path / "photos", counts)
    with pytest.raises(VecaError, match=message):
        read_folder(tmp_path / "photos")


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(VecaError, match=r"photo\.jpg is a file: give the folder of the photos"):
        read_folder(tmp_path / "photo.jpg")
