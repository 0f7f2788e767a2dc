"""Other runtimes compute what the checkpoint computes. Each is tested where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.calibration.benchmark.small_models import write_tiny
from tests.known import known
from veca_edge.calibration.benchmark.against.baseline import Baseline, Source
from veca_edge.calibration.benchmark.against.eager import reference
from veca_edge.calibration.benchmark.against.runtimes import RUNTIMES, open_baselines
from veca_edge.calibration.benchmark.request import BenchRequest
from veca_edge.calibration.benchmark.target import Target, prepare
from veca_edge.converters.verification import cosines
from veca_edge.errors import VecaError

SIZE = 48  # pixels
LEAST = {"fp32": 1 - 1e-6, "bf16": 0.999, "int8": 0.95, "int8 weights": 0.99}  # cosine to eager float32


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """A small checkpoint with its model file and one image size."""
    folder = tmp_path_factory.mktemp("against")
    return prepare(BenchRequest(write_tiny(folder), image_size=(SIZE,), against=tuple(RUNTIMES)), folder)


def opened(target: Target, folder: Path, *names: Any) -> tuple[list[Baseline], list[str]]:
    """The baselines of these runtimes, and what was noted."""
    notes: list[str] = []
    source = Source(known(target.checkpoint), "int8", target.plan.inputs, 1, folder, notes.append)
    return open_baselines(names, source), notes


def check(baseline: Baseline, target: Target, cores: int) -> None:
    """Its outputs are those of the checkpoint, again and again."""
    (given,) = target.plan.inputs
    expected = reference(known(target.checkpoint), 1).prepare(given, cores)()
    call = baseline.prepare(given, cores)
    for _ in range(2):
        for found, wanted in zip(call(), expected, strict=True):
            assert found.shape == wanted.shape
            assert cosines(found, wanted).mean() > LEAST[baseline.precision], baseline.name


@pytest.mark.parametrize("cores", [8, 16])
@pytest.mark.parametrize(
    ("runtime", "precisions"),
    [
        ("torch", {"fp32", "int8"}),
        pytest.param("torch-compile", {"fp32", "int8"}, marks=pytest.mark.slow),
        ("onnxruntime", {"fp32", "int8"}),
        ("openvino", {"bf16", "fp32", "int8", "int8 weights"}),
    ],
)
def test_baselines_compute_what_the_checkpoint_computes(
    target: Target,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    runtime: str,
    precisions: set[str],
    cores: int,
) -> None:
    for module in RUNTIMES[runtime].needs:
        pytest.importorskip(module)
    baselines, notes = opened(target, tmp_path, runtime)
    found = {baseline.precision for baseline in baselines}
    # Processors without bfloat16, and installations without what quantizes, have fewer.
    assert (found == precisions - ({"bf16"} - found)) != bool(notes)
    assert found or notes
    for baseline in baselines:
        check(baseline, target, cores)
    assert capsys.readouterr().out == ""  # standard output belongs to the report


def test_the_dense_model_is_another_model_of_the_same_shape(target: Target, tmp_path: Path) -> None:
    (baseline,), notes = opened(target, tmp_path, "dense")
    assert (baseline.name, baseline.same_weights, notes) == ("dense int8", False, [])
    (given,) = target.plan.inputs
    token, features = baseline.prepare(given, 16)()
    assert (token.shape, features.shape) == ((64,), (given.patches, 64))
    assert np.isfinite(features).all()


def test_what_is_not_installed_is_noted_and_nothing_left_is_an_error(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("veca_edge.calibration.benchmark.against.runtimes.find_spec", lambda name: None)
    baselines, notes = opened(target, tmp_path, "onnxruntime", "torch")
    assert {baseline.runtime for baseline in baselines} == {"torch"}
    assert notes == [
        "onnxruntime is left out: it needs onnx, which is not installed: pip install 'veca-edge[against]'"
    ]
    with pytest.raises(VecaError) as error:
        opened(target, tmp_path, "onnxruntime")
    assert str(error.value) == notes[0]


def test_without_a_compiler_there_is_nothing_to_compile_with(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("veca_edge.calibration.benchmark.against.compiled.shutil.which", lambda name: None)
    with pytest.raises(VecaError, match="it needs a C\\+\\+ compiler"):
        opened(target, tmp_path, "torch-compile")
