from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.known import known
from veca_edge.errors import VecaError
from veca_edge.model import checkpoint as module
from veca_edge.model.checkpoint import (
    Checkpoint,
    default_checkpoint_path,
    default_preprocessing,
    read_checkpoint,
    write_checkpoint,
)
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import random_veca

CONFIG = VecaConfig.from_family("small", hidden_dim=64, num_heads=1, num_layers=2, ffn_dim=24, num_cores=16)
HEAD = {"weight": torch.arange(3 * 128).reshape(3, 128) / 512, "bias": torch.tensor([0.5, 0.25, -1.0])}


def weights() -> dict[str, torch.Tensor]:
    return {name: value.detach() for name, value in random_veca(CONFIG).state_dict().items()}


def made(**changes: Any) -> Checkpoint:
    values: dict[str, Any] = {"config": CONFIG, "state": weights(), "head": HEAD, "labels": ("cat", "dog", "eel")}
    return Checkpoint(**{**values, "preprocessing": default_preprocessing(), **changes})


def older(config: VecaConfig) -> Any:
    published = dict(config.to_published())
    published["matryoshka_chunk_size"] = published.pop("nested_chunk_size")
    return published


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in weights().items()}


FORMS: dict[str, Callable[[], Any]] = {
    "published": lambda: {"student": weights(), "config": CONFIG.to_published(), "optimizer": {"step": 3}},
    "module": lambda: {"student": prefixed("module."), "config": CONFIG.to_published()},
    "student": lambda: {"student": prefixed("student."), "config": CONFIG.to_published()},
    "nested": lambda: {"student": prefixed("module.student."), "config": CONFIG.to_published()},
    "nested twice": lambda: {"student": prefixed("student.module.module."), "config": CONFIG.to_published()},
    "compiled": lambda: {"student": prefixed("_orig_mod.module."), "config": CONFIG.to_published()},
    "older chunk name": lambda: {"student": weights(), "config": older(CONFIG)},
    "no config": lambda: {"student": weights()},
    "bare": weights,
    "bare with prefix": lambda: prefixed("module.student."),
    "bare with extras": lambda: {**weights(), "config": CONFIG.to_published(), "step": 4},
    "double precision": lambda: {"student": {k: v.double() for k, v in weights().items()}},
    "parameters": lambda: {"student": dict(random_veca(CONFIG).named_parameters())},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_weights(form: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(FORMS[form](), path)
    read = read_checkpoint(path)
    expected = weights()
    assert set(read.state) == set(expected)
    for name, value in read.state.items():
        assert value.dtype == torch.float32
        assert not value.requires_grad
        assert torch.equal(value, expected[name])
    assert read.config.num_cores == 16
    assert read.config.budgets == (8, 16)
    assert (read.head, read.labels) == (None, ())
    assert read.preprocessing == default_preprocessing()
    assert read.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read.build_head() is None


def test_the_old_file_format_of_torch_is_read(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(tmp_path / "old.pt").state["pos_alpha"], weights()["pos_alpha"])


@pytest.mark.parametrize("half", [True, False])
def test_written_files_read_back(half: bool, tmp_path: Path) -> None:
    original = made(preprocessing={"image_size": 128, "fit": "pad", "mean": [0.5, 0.5, 0.5], "std": [1, 1, 2]})
    write_checkpoint(original, tmp_path / "a.pt", half=half)
    read = read_checkpoint(tmp_path / "a.pt")
    assert read.config == CONFIG
    assert read.labels == original.labels
    assert read.preprocessing == original.preprocessing
    for name, value in original.state.items():
        assert torch.equal(read.state[name], value.half().float() if half else value)
    assert torch.equal(known(read.head)["weight"], HEAD["weight"])
    assert torch.equal(known(read.head)["bias"], HEAD["bias"])


def test_writing_is_repeatable_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt"):
        write_checkpoint(made(), tmp_path / name)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "b.pt"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"precious")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(VecaError, match=r"cannot write .*a\.pt: No space left on device"):
        write_checkpoint(made(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]
    assert path.read_bytes() == b"precious"


def test_write_refuses_a_missing_directory_and_values_beyond_half_precision(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match=r"cannot write .*: there is no folder"):
        write_checkpoint(made(), tmp_path / "missing" / "a.pt")
    state = weights()
    state["final_norm.weight"] = torch.full((64,), 1e6)
    with pytest.raises(VecaError, match=r"final_norm\.weight holds values too large for half precision"):
        write_checkpoint(made(state=state), tmp_path / "a.pt")
    write_checkpoint(made(state=state), tmp_path / "a.pt", half=False)
    assert float(read_checkpoint(tmp_path / "a.pt").state["final_norm.weight"][0]) == 1e6


def test_a_built_model_is_independent_of_the_checkpoint() -> None:
    original = made()
    model, head = original.build(), known(original.build_head())
    assert not model.training
    assert not head.training
    with torch.no_grad():
        for parameter in (*model.parameters(), *head.parameters()):
            parameter.zero_()
    assert original.state["final_norm.weight"].any()
    assert known(original.head)["weight"].any()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["a", "b", "a"], ("a", "b", "a")),
        (("a", 2, " c "), ("a", "2", "c")),
        ({0: "a", 2: "c", 1: "b"}, ("a", "b", "c")),
        ({"0": "a", "1": "b", "2": "c"}, ("a", "b", "c")),
        (None, ("class 0", "class 1", "class 2")),
        ([], ("class 0", "class 1", "class 2")),
    ],
)
def test_labels_are_coerced_where_that_is_clear(
    labels: Any, expected: tuple[str, str, str], tmp_path: Path
) -> None:
    torch.save({"student": weights(), "head": HEAD, "labels": labels}, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt").labels == expected


def test_a_head_without_bias_has_none(tmp_path: Path) -> None:
    torch.save({"student": weights(), "head": {"weight": HEAD["weight"]}}, tmp_path / "a.pt")
    assert torch.equal(known(read_checkpoint(tmp_path / "a.pt").head)["bias"], torch.zeros(3))


def test_default_image_size_is_whole_patches() -> None:
    assert [default_preprocessing(patch)["image_size"] for patch in (8, 14, 16, 100, 512)] == [
        256, 252, 256, 200, 512,
    ]  # fmt: skip


def test_the_packaged_checkpoint() -> None:
    path = default_checkpoint_path()
    stored = torch.load(path, weights_only=True)
    assert set(stored) == {"student", "config", "head", "heads", "labels", "certainty", "preprocessing"}
    assert not any("teacher" in key or "dir" in key or "ckpt" in key for key in stored["config"])
    assert {value.dtype for value in stored["student"].values()} == {torch.float16}
    read = read_checkpoint(path)
    assert (len(read.labels), read.labels[0], read.labels[-1]) == (153, "accordion", "zucchini")
    assert read.preprocessing["image_size"] == 256
    with torch.no_grad():
        images = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
        logits = known(read.build_head())(read.build()(images, 8))
    assert logits.shape == (2, 153)
    assert logits.isfinite().all()


def test_the_model_package_itself_needs_no_torch() -> None:
    text = (Path(module.__file__).parent / "__init__.py").read_text()
    assert "import torch" not in text


def test_state_must_match_the_configuration_when_writing(tmp_path: Path) -> None:
    wrong = made(config=replace(CONFIG, ffn_dim=32))
    with pytest.raises(VecaError, match=r"fc1\.weight has shape \(48, 64\), expected \(64, 64\)"):
        write_checkpoint(wrong, tmp_path / "a.pt")
