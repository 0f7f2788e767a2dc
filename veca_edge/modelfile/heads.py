"""Heads: linear layers on what a model computes, as checkpoints and model files hold them."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.errors import VecaError, shown
from veca_edge.numbers import finite

Kind = Literal["segmentation", "regression"]
Colour = tuple[int, int, int]  # RGB, 0..255

MAX_CELLS = 16  # along a patch's side
MAX_CLASSES = 256  # more do not fit the 8 bits of a mask
MAX_HEADS = 16
# How a folder of right answers looks, whoever wrote them: a text that says what they mean, and a folder of them.
LABELS, SCALE = "labels.txt", "scale.txt"
FOLDERS: dict[Kind, str] = {"segmentation": "masks", "regression": "values"}
IGNORE = 255  # a mask's pixels that say nothing
LARGEST_VALUE = 1e12  # of a regression, either way: what is computed with it stays far inside of float32
# Outputs of a model file are called after its heads, so a name may be none of the others.
TAKEN = frozenset({"image", "embedding", "features", "logits", "label", "probabilities", "core_attention", "main"})
BACKGROUND = "background"
# Light enough to stand out on a photo. After the first six each is about the farthest in OKLab from those before:
# with full colour vision, and without the long, middle or short cones.
_BRIGHT = bytes.fromhex(
    "319cfc fd9320 fb4f87 2bfdf4 edee31 8b45fa 86d489 e4aafe af4da9 c781cb "
    "6875d8 b6faa7 c87f2c f351ff b5d519 36cb4b d231cb ff99c2 5fed6c 65a556"
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}", re.ASCII)


@dataclass(frozen=True)
class DenseTask:
    """What a dense head says about an image, everywhere in it.

    Attributes:
        name: what its results are called: lower-case letters, digits and "_".
        kind: "segmentation" (K classes) or "regression" (one value).
        cells: k, 1 to 16: each patch is divided into k x k cells that have results of their own.
        labels: K names of a segmentation's classes; () of a regression.
        colours: one per label, RGB.
        unit: of a regression's values, such as "m"; "" for none.
        range: smallest and largest value of a regression that is expected: the ends of its colour scale.
    """

    name: str
    kind: Kind
    cells: int = 1
    labels: tuple[str, ...] = ()
    colours: tuple[Colour, ...] = ()
    unit: str = ""
    range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_head_name(self.name)
        if self.kind not in get_args(Kind):
            raise VecaError(f"head {self.name}: kind is {shown(self.kind)}, expected {' or '.join(get_args(Kind))}")
        if type(self.cells) is not int or not 1 <= self.cells <= MAX_CELLS:
            raise VecaError(f"head {self.name}: {shown(self.cells)} cells a patch: use 1 to {MAX_CELLS}")
        if self.kind == "segmentation":
            self._check_classes()
        elif self.labels or self.colours:
            raise VecaError(f"head {self.name}: a regression has no labels")
        low, high = self.range
        if not np.float32(low) < np.float32(high):  # as which values are drawn
            raise VecaError(f"head {self.name}: its range goes from {low} to {high}: the first must be the smaller")

    def _check_classes(self) -> None:
        count = len(self.labels)
        if not 2 <= count <= MAX_CLASSES:
            raise VecaError(f"head {self.name}: {count} classes: use 2 to {MAX_CLASSES}")
        if len(set(self.labels)) < count:
            twice = next(label for label in self.labels if self.labels.count(label) > 1)
            raise VecaError(f"head {self.name}: two classes are called {twice}: give each a name of its own")
        if len(self.colours) != count:
            raise VecaError(f"head {self.name}: {len(self.colours)} colours for {count} classes")

    @property
    def values(self) -> int:
        """K, values per cell: the number of classes, or 1."""
        return len(self.labels) or 1

    @property
    def outputs(self) -> int:
        """K * k * k, values per patch."""
        return self.values * self.cells**2

    def grid(self, outputs: Float, rows: int, columns: int) -> Float:
        """Values of all patches (rows * columns, K * k * k) as a picture (rows * k, columns * k, K)."""
        k, values = self.cells, self.values
        picture = np.empty((rows, k, columns, k, values), np.float32)
        picture[:] = outputs.reshape(rows, columns, values, k, k).transpose(0, 3, 1, 4, 2)
        return picture.reshape(rows * k, columns * k, values)

    def redrawn(self, picture: Float, outputs: Float, patches: NDArray[np.intp]) -> Float:
        """A copy of a picture that `grid` gave, with other values (n, K * k * k) of these patches (n,)."""
        k, values = self.cells, self.values
        columns, copy = picture.shape[1] // k, picture.copy()
        row, column = np.divmod(patches, columns)
        cells = outputs.reshape(-1, values, k, k).transpose(0, 2, 3, 1)
        copy.reshape(-1, k, columns, k, values)[row, :, column] = cells
        return copy

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON, without the name."""
        if self.kind == "regression":
            return {"kind": self.kind, "cells": self.cells, "unit": self.unit, "range": list(self.range)}
        colours = [list(colour) for colour in self.colours]
        return {"kind": self.kind, "cells": self.cells, "labels": list(self.labels), "colours": colours}

    @classmethod
    def from_dict(cls, name: str, values: Any) -> DenseTask:
        """Read what `to_dict` wrote, from a file that may hold anything.

        Raises:
            VecaError: something in it is missing, of the wrong kind, or out of range.
        """
        check_head_name(name)
        if not isinstance(values, Mapping):
            raise VecaError(f"head {name} is not a table of settings")
        kind, cells = values.get("kind"), values.get("cells", 1)
        if kind == "regression":
            unit, limits = values.get("unit", ""), _range(name, values.get("range", (0.0, 1.0)))
            if not isinstance(unit, str) or not unit.isprintable() or len(unit) > 20:
                raise VecaError(f"head {name}: its unit is not a short text")
            return cls(name, "regression", cells, unit=unit, range=limits)
        labels = _labels(name, values.get("labels"))
        given = values.get("colours")
        colours = class_colours(labels) if given is None else _colours(name, given)
        return cls(name, kind or "segmentation", cells, labels, colours)


@dataclass(frozen=True, eq=False)
class DenseHead:
    """A linear layer on each patch's feature.

    Attributes:
        task: what it says.
        weight: float32 (K * k * k, D'): outputs in the order (value, row of cells, column of cells), as PyTorch's
            `pixel_shuffle` takes them.
        bias: float32 (K * k * k,).
    """

    task: DenseTask
    weight: Float
    bias: Float

    def __post_init__(self) -> None:
        wanted = self.task.outputs
        if self.weight.ndim != 2 or len(self.weight) != wanted or self.bias.shape != (wanted,):
            raise VecaError(
                f"head {self.task.name}: its weight has shape {self.weight.shape}, its bias {self.bias.shape}, "
                f"expected {wanted}: {self.task.values} values x {self.task.cells} x {self.task.cells} cells"
            )

    def outputs(self, features: Float) -> Float:
        """Values (n, K * k * k) for features (n, D')."""
        values: Float = features @ self.weight.T
        values += self.bias
        return values


def check_head_name(name: object) -> str:
    """A name for a head, or VecaError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise VecaError(f"{shown(name)} cannot name a head: use lower-case letters, digits and _, such as people")
    if name in TAKEN:
        raise VecaError(f"a head cannot be called {name}: another output of a model file has that name")
    return name


def head_name(text: str) -> str:
    """A name for a head, made of a text such as a folder's name; "dense" if nothing of it can be used."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_").lstrip("0123456789_")[:30]
    return name if name and name not in TAKEN else f"{name}_head".lstrip("_") if name else "dense"


def class_colours(labels: Sequence[str]) -> tuple[Colour, ...]:
    """Colours for classes that have none: bright, well apart, and black for a number 0 that is called background.

    The first 20 are as far apart as can be from those before them, both as most people see them and as people with
    the common colour deficiencies do; what follows are only different from each other.
    """
    start = 1 if labels and is_background(labels[0]) else 0
    return ((0, 0, 0),) * start + tuple(_bright(number) for number in range(len(labels) - start))


def is_background(label: str) -> bool:
    """Whether a number 0 with this name stands for nothing in particular, which pictures leave uncoloured."""
    return label.strip().lower() == BACKGROUND


def _bright(number: int) -> Colour:
    """One of the chosen colours; after them hues a golden section apart, in three tiers of lightness."""
    if 3 * number < len(_BRIGHT):
        red, green, blue = _BRIGHT[3 * number : 3 * number + 3]
        return red, green, blue
    saturation, value = ((0.65, 1.0), (0.85, 0.85), (0.45, 0.92))[number % 3]
    r, g, b = colorsys.hsv_to_rgb(number * 0.618034 % 1, saturation, value)
    return round(255 * r), round(255 * g), round(255 * b)


def read_tasks(values: Any) -> tuple[DenseTask, ...]:
    """The tasks of a table {name: settings} from a file, by name.

    Raises:
        VecaError: as `DenseTask.from_dict`, or too many.
    """
    if not isinstance(values, Mapping):
        raise VecaError("its table of heads is not one")
    if len(values) > MAX_HEADS:
        raise VecaError(f"{len(values)} heads: a file holds at most {MAX_HEADS}")
    return tuple(DenseTask.from_dict(name, values[name]) for name in sorted(values, key=str))


def _range(name: str, values: Any) -> tuple[float, float]:
    given = values if isinstance(values, (list, tuple)) else ()
    found = [finite(value, -LARGEST_VALUE, LARGEST_VALUE) for value in given]
    if len(found) != 2 or found[0] is None or found[1] is None:
        raise VecaError(f"head {name}: its range is not two numbers from {-LARGEST_VALUE:g} to {LARGEST_VALUE:g}")
    return found[0], found[1]


def _labels(name: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)) or len(values) > MAX_CLASSES:
        raise VecaError(f"head {name}: its labels are not a list of at most {MAX_CLASSES} names")
    for number, label in enumerate(values):
        if not isinstance(label, str) or not label.strip() or not label.isprintable() or len(label) > 200:
            raise VecaError(f"head {name}: label {number} is not a printable name")
    return tuple(values)


def _colours(name: str, values: Any) -> tuple[Colour, ...]:
    if not isinstance(values, (list, tuple)):
        raise VecaError(f"head {name}: its colours are not a list")
    return tuple(_colour(name, value) for value in values)


def _colour(name: str, value: Sequence[Any]) -> Colour:
    found = list(value) if isinstance(value, (list, tuple)) else []
    if len(found) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in found):
        raise VecaError(f"head {name}: a colour is not three numbers from 0 to 255")
    return found[0], found[1], found[2]
