"""The packaged model's place in the cache: made when missing, made again when damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

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


def test_a_cache_that_is_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VECA_EDGE_CACHE", str(tmp_path / "file"))
    with pytest.raises(VecaError, match="as cache folder"):
        default_model_path()
