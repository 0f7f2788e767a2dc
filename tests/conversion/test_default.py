"""The packaged model's place in the cache: made when missing, made again when damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import veca_edge
from veca_edge.conversion import default
from veca_edge.conversion.default import default_model_path
from veca_edge.errors import VecaError


@pytest.fixture
def made(default_model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Path]]:
    """A cache folder with the model in it, and a list of what was converted anew."""
    monkeypatch.setenv("VECA_EDGE_CACHE", str(tmp_path))
    converted: list[Path] = []

    def convert(checkpoint: Path, path: Path, say: object) -> None:
        converted.append(path)
        shutil.copy(default_model_file, path)

    monkeypatch.setattr(default, "_convert", convert)
    return default_model_path(), converted


def test_it_is_converted_once(made: tuple[Path, list[Path]]) -> None:
    path, converted = made
    assert default_model_path() == path
    assert converted == [path]


@pytest.mark.parametrize("keep", [0, 1000, 3_000_000])
def test_a_damaged_one_is_converted_again(made: tuple[Path, list[Path]], keep: int) -> None:
    path, converted = made
    path.write_bytes(path.read_bytes()[:keep])
    assert default_model_path() == path
    assert len(converted) == 2


def test_a_folder_in_its_place_is_named(made: tuple[Path, list[Path]]) -> None:
    path, _ = made
    path.unlink()
    path.mkdir()
    with pytest.raises(VecaError, match="remove it"):
        default_model_path()


@pytest.mark.parametrize(
    "environment", [{"VECA_EDGE_CACHE": "file"}, {"XDG_CACHE_HOME": "file"}, {"HOME": "none"}, {"HOME": "file"}]
)
def test_without_a_cache_it_is_converted_into_a_temporary_folder(
    made: tuple[Path, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    (tmp_path / "file").touch()
    for name in ("VECA_EDGE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    told: list[str] = []
    path = default_model_path(told.append)
    assert path.exists()
    assert not path.is_relative_to(tmp_path / "file")
    assert "VECA_EDGE_CACHE" in told[0]


def test_load_without_a_path_opens_it_and_says_what_takes_long(
    made: tuple[Path, list[Path]], capsys: pytest.CaptureFixture[str], photo: NDArray[np.uint8]
) -> None:
    with veca_edge.load() as model:
        assert model(photo).top(1)[0].label == "milk"
    assert "closed" in repr(model)
    with pytest.raises(VecaError, match="is closed: load the model again"):
        model(photo)
