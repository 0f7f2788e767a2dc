"""Photos of things that a model has no label for."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from veca_edge.errors import VecaError
from veca_edge.files import photo_folder, shortened
from veca_edge.image.skipping import Say, Skipped
from veca_edge.modelfile.heads import FOLDERS
from veca_edge.numbers import counted
from veca_edge.photos import voc
from veca_edge.photos.folders import Photos, all_below, usable

_TARGETS = frozenset((*FOLDERS.values(), voc.MASKS))  # pictures in folders of these names are masks or values


def read_unknown(folder: Path, labels: Collection[str], say: Say = lambda _: None) -> Photos:
    """All photos in a folder and the folders in it, in random order, without labels.

    Args:
        folder: any folder of photos; of one with `images/` and `masks/` the masks are left out.
        labels: what the model knows: photos in folders of these names are left out.
        say: receives lines about what is left out.

    Raises:
        VecaError: no such folder, or no photo of anything else in it.
    """
    folder = photo_folder(folder)
    inside = {path: path.relative_to(folder).parts[:-1] for path in all_below(folder)}
    pictures = [path for path, folders in inside.items() if not _TARGETS.intersection(folders)]
    others = [path for path in pictures if not set(labels).intersection(inside[path])]
    if left_out := len(pictures) - len(others):
        say(f"{shortened(folder)}: {counted(left_out, 'file')} in folders of labels that the model has: left out")
    with Skipped(say) as skipped:
        photos = Photos.unlabelled(usable(others, skipped))
    if not len(photos):
        raise VecaError(f"{shortened(folder)} has no photo of a thing that the model has no label for")
    return photos.shuffled(0)
