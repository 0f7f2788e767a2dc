"""A gallery: examples of things that a person named, and which of them a new picture shows. Pure numpy."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from veca_edge.arrays import Float
from veca_edge.errors import VecaError, shown
from veca_edge.gallery.index import TIE, Index
from veca_edge.gallery.regions import Region, region_mean
from veca_edge.modelfile.means import Means
from veca_edge.numbers import counted, whole
from veca_edge.runtime.result import Result

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model

LONGEST_LABEL = 100  # characters
UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Example:
    """What a gallery remembers of a picture or of a box in it.

    Attributes:
        label: the name that it was given.
        vector: float32 (D',), read-only: the embedding of the picture, or the mean of the box's patch features.
        region: whether it is of a box.
        image_size: of the model's input then, in pixels; None if that is not known.
    """

    label: str
    vector: Float
    region: bool = False
    image_size: int | None = None

    @property
    def key(self) -> tuple[str, bool, bytes]:
        """Equal for the same example of the same name."""
        return self.label, self.region, self.vector.tobytes()


@dataclass(frozen=True)
class Match:
    """A name that a picture may have.

    Attributes:
        label: the name.
        similarity: cosine of the picture and the mean of the name's examples, -1..1.
        sure: whether it is worth showing; only the best match can be. An unknown thing is like nothing enough.
        ties: of the best match, where it is alike enough, other names that are as alike. Then it is not sure.
    """

    label: str
    similarity: float
    sure: bool
    ties: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What a person is told: the name, the names that nothing tells apart ("mug or cup"), or "unknown"."""
        if self.ties:
            return " or ".join((self.label, *self.ties))
        return self.label if self.sure else UNKNOWN


@dataclass(frozen=True, eq=False, repr=False)
class Gallery:
    """Named examples of one model. A value: what changes it makes a new one, so undo is to keep the one before.

    Attributes:
        examples: in the order in which they were added.
        means: what is taken off vectors before they are compared, None for nothing.
        model: SHA-256 of the checkpoint that its model was made from, hexadecimal; "" if that is not known. All
            files made from one checkpoint share their galleries, whatever their precision and budgets.

    Example:
        gallery = veca_edge.Gallery.of(model)
        gallery = gallery.add("mug", model(photo)).add("keys", model(other), box=(40, 60, 200, 120))
        gallery.save("my-things.npz")
        best = gallery.predict(model(image))[0]
        best.name
    """

    examples: tuple[Example, ...] = ()
    means: Means | None = None
    model: str = ""

    @classmethod
    def of(cls, model: Model) -> Gallery:
        """An empty gallery for the results of a model; a VecaError for anything else."""
        try:
            return cls((), model.means, model.source_digest)
        except AttributeError:
            raise VecaError(f"no model: {shown(model)}: give one of veca_edge.load") from None

    def __len__(self) -> int:
        return len(self.examples)

    def __repr__(self) -> str:
        """<Gallery of 2 labels, 7 examples>"""
        return f"<Gallery of {counted(len(self.labels), 'label')}, {counted(len(self), 'example')}>"

    @property
    def labels(self) -> Mapping[str, int]:
        """How many examples each name has, by name, the one that was added first in front."""
        return Counter(example.label for example in self.examples)

    @property
    def image_size(self) -> int | None:
        """Pixels at which most examples were taught, and new pictures are best asked about; None if unknown."""
        known = Counter(example.image_size for example in self.examples if example.image_size is not None)
        return max(known, key=known.__getitem__, default=None)

    @property
    def width(self) -> int | None:
        """Values D' of a vector, None as long as that is open."""
        if self.examples:
            return len(self.examples[0].vector)
        return None if self.means is None else len(self.means.embedding)

    def size_remark(self, image_size: int) -> str:
        """A line for who uses another image size than was taught at, in pixels; "" for the same, or if unknown."""
        if self.image_size in (None, image_size):
            return ""
        return (
            f"the gallery was taught at {self.image_size} px: at {image_size} px similarities differ; leave "
            "--image-size out to use the gallery's"
        )

    def add(self, label: str, result: Result, box: Region | None = None) -> Gallery:
        """This gallery and one more example. The same picture under the same name counts once.

        Args:
            label: 1 to 100 printable characters.
            result: of the gallery's model, at any core budget and image size.
            box: (x, y, width, height) in pixels of the picture that the model was given, of which the part within
                `result.crop` counts; None for the whole picture. Boxes are compared with boxes only, and whole
                pictures with whole pictures.

        Raises:
            VecaError: a name that cannot be shown, a result of another model or with values that are not numbers,
                or a box without an area within `result.crop`.
        """
        vector = self._vector(result, box)
        # With fit "keep" the short side is what was asked for; all other fits make squares.
        example = Example(checked_label(label), vector, box is not None, min(result.image_size))
        key = example.key
        if any(key == other.key for other in self.examples if other.label == example.label):
            return self
        return replace(self, examples=(*self.examples, example))

    def remove(self, label: str) -> Gallery:
        """This gallery without a name and all its examples.

        Raises:
            VecaError: there is no such name.
        """
        name = unicodedata.normalize("NFC", label) if isinstance(label, str) else label
        if not isinstance(name, str) or name not in self.labels:
            known = ", ".join(list(self.labels)[:5]) or "nothing yet"
            raise VecaError(f"the gallery has no {shown(label)}: it knows {known}")
        return replace(self, examples=tuple(example for example in self.examples if example.label != name))

    def predict(self, result: Result, box: Region | None = None, k: int = 5) -> tuple[Match, ...]:
        """The names that are most alike, best first; of a box only those that have examples of boxes.

        Args:
            result, box: as in `add`.
            k: matches at most, 1 or more.

        Raises:
            VecaError: as `add`, but for names; or an impossible k.
        """
        most = whole(k, 1)
        if most is None:
            raise VecaError(f"predict(k={shown(k)}): use a whole number of matches, 1 or more")
        index = self._images if box is None else self._regions
        ranked = index.ranked(self._vector(result, box))
        if not ranked:
            return ()
        (label, similarity), *others = ranked
        near = similarity >= index.threshold
        ties = tuple(other for other, value in others if near and similarity - value <= TIE)
        best = Match(label, similarity, near and not ties, ties)
        return (best, *(Match(other, value, False) for other, value in others[: most - 1]))

    def save(self, path: str | Path, before: Gallery | None = None) -> Gallery:
        """Write a file, whole or not at all; what others wrote there meanwhile is kept.

        Args:
            path: its name ends in .npz. Examples that a file of this name holds stay in it.
            before: what this writer loaded or saved there last: what is in it and no more in this gallery is taken
                out of the file.

        Returns:
            What the file holds now.

        Raises:
            VecaError: it cannot be written, or is there and no gallery of this model.
        """
        from veca_edge.gallery.file import save_gallery

        return save_gallery(self, path, before)

    @classmethod
    def load(cls, path: str | Path, model: Model | None = None) -> Gallery:
        """Read a file that `save` wrote.

        Args:
            model: what it is to be used with; None leaves that to the caller.

        Raises:
            VecaError: missing, damaged, of a newer format, or of another model.
        """
        from veca_edge.gallery.file import load_gallery

        return load_gallery(path, None if model is None else cls.of(model))

    def threshold(self, region: bool = False) -> float:
        """The similarity from which on the best match is sure, of pictures or of boxes; 1 without examples."""
        return (self._regions if region else self._images).threshold

    @cached_property
    def _images(self) -> Index:
        return self._index(region=False)

    @cached_property
    def _regions(self) -> Index:
        return self._index(region=True)

    def _index(self, region: bool) -> Index:
        chosen = [example for example in self.examples if example.region == region]
        mean = None if self.means is None else self.means.arrays[region]
        return Index.of([example.label for example in chosen], [example.vector for example in chosen], mean)

    def _vector(self, result: Result, box: Region | None) -> Float:
        """What is compared of a result, checked: float32 (D',), read-only."""
        if not isinstance(result, Result):
            raise VecaError(f"a gallery cannot use {shown(result)}: give it a result, such as model(image)")
        vector = result.embedding if box is None else region_mean(result, box)
        return checked_vector(vector, self.width)


def checked_label(label: Any) -> str:
    """A name as galleries keep it, in Unicode's composed form, or VecaError."""
    if not isinstance(label, str):
        raise VecaError(f"the name {shown(label)} is no text: use printable characters")
    if len(label) > LONGEST_LABEL:
        raise VecaError(f"the name {shown(label, 30)} is {len(label)} characters long: use at most {LONGEST_LABEL}")
    name = unicodedata.normalize("NFC", label)
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > LONGEST_LABEL:
        raise VecaError(f"the name {shown(label)} cannot be shown: use printable characters, no space at the ends")
    return name


def checked_vector(vector: Float, width: int | None) -> Float:
    """A copy that nobody writes to, float32 (D',); VecaError unless it is finite and of the gallery's width."""
    own = np.array(vector, np.float32)
    if own.ndim != 1 or not own.size:
        raise VecaError(f"expected one vector of a picture, got the shape {own.shape}")
    if width is not None and len(own) != width:
        raise VecaError(f"a result of {len(own)} values, and the gallery's have {width}: use the gallery's model")
    if not np.isfinite(own).all():
        raise VecaError("the model gave values that are not numbers: verify the file with `veca-edge verify`")
    own.flags.writeable = False
    return own


def without(examples: Sequence[Example], gone: Sequence[Example]) -> tuple[Example, ...]:
    """The examples that are not among others, in their order."""
    if not examples:
        return ()
    keys = {example.key for example in gone}
    return tuple(example for example in examples if example.key not in keys)
