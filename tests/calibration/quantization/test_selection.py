"""The way down from fp32, and where to stop on it."""

from __future__ import annotations

import pytest

from veca_edge.calibration.quantization.selection import as_recipe, downhill, last_within
from veca_edge.converters.recipes import Precision

BYTES: dict[Precision, int] = {"fp32": 400, "int8": 100, "int4": 60}
Losses = dict[tuple[str, Precision], float]
SIZES = {(layer, kind): size for layer in "ab" for kind, size in BYTES.items()}


def test_the_cheapest_byte_goes_first() -> None:
    losses: Losses = {("a", "int8"): 0.1, ("a", "int4"): 0.2, ("b", "int8"): 0.01, ("b", "int4"): 1.0}
    steps = downhill(losses, SIZES)
    assert [(step["a"], step["b"]) for step in steps] == [
        ("fp32", "fp32"),
        ("fp32", "int8"),
        ("int8", "int8"),
        ("int4", "int8"),
        ("int4", "int4"),
    ]


def test_a_precision_that_is_beaten_in_both_is_left_out() -> None:
    losses: Losses = {("a", "int8"): 0.5, ("a", "int4"): 0.1, ("b", "int8"): 0.5, ("b", "int4"): 0.6}
    steps = downhill(losses, SIZES)
    assert all(step["a"] != "int8" for step in steps)
    assert any(step["b"] == "int8" for step in steps)


def test_a_layer_that_cannot_be_int4_stays_int8() -> None:
    sizes = {key: size for key, size in SIZES.items() if key != ("b", "int4")}
    losses: Losses = {("a", "int8"): 0.1, ("a", "int4"): 0.2, ("b", "int8"): 0.1}
    assert downhill(losses, sizes)[-1] == {"a": "int4", "b": "int8"}


@pytest.mark.parametrize("least", range(6))
def test_the_last_step_that_holds_is_found(least: int) -> None:
    steps = [{"a": "int8", "step": str(index)} for index in range(6)]
    asked = []

    def holds(step: dict[str, str]) -> bool:
        asked.append(step)
        return int(step["step"]) < least

    found = last_within(steps, holds)  # type: ignore[arg-type]
    assert found == (steps[least - 1] if least else None)
    assert len(asked) <= 4


def test_a_recipe_names_what_differs_from_the_most_frequent() -> None:
    recipe = as_recipe({"a": "int8", "b": "int4", "c": "int8"})
    assert (recipe.name, recipe.default, dict(recipe.layers)) == ("mixed", "int8", {"b": "int4"})
    assert as_recipe({"a": "int4", "b": "int4"}).name == "int4"
