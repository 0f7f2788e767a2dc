"""Programs that would take the process down are tried in a child first."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import veca_edge
from veca_edge.errors import VecaError
from veca_edge.modelfile.pte import ModelFile, read_model_file, write_model_file
from veca_edge.runtime import trust


def _with_program(source: Path, target: Path, program: bytes) -> ModelFile:
    """A file whose digest fits a damaged program: what a hostile file looks like."""
    file = read_model_file(source)
    manifest = replace(file.manifest, program_size=len(program), program_digest=hashlib.sha256(program).hexdigest())
    hostile = replace(file, path=target, manifest=manifest)
    write_model_file(hostile, program)
    return read_model_file(target)


@pytest.mark.parametrize("seed", range(4))
def test_a_hostile_program_is_an_error_and_not_a_crash(default_model_file: Path, tmp_path: Path, seed: int) -> None:
    file = read_model_file(default_model_file)
    program = bytearray(default_model_file.read_bytes()[: file.manifest.program_size])
    # The program's tables lie at its start and the graphs before the weights: damage both, keep the magic.
    rng = np.random.default_rng(seed)
    for place in rng.integers(64, len(program) // 5, 400):
        program[place] ^= int(rng.integers(1, 256))
    hostile = _with_program(default_model_file, tmp_path / "hostile.pte", bytes(program))
    with pytest.raises(VecaError) as caught:
        veca_edge.load(hostile.path)
    assert "\n" not in str(caught.value)


def test_a_harmless_stranger_is_tried_once(default_model_file: Path, tmp_path: Path) -> None:
    file = read_model_file(default_model_file)
    program = default_model_file.read_bytes()[: file.manifest.program_size] + b"\0" * 16
    stranger = _with_program(default_model_file, tmp_path / "stranger.pte", program)
    marker = trust._marker(stranger)
    assert marker is not None
    assert not marker.exists()
    veca_edge.load(stranger.path).close()
    assert marker.exists()


def test_another_runtime_tries_again(default_model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = read_model_file(default_model_file)
    trust.ensure_harmless(file)
    known = trust._marker(file)
    assert known is not None
    assert known.exists()
    monkeypatch.setattr(trust, "executorch_version", lambda: "1.99.0")
    other = trust._marker(file)
    assert other is not None
    assert not other.exists()


def test_the_child_says_why(default_model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECA_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(trust, "TIMEOUT", 0.05)
    with pytest.raises(VecaError, match=r"does not finish within .* either it hangs, or this computer is too slow"):
        trust.ensure_harmless(read_model_file(default_model_file))
