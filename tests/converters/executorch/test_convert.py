"""From checkpoint to file: what is inside, what is refused, what is left behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.paths import GOLDEN

torch = pytest.importorskip("torch")

from tests.converters.checkpoints import KINDS, random_checkpoint, with_a_wrong_weight  # noqa: E402
from veca_edge.converters.executorch.convert import ConvertOptions, convert  # noqa: E402
from veca_edge.converters.executorch.coverage import check_coverage, read_coverage  # noqa: E402
from veca_edge.converters.executorch.verification import verify  # noqa: E402
from veca_edge.converters.recipes import QuantizationRecipe, ready_recipe  # noqa: E402
from veca_edge.converters.verification import Verification  # noqa: E402
from veca_edge.errors import VecaError  # noqa: E402
from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint  # noqa: E402
from veca_edge.modelfile.manifest import Manifest  # noqa: E402
from veca_edge.modelfile.pte import read_model_file  # noqa: E402
from veca_edge.photos.samples import sample_images  # noqa: E402

NOISE = np.random.default_rng(0).integers(0, 256, (80, 70, 3), np.uint8)


def _program(path: Path) -> bytes:
    return path.read_bytes()[: read_model_file(path).manifest.program_size]


def test_one_delegate_per_method_and_nothing_outside(default_model_file: Path) -> None:
    coverage = read_coverage(_program(default_model_file))
    budgets = (8, 16, 24, 32, 40, 48, 56, 64)
    elastic = {f"{kind}{most}" for kind in ("encode", "step") for most in ("", "_64", "_256")}
    assert set(coverage.methods) == elastic | {f"cores_{c}" for c in budgets}
    for method in coverage.methods.values():
        assert method.delegates == ("XnnpackBackend",)
        assert method.operators == ()


@pytest.mark.parametrize(
    ("error", "free", "message"),
    [
        (OSError(28, "No space left on device"), 0, r"No space left on device: make room in .* set TMPDIR"),
        (CalledProcessError(1, "flatc"), 1000, "schema compiler ended with status 1: make room in .* set TMPDIR"),
        (CalledProcessError(1, "flatc"), 10**9, "schema compiler ended with status 1$"),
        (FileNotFoundError(2, "No such file or directory", "flatc"), 0, r"No such file or directory \(flatc\)$"),
        (OSError("odd"), 0, "cannot build the program: odd$"),
    ],
    ids=str,
)
def test_what_the_system_refuses_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, free: int, message: str
) -> None:
    def build(*_: object) -> None:
        raise error

    place = "veca_edge.converters.executorch.convert"
    monkeypatch.setattr(f"{place}.build_program", build)
    monkeypatch.setattr(f"{place}.shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(VecaError, match=message):
        convert(random_checkpoint(), tmp_path / "a.pte")


def test_weights_are_stored_once(default_model_file: Path) -> None:
    manifest = read_model_file(default_model_file).manifest
    coverage = read_coverage(_program(default_model_file))
    assert coverage.weight_bytes == pytest.approx(manifest.weight_bytes, rel=0.01)
    padding = manifest.program_size - coverage.weight_bytes - coverage.graph_bytes
    assert 0 <= padding < 64_000


def test_the_manifest_holds_the_verification(default_model_file: Path) -> None:
    verification = Verification.from_dict(read_model_file(default_model_file).manifest.verification)
    assert verification.passed
    assert {row.method for row in verification.rows} >= {"encode", "step", "step, remembered", "cores_8"}
    assert {row.cores for row in verification.rows} == {8, 16, 24, 32, 40, 48, 56, 64}
    assert min(row.feature_cosine for row in verification.rows) > 0.999
    assert all(row.top1_agreement is not None and row.top1_agreement >= 0.75 for row in verification.rows)


@pytest.mark.parametrize("overrides", KINDS, ids=str)
def test_every_kind_of_model_converts_exactly(tmp_path: Path, overrides: dict[str, Any]) -> None:
    checkpoint = random_checkpoint(**overrides)
    path = tmp_path / "model.pte"
    convert(checkpoint, path, ConvertOptions(ready_recipe("fp32")))
    outcome = verify(path, checkpoint, [NOISE])
    assert outcome.passed, outcome.complaint()


def test_a_wrong_weight_is_noticed(tmp_path: Path) -> None:
    checkpoint, path = random_checkpoint(), tmp_path / "m.pte"
    convert(checkpoint, path, ConvertOptions(ready_recipe("fp32")))
    assert not verify(path, with_a_wrong_weight(checkpoint), [NOISE]).passed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ConvertOptions(budgets=(12,)), "12 cores: use a multiple of 8"),
        (ConvertOptions(budgets=(8, 24)), "24 cores"),
        (ConvertOptions(image_size=100), "not a multiple of the patch size"),
        (ConvertOptions(image_size=64, max_patches=8), "too small: a 64 px image has 16 patches"),
        (ConvertOptions(max_patches=10**6), "too large: use at most 65536"),
        (ConvertOptions(QuantizationRecipe("odd", "int8", {"blocks.9.up": "int4"})), r"names blocks\.9\.up"),
    ],
)
def test_impossible_options_are_one_line(tmp_path: Path, options: ConvertOptions, message: str) -> None:
    with pytest.raises(VecaError, match=message):
        convert(random_checkpoint(), tmp_path / "m.pte", options)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_outputs_are_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="there is no folder"):
        convert(random_checkpoint(), tmp_path / "missing" / "m.pte")


def test_the_file_follows_the_options(tmp_path: Path) -> None:
    options = ConvertOptions(budgets=(16, 8, 16), image_size=96, max_patches=50)
    manifest = convert(random_checkpoint(), tmp_path / "m.pte", options)
    assert manifest.budgets == (8, 16)
    assert manifest.methods == ("encode_36", "step_36", "encode", "step", "cores_8", "cores_16")
    assert (manifest.image_size, manifest.preprocessing.image_size, manifest.max_patches) == (96, 96, 50)


def test_foreign_programs_are_refused() -> None:
    with pytest.raises(VecaError, match="not an ExecuTorch program"):
        read_coverage(b"nothing of the kind")


def test_a_method_too_few_is_refused(default_model_file: Path) -> None:
    with pytest.raises(VecaError, match="expected"):
        check_coverage(_program(default_model_file), {"encode"})


def test_each_layer_gets_its_precision_and_the_manifest_says_so(tmp_path: Path) -> None:
    checkpoint, path = random_checkpoint(output_dim=48), tmp_path / "m.pte"
    layers = {"blocks.0.even": "int4", "blocks.1.down": "fp32", "projection": "int8", "patch": "int4"}
    recipe = QuantizationRecipe("mixed", "int8", layers)  # type: ignore[arg-type]
    convert(checkpoint, path, ConvertOptions(recipe))
    manifest = read_model_file(path).manifest
    assert manifest.quantization == "mixed"
    exceptions = {name: precision for name, precision in layers.items() if precision != "int8"}
    assert manifest.precision == {"default": "int8", **exceptions}
    outcome = verify(path, checkpoint, [NOISE])
    assert outcome.quantization == "int4"  # as its coarsest layers
    assert outcome.passed, outcome.complaint()


def test_layers_that_do_not_divide_into_groups_stay_int8(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(ffn_dim=80)
    manifest = convert(checkpoint, tmp_path / "m.pte", ConvertOptions(ready_recipe("int4")))
    whole = {"patch": "int8", "blocks.0.down": "int8", "blocks.1.down": "int8"}
    assert manifest.precision == {"default": "int4", **whole}


def test_the_packaged_model_in_int4_keeps_its_features(tmp_path: Path) -> None:
    checkpoint, path = read_checkpoint(default_checkpoint_path()), tmp_path / "m.pte"
    convert(checkpoint, path, ConvertOptions(ready_recipe("int4"), budgets=(8, 64)))
    outcome = verify(path, checkpoint, sample_images()[:3])
    assert outcome.passed, outcome.complaint()
    assert min(row.feature_cosine for row in outcome.rows) > 0.99


def test_manifests_from_before_recipes_are_read(tmp_path: Path) -> None:
    options = ConvertOptions(budgets=(8,))
    manifest = convert(random_checkpoint(), tmp_path / "m.pte", options)
    values = json.loads(manifest.to_json())
    del values["precision"]
    assert Manifest.from_json(json.dumps(values)) == replace(manifest, precision={})


def test_int4_takes_half_and_fp32_four_times_of_int8(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(GOLDEN / "published-96.pt")
    sizes = {}
    for precision in ("int8", "int4", "fp32"):
        options = ConvertOptions(ready_recipe(precision), budgets=(8,))
        sizes[precision] = convert(checkpoint, tmp_path / f"{precision}.pte", options).weight_bytes
    assert 0.25 < sizes["int8"] / sizes["fp32"] < 0.3
    assert 0.55 < sizes["int4"] / sizes["int8"] < 0.75  # a small model: its patch embedding is a fifth of it
