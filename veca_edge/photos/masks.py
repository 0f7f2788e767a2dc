"""Folders of photos with a picture of targets for each: masks of classes, or values such as depths.

    people/labels.txt             a class a line, the first is number 0; a colour may follow: "person #e6194b"
    people/train/images/*.jpg     photos
    people/train/masks/*.png      grey or palette PNG of class numbers, as large as the photo; 255 is ignored
    people/val/...                the same; without train and val a tenth of images/ and masks/ is held out

    rooms/scale.txt               what a step of the PNGs stands for, and the unit: "0.001 m"
    rooms/train/values/*.png      16-bit PNG (0 is unknown), or .npy of floats in the unit (NaN is unknown)

The layouts of PASCAL VOC (see `photos.voc`) and COCO (see `photos.coco`) are read as they are, COCO's where
there is no labels.txt.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.errors import VecaError, require
from veca_edge.files import is_folder, is_regular, photo_folder, shortened
from veca_edge.image.opencv import check_pixels
from veca_edge.image.skipping import Say, Skipped
from veca_edge.image.stills import has_image_name, read_image
from veca_edge.modelfile.heads import (
    FOLDERS,
    LABELS,
    LARGEST_VALUE,
    MAX_CLASSES,
    SCALE,
    Colour,
    Kind,
    class_colours,
)
from veca_edge.modelfile.heads import IGNORE as IGNORE
from veca_edge.numbers import counted, finite
from veca_edge.photos.coco import Outlines, instance_files, read_instances
from veca_edge.photos.decoding import loaded
from veca_edge.photos.folders import HOLD_OUT, Photos, by_stem, small_text
from veca_edge.photos.voc import VOC_LABELS, is_voc, read_voc

_COLOUR = re.compile(r"^(.*\S)\s+#([0-9a-fA-F]{6})$")

T = TypeVar("T")
Mask = NDArray[np.uint8]
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """A photo and its targets: a file, or outlines from which a mask is drawn."""

    image: Path
    target: Path | Outlines


@dataclass(frozen=True)
class Classes:
    """What masks show.

    Attributes:
        labels: K names, of the numbers 0 … K - 1.
        colours: one per label, RGB.
    """

    labels: tuple[str, ...]
    colours: tuple[Colour, ...]


@dataclass(frozen=True)
class Scale:
    """What the steps of a 16-bit PNG stand for.

    Attributes:
        step: value of one step, above 0; .npy files hold values as they are.
        unit: such as "m"; "" if unknown.
    """

    step: float = 1.0
    unit: str = ""


@dataclass(frozen=True)
class MaskedPhotos:
    """Photos with their targets.

    Attributes:
        meaning: of the targets.
        train, val: to learn from and to evaluate on.
    """

    meaning: Classes | Scale
    train: tuple[Pair, ...]
    val: tuple[Pair, ...]

    @property
    def kind(self) -> Kind:
        """What a head for them is."""
        return "segmentation" if isinstance(self.meaning, Classes) else "regression"

    def photos(self, seed: int) -> tuple[Photos, Photos]:
        """Those of train and of val in random order, without their targets."""
        train, val = (Photos.unlabelled(pair.image for pair in part) for part in (self.train, self.val))
        return train.shuffled(seed), val.shuffled(seed)


def read_masked_folder(folder: Path, kind: Kind, say: Say = lambda _: None, seed: int = 0) -> MaskedPhotos:
    """Find photos with targets to learn from and to evaluate on; see this module for how a folder looks.

    Args:
        folder: the set.
        kind: what its targets are.
        say: receives lines about what was left out and decided.
        seed: for the photos that are held out if the folder does not divide them.

    Raises:
        VecaError: no such folder, no pair in it, or labels or a scale that cannot be read.
    """
    folder = photo_folder(folder)
    meaning: Classes | Scale
    if files := _coco_files(folder, kind):
        meaning, parts = _read_coco(folder, files, say)
    else:
        meaning, parts = _meaning(folder, kind, say), _read_parts(folder, kind, say)
    train, val = parts if len(parts) == 2 else _held_out(folder, parts[0], say, seed)
    if not train:
        raise VecaError(f"{shortened(folder)} has too few photos: give at least two with targets")
    return MaskedPhotos(meaning, train, val)


def read_if_masked(folder: Path, say: Say, seed: int) -> MaskedPhotos | None:
    """What `read_masked_folder` finds, None in a folder without targets."""
    kind = holds_masks(folder)
    return None if kind is None else read_masked_folder(folder, kind, say, seed)


def read_masked_split(folder: Path, kind: Kind, say: Say = lambda _: None) -> MaskedPhotos:
    """All photos of one folder with targets, as `val`: of a folder that is divided, its val folder.

    Args, errors: see `read_masked_folder`; labels or a scale may also lie in the folder's parent.
    """
    folder = photo_folder(folder)
    if files := _coco_files(folder, kind):
        meaning, (pairs,) = _read_coco(folder, files[-1:], say)
        return MaskedPhotos(meaning, (), pairs)
    if is_folder(folder / "val") or is_voc(folder):
        return read_masked_folder(folder, kind, say)
    place = folder if is_regular(_meaning_file(folder, kind)) else folder.parent
    return MaskedPhotos(_meaning(place, kind, say), (), _pairs(folder, kind, say))


def holds_masks(folder: Path) -> Kind | None:
    """What the targets in a folder are, going by the names of the folders in it; None without any."""
    for kind, name in FOLDERS.items():
        if any(is_folder(place / name) for place in (folder, folder / "train", folder / "val")):
            return kind
    return "segmentation" if is_voc(folder) or instance_files(folder) else None


def decoded(
    pairs: Sequence[Pair],
    meaning: Classes | Scale,
    prepare: Callable[[Image, NDArray[Any]], T],
    say: Say = lambda _: None,
) -> Iterator[tuple[int, T]]:
    """Decode pairs a few ahead of what is asked for; those that cannot be used are named and skipped.

    Args:
        pairs: what to decode.
        meaning: of the targets.
        prepare: takes a photo, uint8 (H, W, 3) RGB, and its targets: uint8 (H, W) of class numbers (255 ignored) or
            float32 (H, W) of values (NaN unknown). It runs in a worker thread.
        say: receives lines about what is skipped.

    Yields:
        In the order of `pairs`: an index and what `prepare` returned.

    Raises:
        VecaError: none of them can be used.
    """

    def load(pair: Pair) -> T:
        image = read_image(pair.image)
        if isinstance(pair.target, Outlines):  # before they are drawn: their file may name any size
            _check_size(pair, image, (pair.target.height, pair.target.width))
        target = read_target(pair.target, meaning)
        _check_size(pair, image, target.shape)
        return prepare(image, target)

    found = None
    for found in loaded(pairs, load, say):
        yield found
    if found is None:
        raise VecaError(f"none of the {len(pairs)} photos can be used with its targets")


def _check_size(pair: Pair, image: Image, size: tuple[int, ...]) -> None:
    if image.shape[:2] != size:
        sizes = " and ".join(f"{shape[1]} x {shape[0]}" for shape in (image.shape, size))
        raise VecaError(f"{shortened(pair.image)} and {pair.target.name} differ in size: {sizes}")


def read_target(target: Path | Outlines, meaning: Classes | Scale) -> NDArray[Any]:
    """What `read_mask` or `read_values` reads, or `Outlines.mask` draws."""
    if isinstance(target, Outlines):
        return target.mask()
    return read_mask(target, meaning) if isinstance(meaning, Classes) else read_values(target, meaning)


def read_mask(path: Path, classes: Classes) -> Mask:
    """Class numbers of a mask: uint8 (H, W); 255 where it says nothing.

    Raises:
        VecaError: it cannot be read, is a colour picture, or has a class that there is no label for.
    """
    with _opened(path) as picture:
        if picture.mode not in ("P", "L", "1"):
            raise VecaError(
                f"{shortened(path)} is a picture of mode {picture.mode}: a mask holds class numbers, as grey or "
                "palette PNG with 8 bits"
            )
        mask = np.asarray(picture, np.uint8)
    used = np.unique(mask)
    unknown = used[(used >= len(classes.labels)) & (used != IGNORE)]
    if len(unknown):
        raise VecaError(f"{shortened(path)} has class {unknown[0]}, but there are {len(classes.labels)} labels")
    return mask


def read_values(path: Path, scale: Scale) -> Values:
    """Values in the unit: float32 (H, W); NaN where they are unknown or beyond `LARGEST_VALUE`.

    Raises:
        VecaError: it cannot be read, or is no picture of one channel.
    """
    if path.suffix == ".npy":
        try:
            values = np.lib.format.open_memmap(path, mode="r")  # `np.load` would open archives too
        except Exception as error:  # numpy's header parser raises whatever the damage leads to
            raise VecaError(f"cannot read {shortened(path)}: {error!r:.80}") from None
        if values.ndim != 2 or values.dtype.kind not in "fui":
            raise VecaError(f"{shortened(path)} has shape {values.shape}, expected numbers (height, width)")
        check_pixels(shortened(path), values.shape[1], values.shape[0])
        low, high = np.array((-LARGEST_VALUE, LARGEST_VALUE))[:, None, None]  # arrays, so that nothing overflows
        return np.where((values >= low) & (values <= high), values, np.nan).astype(np.float32)
    with _opened(path) as picture:
        if picture.mode not in ("I;16", "I;16B", "I", "L"):
            raise VecaError(f"{shortened(path)} is a picture of mode {picture.mode}: give a PNG of 16 grey bits")
        steps = np.asarray(picture, np.float32)
    found = np.where(steps > 0, steps * np.float32(scale.step), np.float32(np.nan))
    return np.where(found <= LARGEST_VALUE, found, np.float32(np.nan))


def _read_parts(folder: Path, kind: Kind, say: Say) -> list[tuple[Pair, ...]]:
    """What a folder divides into train and val; all that it has if it does not."""
    if kind == "segmentation" and is_voc(folder):
        return [_pairs_of(read_voc(folder, part, say)) for part in ("train", "val")]
    if not is_folder(folder / "train"):
        return [_pairs(folder, kind, say)]
    if not is_folder(folder / "val"):
        raise VecaError(f"{shortened(folder)} has a train folder, but no val: put some photos and targets there")
    return [_pairs(folder / part, kind, say) for part in ("train", "val")]


def _pairs_of(found: Iterable[tuple[Path, Path | Outlines]]) -> tuple[Pair, ...]:
    return tuple(Pair(*pair) for pair in found)


def _held_out(
    folder: Path, pairs: tuple[Pair, ...], say: Say, seed: int
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    order, count = np.random.default_rng(seed).permutation(len(pairs)), max(1, len(pairs) // HOLD_OUT)
    train, val = (tuple(pairs[i] for i in sorted(part)) for part in (order[count:], order[:count]))
    say(f"{shortened(folder)} has no part for val: {counted(len(val), 'photo')} of {len(pairs)} held out")
    return train, val


def _coco_files(folder: Path, kind: Kind) -> list[Path]:
    """The files of a folder in COCO's layout, one or train and val; none of another folder."""
    ours = kind == "regression" or is_regular(_meaning_file(folder, kind))
    return [] if ours else instance_files(folder)


def _read_coco(folder: Path, files: list[Path], say: Say) -> tuple[Classes, list[tuple[Pair, ...]]]:
    """The classes, and the pairs of each file."""
    read = [read_instances(folder, file, say) for file in files]
    if read[0].labels != read[-1].labels:
        raise VecaError(f"{files[0].name} and {files[-1].name} in {shortened(folder)} list other categories")
    pairs = [_pairs_of(part.photos) for part in read]
    for file, part in zip(files, pairs, strict=True):
        if not part:
            raise VecaError(f"none of the photos in {shortened(file)} is there")
    return _named(files[0], read[0].labels), pairs


def _meaning_file(folder: Path, kind: Kind) -> Path:
    return folder / (LABELS if kind == "segmentation" else SCALE)


def _meaning(folder: Path, kind: Kind, say: Say) -> Classes | Scale:
    path = _meaning_file(folder, kind)
    if is_regular(path):
        text = small_text(path)
        return _classes(path, text) if kind == "segmentation" else _scale(path, text)
    if kind == "regression":
        say(f"there is no {shortened(path)}: a step of a PNG counts as 1, without a unit")
        return Scale()
    if is_voc(folder):
        return Classes(VOC_LABELS, class_colours(VOC_LABELS))
    raise VecaError(f"{shortened(folder)} has no {LABELS}: write the name of a class on each line, number 0 first")


def _classes(path: Path, text: str) -> Classes:
    labels: list[str] = []
    given: dict[int, Colour] = {}
    for number, line in enumerate(line.strip() for line in text.splitlines() if line.strip()):
        if match := _COLOUR.match(line):
            line, value = match[1], int(match[2], 16)
            given[number] = (value >> 16, value >> 8 & 255, value & 255)
        labels.append(line)
    return _named(path, labels, given)


def _named(path: Path, labels: Sequence[str], given: Mapping[int, Colour] | None = None) -> Classes:
    """Classes with the labels of a file, and colours for those to which it gives none."""
    if not 2 <= len(labels) <= min(MAX_CLASSES, IGNORE):
        raise VecaError(f"{shortened(path)} has {counted(len(labels), 'label')}: give 2 to {IGNORE}")
    seen = set[str]()
    for number, label in enumerate(labels):
        if not label or not label.isprintable() or len(label) > 200:
            raise VecaError(f"{shortened(path)}: label {number} is not a printable name")
        if label in seen:
            raise VecaError(f"{shortened(path)} names {label} twice: give each class a name of its own")
        seen.add(label)
    colours = tuple((given or {}).get(number, colour) for number, colour in enumerate(class_colours(labels)))
    return Classes(tuple(labels), colours)


def _scale(path: Path, text: str) -> Scale:
    number, _, unit = text.strip().partition(" ")
    try:
        step = finite(float(number), 1e-12, 1e12)
    except ValueError:
        step = None
    unit = unit.strip()
    if step is None or len(unit) > 20 or not unit.isprintable():
        raise VecaError(f'{shortened(path)}: write what a step stands for, and the unit, such as "0.001 m"')
    return Scale(step, unit)


def _pairs(folder: Path, kind: Kind, say: Say) -> tuple[Pair, ...]:
    """Photos and targets of the same name, without its ending; those without one partner are named."""
    images, targets = folder / "images", folder / FOLDERS[kind]
    for part in (images, targets):
        if not is_folder(part):
            raise VecaError(
                f"{shortened(folder)} has no folder {part.name}: photos go into images, targets into "
                f"{FOLDERS[kind]}, under the same names"
            )
    with Skipped(say) as skipped:
        photos = by_stem(images, has_image_name, skipped)
        partners = by_stem(targets, lambda path: path.suffix.lower() in (".png", ".npy"), skipped)
        for name in sorted(photos.keys() ^ partners.keys()):
            path, other = (photos[name], targets) if name in photos else (partners[name], images)
            if path is not None:
                skipped(f"{shortened(path)} has no partner in {other.name}")
    both = ((photos[name], partners[name]) for name in sorted(photos.keys() & partners.keys()))
    pairs = tuple(Pair(photo, target) for photo, target in both if photo is not None and target is not None)
    if not pairs:
        raise VecaError(f"{shortened(folder)} has no photo whose name is also in {targets.name}")
    return pairs


def _opened(path: Path) -> Any:
    """A picture, its size checked, opened with Pillow, which keeps a palette's numbers (OpenCV gives colours)."""
    require("PIL", "train")
    from PIL import Image as pillow  # noqa: N813

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own about large pictures, of which we have a limit
            picture = pillow.open(path, formats=["PNG"])
            check_pixels(shortened(path), *picture.size)
            picture.load()
    except VecaError:
        raise
    except Exception as error:  # Pillow raises whatever the damage leads to
        raise VecaError(f"cannot read {shortened(path)}: {error!r:.80}") from None
    return picture
