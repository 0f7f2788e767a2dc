"""Damaged and hostile samples of every kind of file: no crash, no hang, no gigabyte, nothing but VecaError."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.fuzz.child import Failure, fuzz
from tests.fuzz.readers import readers

pytest.importorskip("torch")
pytest.importorskip("cv2")

FULL = 10_000  # inputs over all readers: ten minutes
SHORT = {"checkpoint": 50, "model file": 60, "recipe": 80, "profile": 80, "training log": 80}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


def _failures(name: str, count: int, first: int, folder: Path, file: Path, package: Path | None) -> list[Failure]:
    return list(fuzz(folder, (file, package), name, count, first))


@pytest.mark.parametrize("name", SHORT)
def test_some_inputs_are_refused_in_one_line(name: str, default_model_file: Path, tmp_path: Path) -> None:
    assert not _failures(name, SHORT[name], 0, tmp_path, default_model_file, None)


@pytest.mark.slow
def test_many_inputs_of_every_reader(default_model_file: Path, tmp_path: Path) -> None:
    coreml = pytest.importorskip("coremltools")
    assert coreml
    from tests.converters.checkpoints import random_checkpoint
    from veca_edge.converters.coreml.convert import PackageOptions, convert_package

    package = tmp_path / "sample.mlpackage"
    convert_package(random_checkpoint(), package, PackageOptions())
    found = readers(default_model_file, package)
    failures = {
        name: _failures(name, FULL // len(found), 1_000, tmp_path, default_model_file, package) for name in found
    }
    others = [failure for name, several in failures.items() if not found[name].ours for failure in several]
    print(*others, sep="\n")
    assert not [failure for name, several in failures.items() if found[name].ours for failure in several]
