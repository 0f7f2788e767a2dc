"""How well a gallery recognises the photos of a folder, which are named by their folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veca_edge.errors import VecaError
from veca_edge.files import shortened
from veca_edge.gallery.gallery import Gallery
from veca_edge.image.skipping import Say
from veca_edge.photos.decoding import readable
from veca_edge.photos.folders import read_labelled
from veca_edge.runtime.model import Model


@dataclass(frozen=True)
class Recognised:
    """Of the photos of one folder.

    Attributes:
        label: the folder's name.
        known: whether the gallery has it.
        photos: how many.
        right: whose best match is this label.
        named: whose best match is sure.
        right_named: of these, those that are right.
    """

    label: str
    known: bool
    photos: int
    right: int
    named: int
    right_named: int


def recognise(
    gallery: Gallery,
    model: Model,
    folder: Path,
    cores: int | None,
    image_size: int | None,
    say: Say = lambda _: None,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[Recognised, ...]:
    """What a gallery says of photos in folders named after their labels, by label; other labels are strangers.

    Args:
        folder: its `val` is used if it has one.
        cores, image_size: as in a call of the model.
        say: receives lines about what is left out.
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: no such folder, no photo that can be read, or a gallery without examples of whole pictures.
    """
    if all(example.region for example in gallery.examples):
        raise VecaError("the gallery has no example of a whole picture: add some first")
    photos = read_labelled(folder, say)
    counts = np.zeros((len(photos.labels), 4), np.int64)
    for row, image in readable(photos.paths, lambda image: image, say):
        target = int(photos.targets[row])
        best = gallery.predict(model(image, cores, image_size), k=1)[0]
        right = best.label == photos.labels[target]
        counts[target] += [1, right, best.sure, right and best.sure]
        progress((row + 1) / len(photos))
    if not counts.any():
        raise VecaError(f"none of the {len(photos)} photos of {shortened(folder)} can be read")
    known = gallery.labels
    rows = zip(photos.labels, counts, strict=True)
    return tuple(Recognised(label, label in known, *(int(count) for count in line)) for label, line in rows)


def totals(rows: tuple[Recognised, ...]) -> dict[str, Any]:
    """Shares over all photos, ready for JSON; None where there is nothing to take a share of."""
    known, strangers = ([row for row in rows if row.known == wanted] for wanted in (True, False))

    def share(part: int, whole: int) -> float | None:
        return part / whole if whole else None

    photos, named = sum(row.photos for row in known), sum(row.named for row in known)
    others = sum(row.photos for row in strangers)
    return {
        "photos": photos,
        "right": share(sum(row.right for row in known), photos),
        "named": share(named, photos),
        "right_named": share(sum(row.right_named for row in known), named),
        "stranger_photos": others,
        "strangers_named": share(sum(row.named for row in strangers), others),
    }
