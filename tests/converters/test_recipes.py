"""Recipes as values and as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from veca_edge.converters.recipes import QuantizationRecipe, ready_recipe
from veca_edge.errors import VecaError

MIXED = QuantizationRecipe("mixed", "int8", {"blocks.3.up": "int4", "patch": "fp32"})


def test_layers_that_are_not_named_get_the_default() -> None:
    assert [MIXED.precision_of(name) for name in ("patch", "blocks.3.up", "blocks.3.down")] == [
        "fp32",
        "int4",
        "int8",
    ]


@pytest.mark.parametrize("name", ["int8", "int4", "fp32"])
def test_ready_recipes_are_named_after_what_most_layers_get(name: str) -> None:
    recipe = ready_recipe(name)
    assert (recipe.name, recipe.precision_of("blocks.0.up")) == (name, name)
    assert recipe.precision_of("patch") == {"int4": "int8"}.get(name, name)


def test_a_name_that_is_not_known_is_refused() -> None:
    with pytest.raises(VecaError, match="unknown quantization 'int3': use int8, int4, fp32"):
        ready_recipe("int3")
    with pytest.raises(VecaError, match=r"names blocks\.3\.up, which this model does not have"):
        MIXED.check(["patch", "blocks.0.up"])
    MIXED.check(["patch", "blocks.3.up", "blocks.3.down"])


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    MIXED.write(path)
    assert QuantizationRecipe.read(path) == MIXED
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"default": "int3"}, "unknown precision 'int3'"),
        ({"default": None}, "unknown precision 'None'"),
        ({"default": []}, "unknown precision"),
        ({"layers": {"patch": 4}}, "unknown precision '4'"),
        ({"layers": {"": "int8"}}, "table from layer to precision"),
        ({"layers": ["patch"]}, "table from layer to precision"),
        ({"name": "\x1b[2J"}, "must be a short text"),
        ({"name": "a" * 65}, "must be a short text"),
        ({"format": "another"}, "not a recipe"),
        ({"format_version": 2}, "newer veca-edge"),
    ],
    ids=str,
)
def test_nonsense_in_a_file_is_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "recipe.json"
    MIXED.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(VecaError, match=message) as caught:
        QuantizationRecipe.read(path)
    assert str(path) in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff\x00", b"[" * 100_000, b" " * (2**20 + 1), b'{"name": "x"}'])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "recipe.json"
    path.write_bytes(data)
    with pytest.raises(VecaError, match="not a recipe"):
        QuantizationRecipe.read(path)


def test_files_that_cannot_be_read_or_written_are_told(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="cannot read"):
        QuantizationRecipe.read(tmp_path / "missing.json")
    with pytest.raises(VecaError, match="cannot read"):
        QuantizationRecipe.read(tmp_path)
    with pytest.raises(VecaError, match="cannot write"):
        MIXED.write(tmp_path / "missing" / "recipe.json")
