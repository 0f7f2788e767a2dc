"""Recipes: which precision each linear layer of a model gets, as a value and as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from veca_edge.errors import VecaError
from veca_edge.files import regular_file, shortened, write_whole

Precision = Literal["int8", "int4", "fp32"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
DEFAULT: Precision = "int8"
Compression = Literal["int8", "fp16", "fp32", "int4", "palette6", "palette4"]  # of all layers of a Core ML package
FORMAT = "veca-edge recipe"
FORMAT_VERSION = 1
LARGEST_FILE = 2**20  # a model of a thousand layers takes a twentieth of it
LONGEST_NAME = 64


@dataclass(frozen=True)
class QuantizationRecipe:
    """Which precision each linear layer gets.

    Attributes:
        name: for people and manifests: "int8", "int4" or "fp32" for the ready ones, else such as "mixed".
        default: of every layer that is not named.
        layers: by name: "patch", "blocks.3.even", ".odd", ".value", ".out", ".gate", ".up", ".down", "projection".
            "int8" has a scale per output channel, "int4" one per 32 inputs of it, "fp32" are the values themselves.
    """

    name: str
    default: Precision
    layers: Mapping[str, Precision] = field(default_factory=dict)

    def precision_of(self, layer: str) -> Precision:
        """The precision of one layer."""
        return self.layers.get(layer, self.default)

    def check(self, known: Iterable[str]) -> None:
        """Refuse a recipe that names layers which the model does not have.

        Raises:
            VecaError: naming one of them.
        """
        if strange := sorted(set(self.layers) - set(known)):
            raise VecaError(f"the recipe {self.name!r} names {strange[0]}, which this model does not have")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"name": self.name, "default": self.default, "layers": dict(self.layers)}

    @classmethod
    def from_dict(cls, values: Any) -> QuantizationRecipe:
        """What `to_dict` wrote.

        Raises:
            VecaError: a value is missing or not valid.
        """
        if not isinstance(values, dict) or not {"name", "default", "layers"} <= set(values):
            raise VecaError("a recipe needs a name, a default and layers")
        name, default, layers = values["name"], values["default"], values["layers"]
        if not _is_name(name):
            raise VecaError(f"a recipe's name must be a short text, not {str(name)[:60]!r}")
        if not isinstance(layers, dict) or not all(map(_is_name, layers)):
            raise VecaError("a recipe's layers must be a table from layer to precision")
        for precision in (default, *layers.values()):
            if precision not in PRECISIONS:
                raise VecaError(f"unknown precision {str(precision)[:60]!r}: use {', '.join(PRECISIONS)}")
        return cls(name, default, layers)

    def write(self, path: Path) -> None:
        """Write the recipe as a JSON file, whole or not at all.

        Raises:
            VecaError: it cannot be written.
        """
        values = {"format": FORMAT, "format_version": FORMAT_VERSION} | self.to_dict()
        write_whole(path, (json.dumps(values, indent=1) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> QuantizationRecipe:
        """Read a recipe's file.

        Raises:
            VecaError: it cannot be read, or is no recipe.
        """
        name = shortened(path)
        try:
            with regular_file(path).open("rb") as stream:
                data = stream.read(LARGEST_FILE + 1)
        except OSError as error:
            raise VecaError(f"cannot read {name}: {error.strerror or error}") from None
        try:
            values = json.loads(data) if len(data) <= LARGEST_FILE else None
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise VecaError(f"{name}: not a recipe of veca-edge")
        if values.get("format_version") != FORMAT_VERSION:
            raise VecaError(f"{name}: made by a newer veca-edge: update this one")
        try:
            return cls.from_dict(values)
        except VecaError as error:
            raise VecaError(f"{name}: {error}") from None


def ready_recipe(name: str) -> QuantizationRecipe:
    """One of the recipes that need no calibration.

    Args:
        name: "int8", "int4" (the patch embedding, which sees raw pixels, stays int8) or "fp32".

    Raises:
        VecaError: there is no such recipe.
    """
    if name not in READY:
        raise VecaError(f"unknown quantization {name!r}: use {', '.join(READY)}")
    return READY[name]


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


READY: Mapping[str, QuantizationRecipe] = {
    "int8": QuantizationRecipe("int8", "int8"),
    "int4": QuantizationRecipe("int4", "int4", {"patch": "int8"}),
    "fp32": QuantizationRecipe("fp32", "fp32"),
}
