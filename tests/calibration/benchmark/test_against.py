"""Other runtimes compute what the checkpoint computes. Each is tested where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.known import known
from veca_edge.calibration.benchmark.against.baseline import Rival, Source
from veca_edge.calibration.benchmark.against.eager import reference
from veca_edge.calibration.benchmark.against.runtimes import RUNTIMES, open_rivals
from veca_edge.calibration.benchmark.target import Request, Subject, prepare
from veca_edge.calibration.benchmark.timings import cosine
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint, default_preprocessing, write_checkpoint
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import random_veca

SIZE = 48  # pixels
LEAST = {"fp32": 1 - 1e-6, "bf16": 0.999, "int8": 0.95, "int8 weights": 0.99}  # cosine to eager float32


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A small checkpoint with its model file and one case."""
    folder = tmp_path_factory.mktemp("against")
    config = VecaConfig.from_family("small", hidden_dim=64, num_heads=1, num_layers=2, num_cores=16, ffn_dim=96)
    path = folder / "tiny.pt"
    write_checkpoint(Checkpoint(config, random_veca(config).state_dict(), None, (), default_preprocessing()), path)
    return prepare(Request(path, image_sizes=(SIZE,), against=tuple(RUNTIMES)), folder)


def opened(subject: Subject, folder: Path, *names: Any) -> tuple[list[Rival], list[str]]:
    """The rivals of these runtimes, and what was noted."""
    notes: list[str] = []
    source = Source(known(subject.checkpoint), "int8", subject.cases, 1, folder, notes.append)
    return open_rivals(names, source), notes


def check(rival: Rival, subject: Subject, cores: int = 16) -> None:
    """Its outputs are those of the checkpoint, again and again."""
    (case,) = subject.cases
    expected = reference(known(subject.checkpoint), 1).prepare(case, cores)()
    call = rival.prepare(case, cores)
    for _ in range(2):
        for found, wanted in zip(call(), expected, strict=True):
            assert found.shape == wanted.shape
            assert cosine(found, wanted) > LEAST[rival.precision], rival.name


@pytest.mark.parametrize("cores", [8, 16])
def test_eager_torch(subject: Subject, tmp_path: Path, cores: int) -> None:
    rivals, notes = opened(subject, tmp_path, "torch")
    assert ([rival.name for rival in rivals], notes) == (["torch fp32", "torch int8"], [])
    for rival in rivals:
        check(rival, subject, cores)


@pytest.mark.slow
def test_torch_compile(subject: Any, tmp_path: Path) -> None:
    rivals, notes = opened(subject, tmp_path, "torch-compile")
    assert len(rivals) + len(notes) in (1, 2)
    for rival in rivals:
        check(rival, subject)


def test_onnx_runtime(subject: Subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for module in RUNTIMES["onnxruntime"].needs:
        pytest.importorskip(module)
    rivals, notes = opened(subject, tmp_path, "onnxruntime")
    assert ([rival.name for rival in rivals], notes) == (["onnxruntime fp32", "onnxruntime int8"], [])
    for rival in rivals:
        check(rival, subject)
    assert capsys.readouterr().out == ""  # standard output belongs to the report


def test_openvino(subject: Subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openvino")
    rivals, notes = opened(subject, tmp_path, "openvino")
    assert "fp32" in [rival.precision for rival in rivals]
    assert ("int8" in [rival.precision for rival in rivals]) != bool(notes)
    for rival in rivals:
        check(rival, subject)
    assert capsys.readouterr().out == ""


def test_the_dense_model_is_another_model_of_the_same_shape(subject: Subject, tmp_path: Path) -> None:
    (rival,), notes = opened(subject, tmp_path, "dense")
    assert (rival.name, rival.same_weights, notes) == ("dense int8", False, [])
    (case,) = subject.cases
    token, features = rival.prepare(case, 16)()
    assert (token.shape, features.shape) == ((64,), (case.patches, 64))
    assert np.isfinite(features).all()


def test_what_is_not_installed_is_noted_and_nothing_left_is_an_error(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("veca_edge.calibration.benchmark.against.runtimes.find_spec", lambda name: None)
    rivals, notes = opened(subject, tmp_path, "onnxruntime", "torch")
    assert {rival.runtime for rival in rivals} == {"torch"}
    assert notes == [
        "onnxruntime is left out: it needs onnx, which is not installed: pip install 'veca-edge[against]'"
    ]
    with pytest.raises(VecaError) as error:
        opened(subject, tmp_path, "onnxruntime")
    assert str(error.value) == notes[0]


def test_without_a_compiler_there_is_nothing_to_compile_with(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("veca_edge.calibration.benchmark.against.compiled.shutil.which", lambda name: None)
    with pytest.raises(VecaError, match="it needs a C\\+\\+ compiler"):
        opened(subject, tmp_path, "torch-compile")
