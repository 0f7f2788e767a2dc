"""Folders of photos: found, checked and split. Folders come from users, so nothing is trusted."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError
from veca_edge.files import is_folder, is_regular, photo_folder, shortened
from veca_edge.image.skipping import Say, Skipped
from veca_edge.image.stills import check_header, has_image_name, images_in

MOST_TEXT = 1 << 20  # bytes of labels or of a list of photos
UNLABELLED = -1  # the target of a photo without a label
HOLD_OUT = 10  # one photo in so many is held out where the folder has no val of its own


@dataclass(frozen=True, eq=False)
class Photos:
    """One split of a photo set.

    Attributes:
        paths: n files, by label and then by name unless said otherwise.
        targets: int64 (n,), index into `labels`, or -1 for a photo without a label.
        labels: K names, sorted; shared by all splits of a set.
    """

    paths: tuple[Path, ...]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]

    @classmethod
    def unlabelled(cls, paths: Iterable[Path], labels: tuple[str, ...] = ()) -> Photos:
        """Photos without labels of their own."""
        found = tuple(paths)
        return cls(found, np.full(len(found), UNLABELLED, np.int64), labels)

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, rows: Sequence[int] | NDArray[np.integer]) -> Photos:
        """The photos of these indices, in this order; the labels stay."""
        chosen = np.asarray(rows, np.int64)
        return Photos(tuple(self.paths[row] for row in chosen), self.targets[chosen], self.labels)

    def shuffled(self, seed: int) -> Photos:
        """The same photos in a random order."""
        return self.select(np.random.default_rng(seed).permutation(len(self)))

    def label_names(self) -> tuple[str | None, ...]:
        """Each photo's label; None without one."""
        return tuple(None if target == UNLABELLED else self.labels[target] for target in self.targets)

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
    """A photo set: photos to learn from, to evaluate on, and without labels (often none)."""

    train: Photos
    val: Photos
    unlabelled: Photos


def read_folder(folder: Path, say: Say = lambda _: None, seed: int = 0) -> Splits:
    """Find the photos of a labelled folder.

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
    folder = photo_folder(folder)
    with Skipped(say) as skipped:
        splits, held_out = _read_labelled(folder, say, skipped, seed)
    if held_out:
        say(f"{shortened(folder)} has no val folder: one photo in {HOLD_OUT} of each label is held out")
    return splits


def read_any_folder(folder: Path, say: Say, seed: int) -> tuple[Photos, Photos]:
    """Photos to learn from and to evaluate on, in random order, from a folder with or without labels.

    Where there is a `val` folder, it is what is evaluated on; otherwise half of the photos.

    Args:
        folder: as for `read_folder`, or one that holds photos alone.
        say: receives lines about what was skipped.
        seed: for the order, and thereby the halves.

    Raises:
        VecaError: as `read_folder` does for folders of folders; no such folder, or fewer than two images in it.
    """
    folder = photo_folder(folder)
    if not has_folders(folder):
        return _halves(Photos.unlabelled(images_in(folder)), seed)
    with Skipped(say) as skipped:
        splits, held_out = _read_labelled(folder, say, skipped, seed)
    if held_out:
        return _halves(joined([splits.train, splits.val]), seed)
    return splits.train.shuffled(seed), splits.val.shuffled(seed)


def read_labelled(folder: Path, say: Say = lambda _: None) -> Photos:
    """Labelled photos to evaluate on: those of a folder's `val` if it has one, else all of them.

    Args, errors: as for `read_folder`; one label is enough.
    """
    folder = photo_folder(folder)
    place = folder / "val" if has_folders(folder / "val") else folder
    with Skipped(say) as skipped:
        found = _labelled(place, say, skipped, leave_out=("unlabelled",))
    if not found:
        raise VecaError(
            f"{shortened(place)} has no photos in folders named after their labels: give the folder above those"
        )
    return _photos(found, tuple(sorted(found)))


def joined(parts: Sequence[Photos]) -> Photos:
    """Several lists with the same labels, one after the other."""
    paths = tuple(path for part in parts for path in part.paths)
    return Photos(paths, np.concatenate([part.targets for part in parts]), parts[0].labels)


def _read_labelled(folder: Path, say: Say, skipped: Skipped, seed: int) -> tuple[Splits, bool]:
    """The splits, and whether val was held out because there is no folder of that name."""
    train_folder, val_folder = folder / "train", folder / "val"
    if has_folders(train_folder):
        train = _labelled(train_folder, say, skipped)
        val = _labelled(val_folder, say, skipped) if is_folder(val_folder) else None
    elif has_folders(val_folder):
        raise VecaError(f"{shortened(folder)} has a val folder, but no train folder with a folder per label")
    else:
        train, val = _labelled(folder, say, skipped, leave_out=("unlabelled",)), None
    labels = tuple(sorted(train))
    _check_labels(labels, folder)
    held_out = val is None
    if val is None:
        train, val = _held_out(train, seed)
    if unknown := sorted(set(val) - set(labels)):
        raise VecaError(f"{shortened(val_folder)} has a label that train lacks: {unknown[0]}")
    if not any(val.values()):
        raise VecaError(
            f"{shortened(folder)} has no photo to evaluate on: put some in val, or two or more in each label"
        )
    unlabelled = Photos.unlabelled(usable(all_below(folder / "unlabelled"), skipped), labels)
    return Splits(_photos(train, labels), _photos(val, labels), unlabelled), held_out


def _check_labels(labels: Sequence[str], folder: Path) -> None:
    """Refuse a set in which there is nothing to tell apart."""
    if len(labels) < 2:
        have = f"only one label with photos ({labels[0]})" if labels else "no photo in a folder of a label"
        raise VecaError(f"{shortened(folder)} has {have}: give two or more folders, each named after its label")


def _labelled(folder: Path, say: Say, skipped: Skipped, leave_out: Sequence[str] = ()) -> dict[str, list[Path]]:
    """The readable photos of each label that has any."""
    found: dict[str, list[Path]] = {}
    for entry in entries(folder):
        if entry.name in leave_out or not is_folder(entry):
            continue
        paths = list(usable(entries(entry), skipped))
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


def _halves(photos: Photos, seed: int) -> tuple[Photos, Photos]:
    """Two halves in random order."""
    if len(photos) < 2:
        raise VecaError(f"{len(photos)} photo is too few: give one to learn from and one to evaluate on, or more")
    mixed = photos.shuffled(seed)
    return mixed.select(range(0, len(mixed), 2)), mixed.select(range(1, len(mixed), 2))


def _photos(found: dict[str, list[Path]], labels: tuple[str, ...]) -> Photos:
    paths = tuple(path for label in labels for path in found.get(label, ()))
    counts = [len(found.get(label, ())) for label in labels]
    return Photos(paths, np.repeat(np.arange(len(labels), dtype=np.int64), counts), labels)


def usable(paths: Sequence[Path], skipped: Skipped) -> Iterator[Path]:
    """Those whose header is a photo's; what is inside shows when they are decoded."""
    for path in paths:
        # Folders, pipes and leftovers ("Thumbs.db") are no photos, and nobody needs to be told.
        try:
            if not has_image_name(path) or not is_regular(path):
                continue
            check_header(path)
        except VecaError as error:
            skipped(error)
        else:
            yield path


def has_folders(folder: Path) -> bool:
    """Whether this is a folder with folders in it, hidden ones aside; VecaError if it cannot be read."""
    return is_folder(folder) and any(is_folder(entry) for entry in entries(folder))


def entries(folder: Path) -> list[Path]:
    """What lies directly in a folder, by name, without hidden entries."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise VecaError(f"cannot read {shortened(folder)}: {error.strerror}") from None


def by_stem(folder: Path, wanted: Callable[[Path], bool], skipped: Skipped) -> dict[str, Path | None]:
    """The wanted files of a folder by their names without the ending; None, and named, if several share one."""
    found: dict[str, list[Path]] = {}
    for path in entries(folder):
        if is_regular(path) and wanted(path):
            found.setdefault(path.stem, []).append(path)
    for first, *others in found.values():
        if others:
            names = " and ".join(other.name for other in others)
            skipped(f"{shortened(first)} and {names} differ in nothing but the ending: keep one of them")
    return {stem: paths[0] if len(paths) == 1 else None for stem, paths in found.items()}


def small_text(path: Path) -> str:
    """A text of a photo set, such as its labels.

    Raises:
        VecaError: it cannot be read, or is too large or no text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_TEXT + 1)
        if len(data) > MOST_TEXT:
            raise VecaError(f"{shortened(path)} is larger than {MOST_TEXT >> 20} MB: expected a few lines")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise VecaError(f"cannot read {shortened(path)}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise VecaError(f"{shortened(path)} is not a text in UTF-8: save it as one") from None


def all_below(folder: Path) -> list[Path]:
    """Every file below a folder, by path; links to folders are not followed, so there are no circles."""
    return sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names)
