"""A folder of pictures becomes an index: what is new or changed is computed, and an interrupted run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from veca_edge.arrays import Float, Image
from veca_edge.errors import VecaError
from veca_edge.files import check_target, expanded, is_there, photo_folder, same_file, shortened
from veca_edge.gallery.file import alone
from veca_edge.gallery.pictures import MadeWith, PictureIndex
from veca_edge.gallery.vectors import unit_vectors
from veca_edge.image.preprocessing import check_image_size
from veca_edge.image.skipping import Say, Skipped
from veca_edge.image.stills import images_below
from veca_edge.numbers import counted
from veca_edge.photos.decoding import readable
from veca_edge.runtime.model import Model

SAVE_EVERY = 30.0  # seconds: what an interruption may cost
LATEST = 2**63 - 1  # nanoseconds
Stamp = tuple[int, int]  # bytes, and nanoseconds of the last change


@dataclass(frozen=True)
class IndexRequest:
    """What to index.

    Attributes:
        folder: pictures, in folders of any depth.
        output: the index; one that is there is brought up to date.
        cores: core budget; None for that of the file, or the largest.
        image_size: side of the model's input in pixels; None for that of the file, or the model's.
    """

    folder: Path
    output: Path
    cores: int | None = None
    image_size: int | None = None


@dataclass(frozen=True)
class IndexOutcome:
    """What became of it.

    Attributes:
        index: as it was written.
        computed, kept, dropped, skipped: pictures that were computed, that were known, that are gone or cannot be
            read any more, and that cannot be read.
        seconds: what the computed ones took, with reading them.
    """

    index: PictureIndex
    computed: int
    kept: int
    dropped: int
    skipped: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        counts = {name: getattr(self, name) for name in ("computed", "kept", "dropped", "skipped", "seconds")}
        return {"kind": "index", "pictures": len(self.index), **counts}


def index_pictures(
    request: IndexRequest, model: Model, say: Say, progress: Callable[[float], object] = lambda done: None
) -> IndexOutcome:
    """Compute the embeddings that an index lacks, and write it: every half a minute, and however the work ends.

    Args:
        say: receives lines about pictures that are skipped.
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: no such folder, no picture in it that can be read; an index of another model, folder, budget or
            size; a file that is none, or that cannot be written, or that another program changes meanwhile.
    """
    folder, output = photo_folder(request.folder), _Output(request.output)
    old = output.read()
    made_with = _made_with(request, model, old)
    stamps = _stamps(folder, images_below(folder))
    if old is not None:
        _check_folder(request, old, stamps)
    draft = _Draft(folder, made_with, stamps, dict(_unchanged(old, stamps)), output)
    kept, start = len(draft.known), perf_counter()
    try:
        _compute(draft, model, say, progress)
    except BaseException:
        if len(draft.known) > kept:
            draft.write()
            so_far = counted(len(draft.known), "picture")
            say(f"{shortened(request.output)} holds {so_far}: the same command goes on")
        raise
    if not draft.known:
        raise VecaError(f"none of the {counted(len(stamps), 'image')} in {shortened(folder)} can be read")
    dropped = 0 if old is None else len(set(old.names) - set(draft.known))
    computed, skipped = len(draft.known) - kept, len(stamps) - len(draft.known)
    return IndexOutcome(draft.write(), computed, kept, dropped, skipped, perf_counter() - start)


def _made_with(request: IndexRequest, model: Model, old: PictureIndex | None) -> MadeWith:
    """What the embeddings shall be made with: what those that are there were made with."""
    if request.image_size is not None:
        check_image_size(request.image_size, model.patch_size)
    if old is None:
        return MadeWith.of(model, request.cores, request.image_size)
    old.check_model(model)
    made = old.made_with
    model.check_budget(made.cores)
    if request.cores not in (None, made.cores) or request.image_size not in (None, made.image_size):
        raise VecaError(
            f"{shortened(request.output)} was made with {made.cores} cores and {made.image_size} pixels: leave "
            "--cores and --image-size out, or give another --output"
        )
    return made


def _check_folder(request: IndexRequest, old: PictureIndex, stamps: dict[str, Stamp]) -> None:
    """Keep an index from losing everything to a folder that was named by mistake; one that was moved is known."""
    if not same_file(old.folder, request.folder) and not set(old.names) & set(stamps):
        raise VecaError(
            f"{shortened(request.output)} is the index of another folder, {shortened(old.folder)}, and none of its "
            f"{counted(len(old), 'picture')} is in {shortened(request.folder)}: give another --output"
        )


def _stamps(folder: Path, paths: Iterable[Path]) -> dict[str, Stamp]:
    """By name what tells whether a file has changed, in the order of the paths; without those that vanished."""
    found = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        # Some file systems have times beyond what the index holds, which ends in 2262.
        changed = max(-LATEST, min(LATEST, status.st_mtime_ns))
        found[path.relative_to(folder).as_posix()] = (status.st_size, changed)
    return found


def _unchanged(old: PictureIndex | None, stamps: dict[str, Stamp]) -> Iterator[tuple[str, Float]]:
    """The pictures that are as they were when their embeddings were computed."""
    if old is not None:
        for name, (size, time), embedding in zip(old.names, old.stamps.tolist(), old.embeddings, strict=True):
            if stamps.get(name) == (size, time):
                yield name, embedding


def _compute(draft: _Draft, model: Model, say: Say, progress: Callable[[float], object]) -> None:
    """Add the pictures that a draft lacks."""
    names = [name for name in draft.stamps if name not in draft.known]
    cores, image_size, saved = draft.made_with.cores, draft.made_with.image_size, perf_counter()

    def fitted(image: Image) -> Image:  # in a worker: much smaller than the photo, and the model has nothing to do
        return model.preprocessing.resize(image, model.patch_size, image_size).image

    with closing(readable([draft.folder / name for name in names], fitted, say)) as images, Skipped(say) as skipped:
        for index, image in images:
            progress(index / len(names))
            try:
                draft.known[names[index]] = unit_vectors(model(image, cores, image_size).embedding)
            except VecaError as error:
                skipped(f"{draft.folder / names[index]}: {error}")
            if perf_counter() - saved > SAVE_EVERY:
                draft.write()
                saved = perf_counter()
    progress(1.0)


class _Output:
    """The file, of which nothing is lost that another program wrote meanwhile."""

    def __init__(self, path: Path) -> None:
        check_target(path)
        self._path = expanded(path)
        self._seen = self._state()

    def read(self) -> PictureIndex | None:
        """The index that is there."""
        return PictureIndex.load(self._path) if is_there(self._path) else None

    def write(self, index: PictureIndex) -> None:
        """Write the index, unless someone else did: they may have computed more."""
        with alone(check_target(self._path).parent):
            if self._state() != self._seen:
                raise VecaError(
                    f"another program changed {shortened(self._path)} meanwhile: run this again when that has "
                    "ended, and it goes on from there"
                )
            index.save(self._path)
            self._seen = self._state()

    def _state(self) -> tuple[int, ...] | None:
        """What changes with every writing; None without a file."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class _Draft:
    """An index in the making.

    Attributes:
        stamps: of every picture in the folder, by its name.
        known: the embeddings so far: unit vectors (D,) by name.
    """

    folder: Path
    made_with: MadeWith
    stamps: dict[str, Stamp]
    known: dict[str, Float]
    output: _Output

    def write(self) -> PictureIndex:
        """Write what is known, and return it."""
        names = tuple(sorted(self.known))
        stamps = np.array([self.stamps[name] for name in names], np.int64)
        embeddings = np.stack([self.known[name] for name in names])
        index = PictureIndex(self.folder, names, stamps, embeddings, self.made_with)
        self.output.write(index)
        return index
