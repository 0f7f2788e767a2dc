"""Folders of photos as users have them: with and without val, damaged, oddly named."""

from __future__ import annotations

import os
import struct
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from tests.photos.labelled_photos import LABELS, pieces, write_photos, write_pieces
from veca_edge.errors import VecaError
from veca_edge.photos.folders import Skipped, decode, decode_all, read_folder
from veca_edge.playback.writers import save_png


def test_train_and_val_by_label(tmp_path):
    splits = read_folder(write_photos(tmp_path, train=3, val=2))
    assert splits.train.labels == splits.val.labels == splits.unlabelled.labels == LABELS
    assert [path.parent.name for path in splits.train.paths] == [label for label in LABELS for _ in range(3)]
    assert splits.val.targets.tolist() == [0, 0, 1, 1, 2, 2]
    assert splits.val.counts().tolist() == [2, 2, 2]
    assert len(splits.unlabelled) == 0


def test_without_val_a_tenth_of_each_label_is_held_out(tmp_path):
    for label, count in (("hat", 40), ("milk", 3), ("banana", 1)):
        write_pieces(tmp_path / label, label, count)
    said: list[str] = []
    splits = read_folder(tmp_path, said.append)
    assert splits.train.counts().tolist() == [1, 36, 2]
    assert splits.val.counts().tolist() == [0, 4, 1]
    assert not set(splits.train.paths) & set(splits.val.paths)
    assert said == [f"{tmp_path} has no val folder: one photo in 10 of each label is held out"]
    assert read_folder(tmp_path).val.paths == splits.val.paths
    assert read_folder(tmp_path, seed=1).val.paths != splits.val.paths


def test_a_label_may_be_called_train(tmp_path):
    write_pieces(tmp_path / "train", "milk", 3)
    write_pieces(tmp_path / "plane", "hat", 3)
    assert read_folder(tmp_path).train.labels == ("plane", "train")


def test_photos_without_labels_lie_anywhere_below_unlabelled(tmp_path):
    write_photos(tmp_path, train=1, val=1)
    deep = write_pieces(tmp_path / "unlabelled" / "2024" / "may", "shoes", 2)
    flat = write_pieces(tmp_path / "unlabelled", "shoes", 1)
    unlabelled = read_folder(tmp_path).unlabelled
    assert set(unlabelled.paths) == {*deep, *flat}
    assert unlabelled.targets.tolist() == [-1, -1, -1]


def test_unlabelled_is_no_label(tmp_path):
    for name in ("hat", "milk", "unlabelled"):
        write_pieces(tmp_path / name, "hat", 2)
    splits = read_folder(tmp_path)
    assert splits.train.labels == ("hat", "milk")
    assert len(splits.unlabelled) == 2


def test_what_is_no_photo_is_skipped_and_named(tmp_path):
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
    said: list[str] = []
    assert read_folder(tmp_path, said.append).train.counts().tolist() == [2, 2, 2]
    assert said == [
        f"skipped: cannot read {label}/empty.png: it is not a JPEG, PNG, WebP, BMP or TIFF image",
        f"skipped: {label}/huge.png is 90000x90000 pixels: use at most 100 megapixels",
        f"skipped: cannot read {label}/text.jpg: it is not a JPEG, PNG, WebP, BMP or TIFF image",
    ]


def test_many_skipped_files_are_counted():
    said: list[str] = []
    with Skipped(said.append) as skipped:
        for index in range(9):
            skipped(f"photo {index}")
    assert said == [*(f"skipped: photo {index}" for index in range(5)), "skipped: 4 more of the kind"]


def test_a_label_without_photos_is_left_out(tmp_path):
    write_photos(tmp_path, train=1, val=1)
    (tmp_path / "train" / "nothing").mkdir()
    said: list[str] = []
    assert read_folder(tmp_path, said.append).train.labels == LABELS
    assert said == [f"{tmp_path}/train/nothing has no photos: left out"]


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
def test_labels_of_any_script(tmp_path, name, label):
    write_pieces(tmp_path / name, "milk", 2)
    write_pieces(tmp_path / "hat", "hat", 2)
    assert set(read_folder(tmp_path).train.labels) == {"hat", label}


def test_one_name_typed_on_two_systems_is_one_label(tmp_path):
    for form in ("NFC", "NFD"):
        write_pieces(tmp_path / unicodedata.normalize(form, "Äpfel"), "milk", 5)
    write_pieces(tmp_path / "hat", "hat", 5)
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system holds them to be one name")
    splits = read_folder(tmp_path)
    assert splits.train.labels == ("hat", "Äpfel")
    assert len(splits.train) + len(splits.val) == 15


def _without_photos(folder: Path) -> None:
    (folder / "train" / "hat").mkdir(parents=True)


def _one_label(folder: Path) -> None:
    write_pieces(folder / "hat", "hat", 3)
    (folder / "milk").mkdir()


def _strange_val(folder: Path) -> None:
    write_photos(folder, train=1, val=1)
    write_pieces(folder / "val" / "boat", "hat", 1)


def _only_val(folder: Path) -> None:
    write_pieces(folder / "val" / "hat", "hat", 1)


def _empty_val(folder: Path) -> None:
    write_photos(folder, train=1, val=0)


def _one_photo_each(folder: Path) -> None:
    write_pieces(folder / "hat", "hat", 1)
    write_pieces(folder / "milk", "milk", 1)


def _terminal_codes(folder: Path) -> None:
    write_pieces(folder / "red\x1b[31m", "hat", 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no photo in a folder of a label"),
        (_without_photos, "no photo in a folder of a label"),
        (_one_label, r"only one label with photos \(hat\)"),
        (_strange_val, "val has a label that train lacks: boat"),
        (_only_val, "a val folder, but no train folder"),
        (_empty_val, "no photo to judge by"),
        (_one_photo_each, "no photo to judge by"),
        (_terminal_codes, r"'red\\x1b\[31m' in .* cannot be a label: rename it"),
        (lambda folder: folder.rmdir(), "no such folder of photos"),
    ],
)
def test_sets_that_teach_nothing_are_refused(tmp_path, make, message):
    folder = tmp_path / "photos"
    folder.mkdir()
    make(folder)
    with pytest.raises(VecaError, match=message):
        read_folder(folder)


def test_decoding_keeps_the_order_and_names_what_is_damaged(tmp_path):
    paths = write_pieces(tmp_path, "milk", 30)
    whole = paths[7].read_bytes()
    paths[7].write_bytes(whole[: len(whole) // 2])  # its header is sound
    results = list(decode_all(paths, lambda image: image, threads=3))
    assert isinstance(results[7], VecaError)
    assert str(paths[7]) in str(results[7])
    for index in (0, 6, 8, 29):
        assert np.array_equal(results[index], decode(paths[index]))
    assert np.array_equal(results[8], pieces("milk", 30)[8])


def test_decoding_looks_only_a_little_ahead(tmp_path):
    paths = write_pieces(tmp_path, "milk", 1) * 100
    seen: list[int] = []
    photos = decode_all(paths, lambda image: seen.append(len(image)), threads=2)
    next(photos)
    photos.close()
    assert len(seen) < 12


def test_a_photo_that_does_not_fit_is_that_photos_error(tmp_path):
    save_png(tmp_path / "long.png", np.zeros((10, 500, 3), np.uint8))

    def refuse(image):
        raise VecaError("too long")

    (result,) = decode_all([tmp_path / "long.png"], refuse)
    assert str(result) == "too long"
