"""A conversion from end to end, for both targets: progress, tolerance, and what is left behind."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.converters.checkpoints import random_checkpoint
from tests.dense_sets import write_masks
from tests.known import known
from veca_edge.conversion.convert import Conversion, ConvertRequest, convert
from veca_edge.converters import verification
from veca_edge.converters.verification import Row, Verification
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import write_checkpoint
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.mlpackage import read_package_file
from veca_edge.modelfile.pte import read_model_file

OUTPUTS = {"executorch": "m.pte", "coreml": "m.mlpackage"}
STAGES = {
    "executorch": "averaging photos, folding weights, building graphs, assembling, writing, verifying, evaluating",
    "coreml": "averaging photos, compressing, writing, verifying",
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.pt"
    write_checkpoint(random_checkpoint(), path, half=False)
    return path


def _manifest(path: Path) -> Manifest:
    return read_model_file(path).manifest if path.is_file() else read_package_file(path).manifest


@pytest.fixture
def cosine(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What every verification finds, instead of running one; KeyboardInterrupt if it is empty."""
    found: list[float] = []

    def verify_in_child(path: Path, *rest: Any, **named: Any) -> Verification:
        if not found:
            raise KeyboardInterrupt
        row = Row("cores_8", 8, found[0], found[0], 0.5, None, 0.4)
        return Verification("int8", 1, (row,), "coreml" if path.is_dir() else "executorch")

    monkeypatch.setattr(verification, "verify_in_child", verify_in_child)
    return found


@pytest.mark.parametrize("target", OUTPUTS)
def test_progress_goes_from_nothing_to_all(checkpoint: Path, target: Any, tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []
    request = ConvertRequest(checkpoint, target, tmp_path / OUTPUTS[target], cores=(8,))
    (made,) = convert(request, lambda stage, done: seen.append((stage, done)))
    stages = list(dict.fromkeys(stage for stage, _ in seen))
    assert ", ".join(stages) == STAGES[target]
    for stage in stages:
        done = [d for s, d in seen if s == stage]
        assert done == sorted(done)
        assert done[-1] == 1
    (output,) = made.outputs
    assert _manifest(output.path).to_json() == output.manifest.to_json()
    assert known(output.manifest.means).photos == 16  # the packaged ones
    assert output.manifest.verification["passed"] is True
    assert output.manifest.verification["target"] == target
    assert bool(output.manifest.quality) == (target == "executorch")
    assert list(tmp_path.iterdir()) == [output.path]


@pytest.mark.parametrize("target", OUTPUTS)
def test_what_is_outside_the_tolerance_is_not_written(
    checkpoint: Path, target: Any, tmp_path: Path, cosine: list[float]
) -> None:
    path = tmp_path / OUTPUTS[target]
    cosine.append(0.9)

    def made(**options: Any) -> tuple[Conversion, ...]:
        return convert(ConvertRequest(checkpoint, target, path, cores=(8,), **options))

    with pytest.raises(VecaError, match=rf"{path.name} was not written.*cores_8 at 8 cores, feature cosine 0\.9"):
        made()
    assert list(tmp_path.iterdir()) == []
    options = {"evaluate": False} if target == "executorch" else {}
    assert made(force=True, **options)[0].outputs[0].manifest.verification["passed"] is False
    assert list(tmp_path.iterdir()) == [path]


def test_photos_that_are_given_are_verified_on(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path | None] = []

    def verify_in_child(*_: object, data: Path | None = None) -> Verification:
        seen.append(data)
        return Verification("int8", 1, ())

    monkeypatch.setattr(verification, "verify_in_child", verify_in_child)
    people = write_masks(tmp_path, train=2, val=1)
    for data in (None, people):
        convert(ConvertRequest(checkpoint, output=tmp_path / "m.pte", data=data, cores=(8,), evaluate=False))
    assert seen == [None, people]


@pytest.mark.parametrize(
    ("target", "options", "seconds"),
    [
        ("executorch", {"evaluate": False}, 10),
        ("coreml", {}, 20),
        ("all", {"evaluate": False}, 31),  # a package is not evaluated in any case
    ],
)
def test_the_time_that_is_announced_is_that_of_what_is_done(
    checkpoint: Path, target: Any, options: dict[str, Any], seconds: int, tmp_path: Path, cosine: list[float]
) -> None:
    cosine.append(1.0)
    said: list[str] = []
    request = ConvertRequest(checkpoint, target, tmp_path / OUTPUTS.get(target, "m"), cores=(8,), **options)
    convert(request, say=said.append)
    assert f"takes about {seconds} s" in said[0]  # 20.3 s for a tiny model that is evaluated


@pytest.mark.parametrize("target", OUTPUTS)
def test_an_output_is_replaced_whole_or_stays(
    checkpoint: Path, target: Any, tmp_path: Path, cosine: list[float]
) -> None:
    path = tmp_path / OUTPUTS[target]
    options: dict[str, Any] = {"evaluate": False} if target == "executorch" else {}
    cosine.append(1.0)
    for budget in (8, 16):
        convert(ConvertRequest(checkpoint, target, path, cores=(budget,), **options))
        assert _manifest(path).budgets == (budget,)
    cosine.clear()
    with pytest.raises(KeyboardInterrupt):
        convert(ConvertRequest(checkpoint, target, path, cores=(8,), **options))
    assert _manifest(path).budgets == (16,)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "coreml", "max_patches": 64}, "--max-patches works with --target executorch only"),
        ({"target": "coreml", "evaluate": False}, "--no-evaluate works with --target executorch only"),
        ({"target": "coreml", "data": Path("photos")}, "--data works with --target executorch only"),
        ({"minimum_target": "iOS17"}, "--minimum-target works with --target coreml only"),
        ({"classifier": True}, "--classifier works with --target coreml only"),
        ({"quantize": "palette4"}, "palette4 is for Core ML: a .pte takes int8, int4, fp32"),
        ({"target": "all", "quantize": "fp16"}, "fp16 is for Core ML"),
        ({"image_sizes": (64, 96)}, "several sizes in --image-size are for --target coreml"),
        ({"max_drop": 0.0}, "--max-drop needs photos to measure on"),
        ({"max_size": 10**6, "data": Path("photos"), "quantize": "int4"}, "--max-size and --quantize both"),
        ({"recipe": Path("r.json"), "quantize": "int4"}, "--recipe and --quantize both"),
        ({"max_drop": 0.1, "max_size": 9, "data": Path("photos")}, "--max-drop and --max-size both"),
    ],
    ids=str,
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(VecaError, match=message):
        ConvertRequest(**options)


def test_a_coremltools_that_cannot_write_is_refused_at_once(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_from_source = ModuleSpec("coremltools", None, is_package=True)
    known(built_from_source.submodule_search_locations).append(str(tmp_path))
    monkeypatch.setattr("veca_edge.conversion.convert.find_spec", lambda _: built_from_source)
    with pytest.raises(VecaError, match=r"only reads packages on .* on a Mac or on Linux on x86_64"):
        convert(ConvertRequest(checkpoint, "all", tmp_path / "m"))
    assert not list(tmp_path.iterdir())
