"""The emulation against PyTorch's model and against what the engine makes of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import veca_edge
from tests.calibration.benchmark.small_models import photos, small_checkpoint
from tests.known import known
from veca_edge.calibration.quantization.emulation import (
    Emulation,
    half_precision,
    rounded_rows,
)
from veca_edge.converters.executorch.convert import ConvertOptions, convert
from veca_edge.converters.graph.folding import fold, quantize
from veca_edge.converters.recipes import ready_recipe
from veca_edge.converters.verification import Reference
from veca_edge.model.checkpoint import Checkpoint, default_checkpoint_path, read_checkpoint


def _emulation(checkpoint: Checkpoint, recipe: str) -> Emulation:
    return Emulation.of(checkpoint.config, quantize(fold(checkpoint), ready_recipe(recipe)))


def _first_block(checkpoint: Checkpoint) -> Checkpoint:
    """The packaged model's embedding and first block, with their trained weights."""
    others = tuple(f"blocks.{index}." for index in range(1, checkpoint.config.num_layers))
    state = {k: v for k, v in checkpoint.state.items() if not k.startswith((*others, "pos_linears."))}
    state["pos_alpha"] = state["pos_alpha"][:0]
    return replace(checkpoint, config=replace(checkpoint.config, num_layers=1), state=state)


@pytest.mark.parametrize("changes", [{}, {"patch_embed_norm": True}, {"output_dim": 32}], ids=str)
@pytest.mark.parametrize("cores", [8, 24])
def test_in_float32_it_is_the_model(changes: dict[str, object], cores: int) -> None:
    checkpoint = small_checkpoint(**changes)
    answers = _emulation(checkpoint, "fp32")(photos(3), cores)
    reference = Reference(checkpoint)
    for index, image in enumerate(photos(3)):
        expected = reference(image, cores)
        np.testing.assert_allclose(answers.features[index].numpy(), expected.features, atol=2e-5)
        np.testing.assert_allclose(answers.embedding[index].numpy(), expected.embedding, atol=2e-5)


@pytest.fixture(scope="module")
def packaged() -> Checkpoint:
    return read_checkpoint(default_checkpoint_path())


def test_logits_are_the_models(packaged: Checkpoint) -> None:
    answers = _emulation(packaged, "fp32")(photos(2, 128), 64)
    assert answers.logits is not None
    for index, image in enumerate(photos(2, 128)):
        np.testing.assert_allclose(
            answers.logits[index].numpy(), known(Reference(packaged)(image, 64).logits), atol=1e-3
        )


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_a_quantized_block_is_the_engines(packaged: Checkpoint, name: str, tmp_path: Path) -> None:
    """One block: later ones multiply a value that the last bit sends to the next step."""
    checkpoint, path = _first_block(packaged), tmp_path / "block.pte"
    convert(checkpoint, path, ConvertOptions(recipe=ready_recipe(name), budgets=(8,)))
    images = photos(8, 128)
    model = veca_edge.load(path)
    for cores in (8,):
        found = _emulation(checkpoint, name)(images, cores)
        exact = _emulation(checkpoint, "fp32")(images, cores)
        engine = np.stack([model.engine.encode(image, cores).features for image in images])
        difference = np.linalg.norm(found.features.numpy() - engine, axis=-1) / np.linalg.norm(engine, axis=-1)
        rounding = np.linalg.norm(exact.features.numpy() - engine, axis=-1) / np.linalg.norm(engine, axis=-1)
        assert np.median(difference) < 2e-6
        assert difference.mean() < 0.05 * rounding.mean()
    model.close()


def test_a_whole_int8_model_loses_what_the_engine_loses(packaged: Checkpoint, default_model_file: Path) -> None:
    images = photos(8, 128)
    model = veca_edge.load(default_model_file)
    for cores in (8, 64):
        found, exact = (_emulation(packaged, name)(images, cores) for name in ("int8", "fp32"))
        engine = np.stack([model.engine.encode(image, cores).features for image in images])
        expected = np.linalg.norm(engine - exact.features.numpy())
        assert np.linalg.norm((found.features - exact.features).numpy()) == pytest.approx(expected, rel=0.1)
    model.close()


def test_going_on_from_a_block_changes_nothing() -> None:
    emulation = _emulation(small_checkpoint(), "int8")
    state = emulation.block(0, emulation.begin(photos(2), 8))
    np.testing.assert_array_equal(emulation.rest(1, state).features, emulation(photos(2), 8).features)


def test_watching_shows_every_layers_inputs() -> None:
    seen: dict[str, tuple[int, ...]] = {}
    emulation = _emulation(small_checkpoint(output_dim=32), "fp32")

    def watch(name: str, inputs: torch.Tensor) -> None:
        seen.setdefault(name, tuple(inputs.shape))

    emulation(photos(2), 8, watch)
    assert seen["patch"] == (2, 16, 768)
    assert seen["blocks.1.even"] == seen["blocks.1.gate"] == (2, 24, 64)
    assert seen["blocks.1.down"] == (2, 24, 96)
    assert seen["projection"] == (2, 24, 64)


def test_rows_are_rounded_to_256_steps_that_hold_zero() -> None:
    import torch

    x = torch.randn(50, 64) * torch.logspace(-3, 3, 50)[:, None] + 0.5
    rounded = rounded_rows(x)
    step = (x.amax(1).clamp(min=0) - x.amin(1).clamp(max=0)) / 255
    assert bool(((rounded - x).abs() <= 0.501 * step[:, None] + 0.5 * step[:, None]).all())
    assert bool(((rounded / step[:, None]).round() - rounded / step[:, None]).abs().max() < 1e-3)
    assert bool((rounded_rows(torch.zeros(2, 4)) == 0).all())


def test_half_precision_loses_little_and_something() -> None:
    checkpoint = small_checkpoint()
    exact = _emulation(checkpoint, "fp32")
    half = exact.changed({name: half_precision(layer) for name, layer in exact.layers.items()})
    difference = (half(photos(2), 8).features - exact(photos(2), 8).features).abs().max()
    assert 1e-6 < float(difference) < 2e-2
