from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import read_checkpoint
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import random_veca

pytest.importorskip("safetensors")

CONFIG = VecaConfig.from_family("small", hidden_dim=64, num_heads=2, num_layers=2, ffn_dim=24, num_cores=16)
STATE = {name: value.detach().contiguous() for name, value in random_veca(CONFIG).state_dict().items()}
HEAD = {"head.weight": torch.ones(2, 128), "head.bias": torch.ones(2)}
SETTINGS = json.dumps(CONFIG.to_published())


def save(path: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> Path:
    from safetensors.torch import save_file

    save_file(tensors, path, metadata=metadata or None)
    return path


def save_parts(folder: Path) -> Path:
    """Two parts and their index."""
    parts = ({**dict(list(STATE.items())[:9])}, {**dict(list(STATE.items())[9:]), **HEAD})
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name, part in zip(names, parts, strict=True):
        save(folder / name, part)
    places = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return index


def check(path: Path) -> Any:
    read = read_checkpoint(path)
    assert read.config.num_heads == 2
    assert all(torch.equal(read.state[name], value) for name, value in STATE.items())
    return read


def test_settings_come_from_the_metadata(tmp_path: Path) -> None:
    labels, preprocessing = '["a", "b"]', '{"image_size": 64}'
    path = save(
        tmp_path / "a.safetensors", STATE | HEAD, config=SETTINGS, labels=labels, preprocessing=preprocessing
    )
    read = check(path)
    assert read.labels == ("a", "b")
    assert read.preprocessing["image_size"] == 64
    assert len(read.digest) == 64


def test_settings_come_from_the_file_beside(tmp_path: Path) -> None:
    settings = json.loads(SETTINGS) | {"architectures": ["Veca"], "id2label": {"0": "cat", "1": "dog"}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert check(save(tmp_path / "model.safetensors", STATE | HEAD)).labels == ("cat", "dog")
    assert check(save(tmp_path / "other.safetensors", STATE)).labels == ()  # without the classifier


def test_parts_are_read_together_and_wrappers_are_removed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(SETTINGS)
    assert check(save_parts(tmp_path)).labels == ("class 0", "class 1")
    check(save(tmp_path / "b.safetensors", {f"model._orig_mod.{name}": value for name, value in STATE.items()}))


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    index, whole = save_parts(tmp_path), save(tmp_path / "whole.safetensors", STATE)
    part = tmp_path / "model-00001-of-00002.safetensors"
    cut, pointer = tmp_path / "cut.safetensors", tmp_path / "pointer.safetensors"
    cut.write_bytes(whole.read_bytes()[:5000])
    pointer.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345678\n")
    outside = tmp_path / "outside.safetensors.index.json"
    outside.write_text(json.dumps({"weight_map": {"a": "../a.safetensors"}}))
    for path, message in (
        (part, "is one of several parts; give 'model.safetensors.index.json'"),
        (cut, "cut short|damaged"),
        (pointer, "run `git lfs pull`"),
        (outside, "is no .safetensors file beside it"),
        (tmp_path, r"is a directory; give .*model\.safetensors\.index\.json"),
    ):
        with pytest.raises(VecaError, match=message):
            read_checkpoint(path)
    part.unlink()
    with pytest.raises(VecaError, match=r"its part 'model-00001-of-00002\.safetensors' is missing"):
        read_checkpoint(index)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(VecaError, match=r"'config\.json' beside it is not JSON"):
        read_checkpoint(whole)
