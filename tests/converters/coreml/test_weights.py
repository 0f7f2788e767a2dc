"""How weights are stored: what each form costs, and what it gives back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from tests.converters.checkpoints import random_checkpoint  # noqa: E402
from veca_edge.converters.coreml.weights import Palette, Plain, Scaled, Stored, package_weights  # noqa: E402
from veca_edge.converters.recipes import Compression, QuantizationRecipe  # noqa: E402


def dense(stored: Stored) -> NDArray[np.float32]:
    """The values that a device computes with."""
    if isinstance(stored, Plain):
        return stored.data
    if isinstance(stored, Scaled):
        scale = stored.scale.astype(np.float32)
        for axis, (size, blocks) in enumerate(zip(stored.data.shape, scale.shape, strict=True)):
            scale = np.repeat(scale, size // blocks, axis)
        return np.asarray(stored.data * scale, np.float32)
    rows = len(stored.indices) // len(stored.table)
    groups = np.repeat(np.arange(len(stored.table)), rows)
    return np.asarray(stored.table[groups[:, None], 0, stored.indices, 0], np.float32)


@pytest.mark.parametrize(
    ("compression", "error"), [("int8", 0.01), ("palette6", 0.04), ("int4", 0.12), ("palette4", 0.13)]
)
def test_the_error_of_each_form(compression: Compression, error: float) -> None:
    checkpoint = random_checkpoint(hidden_dim=128, num_heads=2, ffn_dim=256)
    exact, found = package_weights(checkpoint, "fp32"), package_weights(checkpoint, compression)
    for name in ("qkv", "out", "up", "down"):
        a, b = (dense(getattr(w.blocks[1], name).weight) for w in (exact, found))
        assert a.shape == b.shape
        assert 0 < np.linalg.norm(a - b) / np.linalg.norm(a) < error


def test_int8_stays_in_its_range_and_scales_are_per_channel() -> None:
    weight = package_weights(random_checkpoint(), "int8").blocks[0].up.weight
    assert isinstance(weight, Scaled)
    assert weight.scale.shape == (192, 1)
    assert np.abs(weight.data).max(axis=1).tolist() == [127] * 192


def test_int4_has_a_scale_per_block_and_falls_back_where_blocks_do_not_fit() -> None:
    block = package_weights(random_checkpoint(ffn_dim=80), "int4").blocks[0]
    assert isinstance(block.up.weight, Scaled)
    assert (block.up.weight.bits, block.up.weight.scale.shape) == (4, (160, 2))
    assert (int(block.up.weight.data.min()), int(block.up.weight.data.max())) == (-8, 7)
    assert isinstance(block.down.weight, Scaled)
    assert (block.down.weight.bits, block.down.weight.scale.shape) == (8, (64, 1))


@pytest.mark.parametrize("compression", ["palette6", "palette4"])
def test_palettes_are_per_group_of_channels(compression: Compression) -> None:
    weights = package_weights(random_checkpoint(ffn_dim=36), compression)
    palette = weights.blocks[0].up.weight
    assert isinstance(palette, Palette)
    assert palette.table.shape == (72 // 8, 1, 2**palette.bits, 1)  # 72 channels divide by 8, not by 16
    assert palette.indices.max() < 2**palette.bits
    assert isinstance(weights.patch.weight, Scaled)
    assert weights.patch.weight.bits == 8


def test_rows_of_zeros_stay_zeros() -> None:
    checkpoint = random_checkpoint()
    checkpoint.state["blocks.0.fc2.weight"].zero_()
    for compression in ("int8", "int4", "palette4"):
        weight = package_weights(checkpoint, compression).blocks[0].down.weight
        assert not dense(weight).any()


def test_a_palette_finds_the_few_values_there_are() -> None:
    checkpoint = random_checkpoint()
    values = torch.tensor([-0.5, -0.125, 0.25, 1.0])
    weight = values[torch.randint(4, (64, 96), generator=torch.Generator().manual_seed(1))]
    checkpoint.state["blocks.0.fc2.weight"].copy_(weight)
    stored = package_weights(checkpoint, "palette4").blocks[0].down.weight
    np.testing.assert_allclose(dense(stored), weight.numpy(), atol=1e-3)


def test_progress_is_told_block_by_block() -> None:
    seen: list[float] = []
    package_weights(random_checkpoint(num_layers=4), "int8", seen.append)
    assert seen == [0.25, 0.5, 0.75, 1.0]


def test_a_recipe_names_layers_and_a_joined_matrix_gets_the_finest_of_them() -> None:
    layers = {"blocks.1.even": "int8", "blocks.1.gate": "fp32", "blocks.0.down": "fp32", "patch": "fp32"}
    recipe = QuantizationRecipe("mixed", "int4", layers)  # type: ignore[arg-type]
    weights = package_weights(random_checkpoint(), "int8", recipe=recipe)

    def bits(stored: Stored) -> int:
        return stored.bits if isinstance(stored, Scaled) else 16

    found = [[bits(getattr(b, name).weight) for name in ("qkv", "out", "up", "down")] for b in weights.blocks]
    assert found == [[4, 4, 4, 16], [8, 4, 16, 4]]
    assert bits(weights.patch.weight) == 16
