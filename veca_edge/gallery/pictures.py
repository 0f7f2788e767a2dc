"""The pictures of a folder, found again by what they look like."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.documents import parse_json
from veca_edge.encoding import printable
from veca_edge.errors import VecaError, shown
from veca_edge.files import expanded, is_folder, regular_file, shortened, write_whole
from veca_edge.gallery.archive import packed, read_archive
from veca_edge.gallery.vectors import unit_vectors
from veca_edge.numbers import finite, whole
from veca_edge.runtime.model import Model
from veca_edge.runtime.result import Result

FORMAT = 1  # of the file
KIND = "veca-edge picture index"
LAYOUT = {
    "about": ("|u1", 1),
    "folder": ("|u1", 1),
    "names": ("|u1", 1),
    "stamps": ("<i8", 2),
    "embeddings": ("<f2", 2),
}
NEAR = 0.98  # cosine from which two pictures are taken for one: what is left of it by saving as a worse JPEG
ROUGH = 0.01  # by which the length of a stored embedding may differ from 1; float16 takes a tenth of that
BLOCK = 1 << 22  # similarities that are looked at together


@dataclass(frozen=True)
class MadeWith:
    """What the embeddings of an index were made with; with anything else they cannot be compared.

    Attributes:
        model: its name, for people.
        digest: SHA-256 of its checkpoint, hexadecimal: whatever is converted from that will do.
        cores: core budget.
        image_size: side of the model's input in pixels.
    """

    model: str
    digest: str
    cores: int
    image_size: int

    @classmethod
    def of(cls, model: Model, cores: int | None = None, image_size: int | None = None) -> MadeWith:
        """What a model makes at a budget and size; None for its largest and its own.

        Raises:
            VecaError: a budget that the model lacks, or a model that does not say which it is.
        """
        if not isinstance(model, Model):
            raise VecaError(f"no model: {shown(model)}: give one of veca_edge.load")
        if not model.source_digest:
            raise VecaError(f"{model.name} does not say which checkpoint it comes from: convert it again")
        size = model.preprocessing.image_size if image_size is None else image_size
        return cls(printable(model.name), model.source_digest, model.check_budget(cores), size)

    @classmethod
    def from_dict(cls, values: Any) -> MadeWith:
        """Of plain values from outside; a VecaError if they are no such ones."""
        try:
            made = cls(**{name: values[name] for name in cls.__dataclass_fields__})
        except (TypeError, KeyError, IndexError):
            raise VecaError("it does not say which model made it") from None
        texts = isinstance(made.model, str) and isinstance(made.digest, str) and made.digest
        if not texts or whole(made.cores, 1) is None or whole(made.image_size, 1) is None:
            raise VecaError("it does not say which model made it")
        return made


@dataclass(frozen=True)
class SimilarPicture:
    """A picture of an index.

    Attributes:
        path: the file, as it is found from the current folder.
        similarity: cosine of its embedding with what was asked for, -1..1.
    """

    path: Path
    similarity: float


@dataclass(frozen=True, eq=False, repr=False)
class PictureIndex:
    """The embeddings of a folder's pictures.

    Example:
        index = veca_edge.PictureIndex.load("photos.npz")
        for found in index.search(model(image), top=5):
            print(found.path, found.similarity)

    Attributes:
        folder: where the pictures lie.
        names: n paths below it, with slashes.
        stamps: int64 (n, 2), of each file its bytes and the nanoseconds of its last change.
        embeddings: float32 (n, D), of length 1 but for the rounding of float16.
        made_with: what made them.
    """

    folder: Path
    names: tuple[str, ...]
    stamps: NDArray[np.int64]
    embeddings: Float
    made_with: MadeWith

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        """<PictureIndex of 1374 pictures in photos, made with 'everyday'>"""
        return f"<PictureIndex of {len(self)} pictures in {self.folder}, made with {shown(self.made_with.model)}>"

    @classmethod
    def load(cls, path: str | Path) -> PictureIndex:
        """Read what `veca-edge index` wrote.

        Raises:
            VecaError: no such file, or it is none of these, or damaged.
        """
        if not isinstance(path, (str, Path)) or not str(path):
            raise VecaError(f"cannot read {shown(path)}: give the path of a file that `veca-edge index` wrote")
        if is_folder(expanded(path)):
            folder = shortened(expanded(path))
            raise VecaError(
                f"cannot read {folder}: it is a folder: make an index of it with `veca-edge index` first"
            )
        path = regular_file(path)
        try:
            return cls._checked(path, **read_archive(path, LAYOUT))
        except OSError as error:
            raise VecaError(f"cannot read {shortened(path)}: {error.strerror or error}") from None
        except VecaError as error:
            remedy = "give a file that `veca-edge index` wrote, or let it write one under another name"
            raise VecaError(f"{shortened(path)} is no index of pictures: {error}: {remedy}") from None

    @classmethod
    def _checked(
        cls,
        path: Path,
        about: NDArray[np.uint8],
        folder: NDArray[np.uint8],
        names: NDArray[np.uint8],
        stamps: NDArray[np.int64],
        embeddings: NDArray[np.float16],
    ) -> PictureIndex:
        said = parse_json(about.tobytes())
        if not isinstance(said, dict) or said.get("kind") != KIND:
            raise VecaError("it is of another kind")
        if said.get("format") != FORMAT:
            raise VecaError(f"its format is {shown(said.get('format'))}, this version reads {FORMAT}")
        text = names.tobytes()
        # Counted first: each name takes far more memory than its end in the file.
        if not text.count(b"\0") == len(stamps) == len(embeddings) or stamps.shape[1] != 2:
            raise VecaError("its lists are not equally long")
        found = tuple(os.fsdecode(name) for name in text.split(b"\0")[:-1])
        if not all(_is_below(name) for name in found):
            raise VecaError("it names a picture outside of its folder")
        vectors = embeddings.astype(np.float32)
        square = np.einsum("ij,ij->i", vectors, vectors)  # takes no memory beside
        if not (np.abs(square - 1) < 2 * ROUGH).all():  # nor is NaN
            raise VecaError("it holds embeddings whose length is not 1")
        place = Path(os.path.normpath(path.parent / os.fsdecode(folder.tobytes())))
        return cls(place, found, stamps, vectors, MadeWith.from_dict(said.get("made_with")))

    def save(self, path: str | Path) -> None:
        """Write the index, whole or not at all. If it lies above its pictures, all can be moved together.

        Raises:
            VecaError: it cannot be written.
        """
        path = expanded(path)
        about = {"kind": KIND, "format": FORMAT, "made_with": asdict(self.made_with)}
        names = b"".join(os.fsencode(name) + b"\0" for name in self.names)
        write_whole(
            path,
            packed(
                {
                    "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
                    # Bytes as in the file system, which need not be text.
                    "folder": np.frombuffer(os.fsencode(self._seen_from(path.parent)), np.uint8),
                    "names": np.frombuffer(names, np.uint8),
                    "stamps": np.asarray(self.stamps, "<i8").reshape(-1, 2),
                    "embeddings": np.asarray(self.embeddings, "<f2"),
                },
            ),
        )

    def _seen_from(self, place: Path) -> str:
        """The folder as it is called from a place above it, or anywhere."""
        folder, place = (Path(os.path.abspath(path)) for path in (self.folder, place))  # noqa: PTH100 - without ".."
        return (folder.relative_to(place) if folder.is_relative_to(place) else folder).as_posix()

    def path(self, row: int) -> Path:
        """The file of a row."""
        return self.folder / self.names[row]

    def check_model(self, model: Model) -> None:
        """Raise a VecaError unless this is a model that makes embeddings which can be compared with these."""
        if MadeWith.of(model).digest != self.made_with.digest:
            raise VecaError(
                f"the index was made with the model {shown(self.made_with.model)}, which is another than "
                f"{shown(model.name)}: give that one with --model, or index the pictures again into another file"
            )

    def search(
        self, query: Result | Float, top: int = 20, min_similarity: float = -1.0
    ) -> tuple[SimilarPicture, ...]:
        """The pictures that are most like one, the most similar first.

        Args:
            query: a result of the model that made the index, best at its cores and image size (`made_with`); or
                an embedding, float32 (D,).
            top: pictures at most, 1 or more.
            min_similarity: cosine below which pictures are left out, -1..1.

        Raises:
            VecaError: another kind of query, an embedding of another length, or values out of range.
        """
        number = whole(top, 1)
        if number is None:
            raise VecaError(f"top {shown(top)}: use a whole number of pictures, 1 or more")
        least = _cosine(min_similarity)
        similarity = self.embeddings @ self._vector(query)
        rest = max(0, len(self) - number)
        best = np.argpartition(similarity, rest)[rest:] if rest else np.arange(len(self))
        ranked = best[np.lexsort((best, -similarity[best]))]
        return tuple(self._found(row, similarity[row]) for row in ranked if similarity[row] >= least)

    def _vector(self, query: Result | Float) -> Float:
        """A query as a unit vector."""
        embedding = query.embedding if isinstance(query, Result) else query
        if not isinstance(embedding, np.ndarray) or embedding.dtype.kind != "f" or embedding.ndim != 1:
            raise VecaError(f"cannot search for {shown(query)}: give a result, such as model(image)")
        wide = self.embeddings.shape[1]
        if len(embedding) != wide:
            raise VecaError(
                f"an embedding of {len(embedding)} values is not like those of the index, which have {wide}: use "
                f"the model that made it, {shown(self.made_with.model)}"
            )
        return unit_vectors(embedding)

    def duplicates(
        self, min_similarity: float = NEAR, progress: Callable[[float], object] = lambda done: None
    ) -> tuple[tuple[SimilarPicture, ...], ...]:
        """Groups of pictures that are nearly the same, each picture in one of them at most.

        A group's first picture is the one that comes first in the index; the others are as similar to it, the most
        similar first. The time grows with the square of the number of pictures.

        Args:
            min_similarity: cosine from which two pictures are nearly the same, -1..1.
            progress: called with how much is done, 0..1.

        Raises:
            VecaError: an impossible cosine.
        """
        least = _cosine(min_similarity)
        free = np.ones(len(self), bool)
        groups = []
        for row, similarity in self._rows(free, progress):
            others = row + 1 + np.flatnonzero((similarity >= least) & free[row + 1 :])
            if free[row] and len(others):
                free[row] = False
                free[others] = False
                ranked = others[np.argsort(-similarity[others - row - 1], kind="stable")]
                first = SimilarPicture(self.path(row), 1.0)
                groups.append((first, *(self._found(other, similarity[other - row - 1]) for other in ranked)))
        progress(1.0)
        return tuple(groups)

    def _rows(self, free: NDArray[np.bool_], progress: Callable[[float], object]) -> Iterator[tuple[int, Float]]:
        """Rows that are free, each with its similarity to all rows after it."""
        step = max(1, BLOCK // max(1, len(self)))
        for start in range(0, len(self), step):
            progress(start * (2 - start / len(self)) / len(self))  # later rows have fewer after them
            rows = start + np.flatnonzero(free[start : start + step])
            block = self.embeddings[rows] @ self.embeddings[start:].T
            yield from ((row, block[index, row + 1 - start :]) for index, row in enumerate(rows.tolist()))

    def _found(self, row: int, similarity: float) -> SimilarPicture:
        return SimilarPicture(self.path(int(row)), max(-1.0, min(1.0, float(similarity))))


def _cosine(value: float) -> float:
    found = finite(value, -1, 1)
    if found is None:
        raise VecaError(f"min_similarity {shown(value)}: use a cosine from -1 to 1")
    return found


def _is_below(name: str) -> bool:
    """Whether a name from a file means something inside of a folder."""
    parts = name.replace(os.sep, "/").split("/")  # several times as fast as a Path, of a hundred thousand
    return bool(parts[0]) and ".." not in parts and not os.path.splitdrive(name)[0]
