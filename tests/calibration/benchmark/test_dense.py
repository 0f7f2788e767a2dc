from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from tests.converters.checkpoints import random_checkpoint
from veca_edge.calibration.benchmark.against.dense import convert_dense, dense_method
from veca_edge.converters.recipes import ready_recipe
from veca_edge.converters.verification import cosines
from veca_edge.image.patches import cut_patches
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.model.rope import patch_positions, rope_angles, rope_periods, rotate_pairs
from veca_edge.runtime.engines.executorch import Program

GRIDS = ((4, 6), (2, 2))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return random_checkpoint(hidden_dim=128, num_layers=3, ffn_dim=192)


def plain_dense(checkpoint: Checkpoint, image: NDArray[np.uint8]) -> tuple[Any, ...]:
    """An ordinary pre-norm vision transformer with rotary positions, in float64: class token, patch features."""
    config, model = checkpoint.config, checkpoint.build().double()
    mean, std = (torch.tensor(checkpoint.preprocessing[name]).double()[:, None, None] for name in ("mean", "std"))
    pixels = (torch.from_numpy(image).permute(2, 0, 1).double() / 255 - mean) / std
    rows, columns = image.shape[0] // config.patch_size, image.shape[1] // config.patch_size
    tokens = torch.cat([model.query_token_chunks[0][:, :1], model.patch_embed(pixels[None])], dim=1)
    centres = torch.cat([torch.zeros(1, 2), patch_positions(rows, columns)])
    angles = rope_angles(centres, rope_periods(config)).double()[None]
    for block in model.blocks:
        attention, x = block.attn, block.norm_attn(tokens)
        query, key, value = (
            layer(x).unflatten(-1, (config.num_heads, -1)).transpose(1, 2)
            for layer in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        query, key = rotate_pairs(query, angles), rotate_pairs(key, angles)
        mixed = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + attention.out_proj(mixed.transpose(1, 2).flatten(2))
        gate, up = block.fc1(block.norm_ffn(tokens)).chunk(2, dim=-1)
        tokens = tokens + block.fc2(F.silu(gate) * up)
    tokens = model.final_norm(tokens)[0].detach().numpy()
    return tokens[0], tokens[1:]


@pytest.mark.parametrize(("precision", "least"), [("fp32", 1 - 1e-7), ("int8", 0.99)])
def test_computes_what_a_plain_transformer_does(
    checkpoint: Checkpoint, tmp_path: Path, photo: NDArray[np.uint8], precision: str, least: float
) -> None:
    file = convert_dense(checkpoint, tmp_path / "dense.pte", ready_recipe(precision), GRIDS)
    assert file.manifest.methods == ("dense_4x6", "dense_2x2")
    program = Program(file, threads=1)
    for rows, columns in GRIDS:
        image = np.ascontiguousarray(photo[: 16 * rows, : 16 * columns])
        token, features = program.run(dense_method((rows, columns)), [cut_patches(image, 16)])
        expected_token, expected = plain_dense(checkpoint, image)
        assert features.shape == (rows * columns, 128)
        assert cosines(token[0], expected_token) > least
        assert cosines(features, expected).mean() > least
        if precision == "fp32":
            np.testing.assert_allclose(features, expected, atol=2e-4)
    program.close()


def test_every_patch_sees_every_other(checkpoint: Checkpoint, tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    """Unlike in the elastic model, where patches read each other only through the cores."""
    program = Program(convert_dense(checkpoint, tmp_path / "dense.pte", ready_recipe("fp32"), [(2, 2)]), 1)
    patches = cut_patches(np.ascontiguousarray(photo[:32, :32]), 16)
    before = program.run("dense_2x2", [patches])[1].copy()
    patches[3] = 255 - patches[3]
    change = np.abs(program.run("dense_2x2", [patches])[1] - before).max(axis=1)
    assert (change > 1e-3).all()
    program.close()
