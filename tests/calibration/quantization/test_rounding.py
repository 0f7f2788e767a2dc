"""Learned rounding: better than the nearest value for the inputs that it was learned from, and for others."""

from __future__ import annotations

import numpy as np
import pytest

from tests.calibration.benchmark.small_models import photo_set, photos, small_checkpoint
from tests.known import known
from veca_edge.calibration.quantization.emulation import Emulation
from veca_edge.calibration.quantization.losses import Evaluator
from veca_edge.calibration.quantization.rounding import Moments, learned_rounding, measure_moments, reconstructed
from veca_edge.converters.graph.folding import fold, quantize
from veca_edge.converters.graph.weights import Round, Weight, nearest
from veca_edge.converters.recipes import Precision, ready_recipe
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint, default_checkpoint_path, read_checkpoint
from veca_edge.photos.calibration import PhotoSet


def _float(checkpoint: Checkpoint) -> Emulation:
    return Emulation.of(checkpoint.config, fold(checkpoint))


def _inputs(rows: int = 4000, width: int = 96) -> np.ndarray:
    """Correlated inputs with a mean, as a trained model's are."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(width, width)) * np.geomspace(1, 0.03, width)
    return random.normal(size=(rows, width)) @ mixing.T + random.normal(size=width)


def _moments(inputs: np.ndarray) -> Moments:
    return Moments(inputs.mean(0), inputs.T @ inputs / len(inputs))


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("centred", [False, True])
def test_a_layer_answers_better_than_with_nearest_values(precision: Precision, centred: bool) -> None:
    inputs = _inputs()
    matrix = np.random.default_rng(1).normal(size=(64, 96)).astype(np.float32)
    centre = inputs.mean(0).astype(np.float32) if centred else None
    weight = Weight("layer", matrix, np.zeros(64, np.float32), centre=centre)
    exact = inputs @ matrix.T

    def error(rounded: Weight) -> float:
        return float(np.square(inputs @ rounded.values.T + known(rounded.bias) - exact).mean())

    learned = reconstructed(weight, precision, _moments(inputs))
    assert error(learned) < 0.6 * error(nearest(weight, precision))
    assert learned.data.dtype == np.int8
    assert learned.precision == precision


@pytest.mark.parametrize("inputs", [np.zeros((10, 96)), np.ones((10, 96))], ids=["nothing", "always the same"])
def test_inputs_that_say_nothing_are_taken(inputs: np.ndarray) -> None:
    matrix = np.random.default_rng(1).normal(size=(8, 96)).astype(np.float32)
    weight = Weight("layer", matrix, np.zeros(8, np.float32))
    rounded = reconstructed(weight, "int4", _moments(inputs))
    assert np.isfinite(rounded.values).all()
    assert np.abs(inputs @ rounded.values.T - inputs @ matrix.T).max() < 3


def test_the_packaged_model_loses_less_than_half_at_int4() -> None:
    checkpoint = read_checkpoint(default_checkpoint_path())
    exact, images = _float(checkpoint), photos(16, 256)
    learned = learned_rounding(measure_moments(exact, images[:12], (8, 64)))
    evaluate = Evaluator(exact, PhotoSet(images[12:], None, ""), (8, 64))

    def loss(round: Round) -> list[float]:
        folded = quantize(fold(checkpoint), ready_recipe("int4"), round)
        return [loss.features for loss in evaluate(Emulation.of(checkpoint.config, folded))]

    assert all(a < 0.5 * b for a, b in zip(loss(learned), loss(nearest), strict=True))


def test_every_layer_gets_moments_of_its_inputs_width() -> None:
    emulation = _float(small_checkpoint(output_dim=32))
    moments = measure_moments(emulation, photo_set().pixels, (8, 24))
    for name, layer in emulation.layers.items():
        assert moments[name].second.shape == (layer.matrix.shape[1],) * 2
    assert moments["blocks.0.even"] is moments["blocks.0.value"]
    assert moments["blocks.0.gate"] is not moments["blocks.0.even"]


def test_a_model_that_overflows_is_refused() -> None:
    checkpoint = small_checkpoint()
    checkpoint.state["blocks.0.fc1.weight"] *= 1e25
    with pytest.raises(VecaError, match=r"blocks\.0\.down sees values too large"):
        measure_moments(_float(checkpoint), photo_set().pixels, (8,))
