"""Which layers a recipe can name, and that each gets what the recipe says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.converters.checkpoints import random_checkpoint  # noqa: E402
from veca_edge.converters.graph.folding import fold, linear_layers, quantize  # noqa: E402
from veca_edge.converters.graph.weights import Weight, nearest  # noqa: E402
from veca_edge.converters.recipes import Precision, QuantizationRecipe, ready_recipe  # noqa: E402
from veca_edge.errors import VecaError  # noqa: E402

PARTS = ("even", "odd", "value", "out", "gate", "up", "down")


def test_the_layers_a_recipe_can_name() -> None:
    names = ["patch", *(f"blocks.{i}.{part}" for i in (0, 1) for part in PARTS)]
    assert list(linear_layers(fold(random_checkpoint()))) == names
    assert list(linear_layers(fold(random_checkpoint(output_dim=48)))) == [*names, "projection"]


def test_folding_alone_rounds_nothing() -> None:
    folded = fold(random_checkpoint())
    assert {layer.precision for layer in linear_layers(folded).values()} == {"fp32"}
    exact = linear_layers(quantize(folded, ready_recipe("fp32")))
    for name, layer in linear_layers(folded).items():
        np.testing.assert_array_equal(exact[name].data, layer.data)
        np.testing.assert_array_equal(exact[name].bias, layer.bias)


def test_each_layer_gets_the_precision_of_the_recipe() -> None:
    layers: dict[str, Precision] = {"patch": "fp32", "blocks.0.out": "int4", "projection": "int4"}
    recipe = QuantizationRecipe("mixed", "int8", layers)
    found = linear_layers(quantize(fold(random_checkpoint(output_dim=48)), recipe))
    assert {name: layer.precision for name, layer in found.items()} == {
        name: layers.get(name, "int8") for name in found
    }


def test_small_and_sensitive_parts_stay_as_they_are() -> None:
    folded = fold(random_checkpoint(labels=("a", "b")))
    found = quantize(folded, ready_recipe("int4"))
    assert (found.head, found.coordinate_heads, found.angles, found.core_tokens) == (
        folded.head,
        folded.coordinate_heads,
        folded.angles,
        folded.core_tokens,
    )


def test_another_rounding_is_asked_once_for_every_layer() -> None:
    asked: list[tuple[str, Precision]] = []

    def zero(weight: Weight, precision: Precision) -> Weight:
        asked.append((weight.name, precision))
        return nearest(replace(weight, data=np.zeros_like(weight.data)), precision)

    folded = fold(random_checkpoint())
    found = quantize(folded, ready_recipe("int4"), zero)
    assert asked == [(name, "int8" if name == "patch" else "int4") for name in linear_layers(folded)]
    assert not any(layer.data.any() for layer in linear_layers(found).values())


def test_the_patch_embedding_keeps_its_response_to_the_mean_pixel() -> None:
    folded = fold(random_checkpoint())
    grey = np.tile(255 * np.array([0.485, 0.456, 0.406]), 16 * 16)
    expected = folded.patch.values.astype(np.float64) @ grey + folded.patch.bias
    for name in ("int8", "int4"):
        patch = quantize(folded, QuantizationRecipe(name, name)).patch
        assert patch.precision == name
        np.testing.assert_allclose(patch.values.astype(np.float64) @ grey + patch.bias, expected, atol=1e-4)


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(VecaError, match=r"names blocks\.2\.up, which this model does not have"):
        quantize(fold(random_checkpoint()), QuantizationRecipe("odd", "int8", {"blocks.2.up": "int4"}))


def test_bytes_are_counted_as_stored() -> None:
    sizes = {
        n: quantize(fold(random_checkpoint()), ready_recipe(n)).quantized_bytes for n in ("int8", "int4", "fp32")
    }
    assert sizes["int4"] < sizes["int8"] < 0.4 * sizes["fp32"]
