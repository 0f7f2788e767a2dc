"""Emulated Arm processors compute what this one does; `make test-arm64` makes them and runs this."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.arm64.probe import TINY, Found
from tests.paths import ROOT

HOME = os.environ.get("VECA_EDGE_ARM64", "")
PROCESSORS = ("cortex-a72", "cortex-a76", "max")
pytestmark = [
    pytest.mark.arm64,
    pytest.mark.skipif(not HOME, reason="`make test-arm64` makes the processors that this needs"),
]


def probed(python: str | Path, folder: Path, name: str) -> Found:
    """What the interpreter's processor computes of the models in a folder."""
    output = folder / name / "found.npz"
    output.parent.mkdir()
    environment = os.environ | {"VECA_EDGE_CACHE": str(output.parent / "cache")}
    subprocess.run([python, "-m", "tests.arm64.probe", folder, output], cwd=ROOT, env=environment, check=True)
    with np.load(output) as found:
        return dict(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model in each precision, and a small checkpoint."""
    from tests.converters.checkpoints import random_checkpoint
    from veca_edge.conversion.convert import ConvertRequest, convert
    from veca_edge.converters.recipes import PRECISIONS
    from veca_edge.model.checkpoint import write_checkpoint

    made = tmp_path_factory.mktemp("models")
    for name in PRECISIONS:
        path = made / f"{name}.pte"
        convert(ConvertRequest(output=path, quantize=name, cores=(8, 64), max_patches=256, evaluate=False))
    write_checkpoint(random_checkpoint(("cat", "dog", "hen")), made / f"{TINY}.pt", half=False)
    return made


@pytest.fixture(scope="module")
def expected(folder: Path) -> Found:
    return probed(sys.executable, folder, "here")


@pytest.mark.parametrize("processor", PROCESSORS)
def test_an_arm_processor_computes_the_same(processor: str, folder: Path, expected: Found) -> None:
    found = probed(Path(HOME) / processor / "python", folder, processor)
    assert found.keys() == expected.keys()
    different = [f"{name}: {said}" for name in found if (said := difference(name, found[name], expected[name]))]
    assert not different, "\n".join(different)


def difference(name: str, found: np.ndarray, expected: np.ndarray) -> str:
    """What is wrong; "" if nothing is."""
    if name.startswith("exit status"):
        return f"{found[0]:.0f}" if found[0] else ""
    if name.startswith("resized"):  # OpenCV has code of its own for each kind of processor
        most = np.abs(found - expected).max()
        return "" if most <= 1 else f"{most:.0f} grey levels"
    if name.endswith("logits") and found.argmax() != expected.argmax():
        return f"class {found.argmax()}, expected {expected.argmax()}"
    a, b = found.ravel().astype(float), expected.ravel().astype(float)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return "" if cosine > 0.995 else f"cosine {cosine:.4f}"
