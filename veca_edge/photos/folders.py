"""Photos in labelled folders: found, checked, split and decoded. Folders come from users, so nothing is trusted."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError
from veca_edge.files import expanded, shortened
from veca_edge.image.headers import IMAGE_SUFFIXES, image_size
from veca_edge.image.opencv import check_pixels, quiet_opencv
from veca_edge.image.stills import read_image
from veca_edge.runtime.threads import default_threads

UNLABELLED = -1  # the target of a photo without a label
HOLD_OUT = 10  # one photo in so many is held out where the folder has no val of its own
HEADER = 65_536  # bytes that hold the header of nearly every photo
NAMED = 5  # skipped files that are named before the rest is only counted
AHEAD = 4  # photos per thread that are decoded before they are asked for

Image = NDArray[np.uint8]
Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Photos:
    """One split of a photo set.

    Attributes:
        paths: n files, by label and then by name.
        targets: int64 (n,), index into `labels`, or -1 for a photo without a label.
        labels: K names, sorted; shared by all splits of a set.
    """

    paths: tuple[Path, ...]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, rows: Sequence[int] | NDArray[np.integer]) -> Photos:
        """The photos of these indices, in this order; the labels stay."""
        chosen = np.asarray(rows, np.int64)
        return Photos(tuple(self.paths[row] for row in chosen), self.targets[chosen], self.labels)

    def digest(self, side: int) -> str:
        """SHA-256 of the list as squares of `side` pixels: file names with their folders, targets; no pixels."""
        found = hashlib.sha256(f"{side}".encode())
        for path, target in zip(self.paths, self.targets, strict=True):
            found.update(f"\0{target}\0{'/'.join(path.parts[-3:])}".encode(errors="surrogateescape"))
        return found.hexdigest()

    def counts(self) -> NDArray[np.int64]:
        """Photos per label: int64 (K,)."""
        return np.bincount(self.targets[self.targets >= 0], minlength=len(self.labels))


@dataclass(frozen=True)
class Splits:
    """A photo set: what to learn from, what to judge by, and photos without labels (often none)."""

    train: Photos
    val: Photos
    unlabelled: Photos


class Skipped:
    """Names the first few files that are skipped, and counts the others.

    Use it as a context manager: leaving it says how many were not named.
    """

    def __init__(self, say: Say) -> None:
        self.count = 0
        self._say = say

    def __call__(self, reason: object) -> None:
        """Note one skipped file, with a line that names it."""
        self.count += 1
        if self.count <= NAMED:
            self._say(f"skipped: {reason}")

    def __enter__(self) -> Skipped:
        return self

    def __exit__(self, *_: object) -> None:
        if self.count > NAMED:
            self._say(f"skipped: {self.count - NAMED} more of the kind")


def read_folder(folder: Path, say: Say = lambda _: None, seed: int = 0) -> Splits:
    """Find the photos of a folder.

    The folder holds `train/<label>/` and `val/<label>/`, or just `<label>/`: then a tenth of each label's photos
    is held out as val. `unlabelled/` beside them may hold photos without labels, in folders of any depth. A label
    is its folder's name in Unicode's composed form, so that one name typed on two systems is one label.

    Args:
        folder: the photo set.
        say: receives lines about what was skipped and decided.
        seed: for the photos that are held out; the same seed and names hold out the same.

    Raises:
        VecaError: no such folder, fewer than two labels with photos, an empty val, a val label that train lacks, or
            a folder name that cannot be printed.
    """
    folder = expanded(folder)
    if not folder.is_dir():
        raise VecaError(f"{shortened(folder)}: no such folder of photos")
    train_folder, val_folder = folder / "train", folder / "val"
    with Skipped(say) as skipped:
        if not has_folders(train_folder):
            if has_folders(val_folder):
                raise VecaError(
                    f"{shortened(folder)} has a val folder, but no train folder with a folder per label"
                )
            train, val = _labelled(folder, say, skipped, leave_out=("unlabelled",)), None
        else:
            train = _labelled(train_folder, say, skipped)
            val = _labelled(val_folder, say, skipped) if val_folder.is_dir() else None
        labels = tuple(sorted(train))
        check_labels(labels, folder)
        if val is None:
            train, val = _held_out(train, seed)
            say(f"{shortened(folder)} has no val folder: one photo in {HOLD_OUT} of each label is held out")
        if unknown := sorted(set(val) - set(labels)):
            raise VecaError(f"{shortened(val_folder)} has a label that train lacks: {unknown[0]}")
        loose = tuple(_usable(_all_below(folder / "unlabelled"), skipped))
    unlabelled = Photos(loose, np.full(len(loose), UNLABELLED, np.int64), labels)
    splits = Splits(_photos(train, labels), _photos(val, labels), unlabelled)
    if not len(splits.val):
        raise VecaError(
            f"{shortened(folder)} has no photo to judge by: put some in val, or two or more in each label"
        )
    return splits


def joined(parts: Sequence[Photos]) -> Photos:
    """Several lists with the same labels, one after the other."""
    paths = tuple(path for part in parts for path in part.paths)
    return Photos(paths, np.concatenate([part.targets for part in parts]), parts[0].labels)


def decode(path: Path) -> Image:
    """A photo: uint8 (H, W, 3), RGB, upright.

    Raises:
        VecaError: it cannot be read, is damaged, or has over 100 megapixels.
    """
    return read_image(path)


def decode_all(
    paths: Sequence[Path], prepare: Callable[[Image], T], threads: int | None = None
) -> Iterator[T | VecaError]:
    """Decode photos in worker threads, a few ahead of what is asked for.

    Args:
        paths: the files.
        prepare: what to do with each decoded photo, also in the worker; a VecaError it raises is that photo's.
        threads: workers; None for the number of big cores.

    Yields:
        In the order of `paths`: what `prepare` returned, or the VecaError that says why there is nothing.
    """

    def work(path: Path) -> T | VecaError:
        try:
            return prepare(decode(path))
        except VecaError as error:
            return error

    quiet_opencv()  # here, because two threads cannot import OpenCV for the first time at once
    count = threads or default_threads()
    rest = iter(paths)
    with ThreadPoolExecutor(count, "decode") as pool:
        waiting: deque[Future[T | VecaError]] = deque(
            pool.submit(work, path) for path in islice(rest, AHEAD * count)
        )
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(work, path) for path in islice(rest, 1))
        finally:
            for future in waiting:
                future.cancel()


def check_labels(labels: Sequence[str], folder: Path) -> None:
    """Refuse a set with which nothing can be told apart.

    Args:
        labels: those that have photos.
        folder: where they come from, for the message.

    Raises:
        VecaError: fewer than two labels.
    """
    if len(labels) < 2:
        have = f"only one label with photos ({labels[0]})" if labels else "no photo in a folder of a label"
        raise VecaError(f"{shortened(folder)} has {have}: give two or more folders, each named after its label")


def _labelled(folder: Path, say: Say, skipped: Skipped, leave_out: Sequence[str] = ()) -> dict[str, list[Path]]:
    """The readable photos of each label that has any."""
    found: dict[str, list[Path]] = {}
    for entry in _entries(folder):
        if not entry.is_dir() or entry.name in leave_out:
            continue
        paths = list(_usable(_entries(entry), skipped))
        if not paths:
            say(f"{shortened(entry)} has no photos: left out")
            continue
        found.setdefault(_label(entry), []).extend(paths)
    return found


def _label(folder: Path) -> str:
    """A folder's name as a label: composed, single spaces, nothing invisible."""
    # Joiners and direction marks would be refused by everything that prints labels; letters read well without.
    visible = (letter for letter in folder.name if unicodedata.category(letter) != "Cf")
    label = unicodedata.normalize("NFC", " ".join("".join(visible).split()))
    if not label or not label.isprintable():
        raise VecaError(
            f"the folder name {folder.name!a} in {shortened(folder.parent)} cannot be a label: rename it"
        )
    return label


def _held_out(found: dict[str, list[Path]], seed: int) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """(train, val): one photo in ten of each label as val, at least one if there are two."""
    random = np.random.default_rng(seed)
    train, val = {}, {}
    for label in sorted(found):
        paths = found[label]
        order = random.permutation(len(paths))
        count = min(max(1, round(len(paths) / HOLD_OUT)), len(paths) - 1)
        val[label] = [paths[i] for i in sorted(order[:count])]
        train[label] = [paths[i] for i in sorted(order[count:])]
    return train, val


def _photos(found: dict[str, list[Path]], labels: tuple[str, ...]) -> Photos:
    paths = tuple(path for label in labels for path in found.get(label, ()))
    counts = [len(found.get(label, ())) for label in labels]
    return Photos(paths, np.repeat(np.arange(len(labels), dtype=np.int64), counts), labels)


def _usable(paths: Sequence[Path], skipped: Skipped) -> Iterator[Path]:
    """Those whose header is a photo's; what is inside shows when they are decoded."""
    for path in paths:
        # Folders, pipes and hidden leftovers ("._photo.jpg", "Thumbs.db") are no photos and need no word.
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
            continue
        try:
            _check_header(path)
        except VecaError as error:
            skipped(error)
        else:
            yield path


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(HEADER)
            # Some cameras put a large preview in front of a JPEG's size, and TIFF may keep it at the end.
            size = image_size(head) or (image_size(head + file.read()) if len(head) == HEADER else None)
    except OSError as error:
        raise VecaError(f"cannot read {path}: {error.strerror}") from None
    if size is None:
        raise VecaError(f"cannot read {path}: it is not a JPEG, PNG, WebP, BMP or TIFF image")
    check_pixels(str(path), *size)


def has_folders(folder: Path) -> bool:
    """Whether this is a folder with folders in it, hidden ones aside; VecaError if it cannot be read."""
    return folder.is_dir() and any(entry.is_dir() for entry in _entries(folder))


def _entries(folder: Path) -> list[Path]:
    """What lies directly in a folder, by name, without hidden entries."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise VecaError(f"cannot read {shortened(folder)}: {error.strerror}") from None


def _all_below(folder: Path) -> list[Path]:
    """Every file below a folder, by path; links to folders are not followed, so there are no circles."""
    return sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names)
