from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.training.training_sets import store, tiny_recipe
from veca_edge.errors import VecaError
from veca_edge.training.teachers import STRIDES, MobileNetV2, Teacher, ask, load_teacher
from veca_edge.training.tuning import accuracy, tune

CPU = torch.device("cpu")


def by_the_book(arrays: dict[str, Any], x: Tensor) -> tuple[Tensor, Tensor]:
    """The network as its description says it, step by step."""
    w = {name: torch.from_numpy(value.astype(np.float64)) for name, value in arrays.items()}

    def norm(x: Tensor, name: str) -> Tensor:
        mean, variance, gain, shift = (
            w[f"{name}_{part}"] for part in ("running_mean", "running_var", "gamma", "beta")
        )
        return F.batch_norm(x, mean, variance, gain, shift, training=False, eps=1e-5)

    x = grid = norm(F.conv2d(x, w["conv0_weight"], stride=2, padding=1), "batchnorm0").relu()
    for i, stride in enumerate(STRIDES):
        name, y = f"linearbottleneck{i}_", x
        y = norm(F.conv2d(y, w[f"{name}conv0_weight"]), f"{name}batchnorm0").relu()
        y = F.conv2d(y, w[f"{name}conv1_weight"], stride=stride, padding=1, groups=y.shape[1])
        y = norm(F.conv2d(norm(y, f"{name}batchnorm1").relu(), w[f"{name}conv2_weight"]), f"{name}batchnorm2")
        x = x + y if x.shape == y.shape else y
        grid = x if i == 12 else grid
    x = norm(F.conv2d(x, w["conv1_weight"]), "batchnorm1").relu()
    return x.mean((2, 3)), grid.flatten(2).transpose(1, 2)


def test_the_example_is_the_network_of_its_description(arrays: dict[str, Any], mobilenet: Path) -> None:
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    said = MobileNetV2.from_npz(mobilenet).double()(images.double())
    assert [tuple(part.shape) for part in said] == [(2, 1280), (2, 36, 96)]
    torch.testing.assert_close(said, by_the_book(arrays, images.double()))
    assert said[0].std() > 0.01


def test_tuning_learns_the_labels_and_is_kept_with_them(mobilenet: Path, tmp_path: Path) -> None:
    teacher = MobileNetV2.from_npz(mobilenet)
    before = teacher.weights["conv1_weight"].clone()
    recipe = tiny_recipe("teacher.tune_epochs=8", "augment.mixup=0", "augment.cutmix=0", "teacher.tune_lr=1e-4")
    photos, told = store(24), list[float]()
    tune(teacher, photos, 3, recipe, torch.enable_grad, told.append)
    assert told == [step / 8 for step in range(1, 9)]
    assert not torch.equal(teacher.weights["conv1_weight"], before)
    assert accuracy(teacher, photos, recipe, torch.enable_grad) >= 5 / 6  # 1 / 3 by chance
    assert accuracy(teacher, store(6, seed=1), recipe, torch.enable_grad) >= 4 / 6
    teacher.to_npz(tmp_path / "tuned.npz", ("a", "b", "ü"))
    images = photos.pixels[:4, :, :32, :32] / 255
    for labels, knows in ((("a", "b", "ü"), True), (("a", "b", "c"), False)):
        said = ask(load_teacher(str(tmp_path / "tuned.npz"), CPU, labels), images)
        assert (said.logits is not None) == knows
    torch.testing.assert_close(said.embedding, ask(teacher, images).embedding)


def test_a_program_can_teach(tmp_path: Path) -> None:
    class Small(torch.nn.Module):  # type: ignore[misc]
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return images.mean((2, 3)), F.avg_pool2d(images, 16).flatten(2).transpose(1, 2)

    images = torch.rand(2, 3, 32, 32)
    shapes = {"images": {0: torch.export.Dim("batch")}}
    program = torch.export.export(Small(), (images,), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "small.pt2")
    said = ask(load_teacher(str(tmp_path / "small.pt2"), CPU, ()), images)
    torch.testing.assert_close(said.features, Small()(images)[1])


MODULE = """
import torch
def make(device):
    return lambda images: (images.mean((2, 3)), images.flatten(2).transpose(1, 2), images[:, :2, 0, 0])
def broken(device):
    raise RuntimeError('no such weights')
def nothing(device):
    return None
"""


def test_a_callable_can_teach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    (tmp_path / "my_teacher.py").write_text(MODULE)
    said = ask(load_teacher("my_teacher:make", CPU, ()), torch.rand(2, 3, 4, 4))
    assert said.logits is not None
    assert [tuple(part.shape) for part in said if part is not None] == [(2, 3), (2, 16, 3), (2, 2)]
    for source, message in {
        "my_teacher:broken": "teacher my_teacher:broken: RuntimeError: no such weights",
        "my_teacher:nothing": "calling it gave a NoneType",
        "my_teacher:missing": "has no attribute 'missing'",
        "no_such_module:make": "No module named 'no_such_module'",
        "my_teacher": "give an .npz, a .pt2 program, or module:callable",
        "missing.npz": "missing.npz: No such file or directory",
        "missing.pt2": "teacher missing.pt2 is not a program from torch.export",
    }.items():
        with pytest.raises(VecaError, match=message):
            load_teacher(source, CPU, ())


def pooled(images: Tensor) -> Tensor:
    return images.mean((2, 3))


def grid(images: Tensor) -> Tensor:
    return images.flatten(2).transpose(1, 2)


@pytest.mark.parametrize(
    "answer",
    [
        pooled,
        lambda images: (pooled(images), images),
        lambda images: (pooled(images), grid(images)[:, :3]),
        lambda images: (pooled(images)[:1], grid(images)),
        lambda images: (pooled(images), grid(images), "logits"),
        lambda images: (pooled(images), grid(images), images[0, 0, 0, 0]),
        lambda images: 1 / 0,
    ],
)
def test_other_answers_are_refused(answer: Teacher) -> None:
    with pytest.raises(VecaError, match=r"the teacher (returned|failed)"):
        ask(answer, torch.rand(2, 3, 4, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv0_weight": None}, "conv0_weight is missing: not the weights of a MobileNetV2"),
        ({"conv0_weight": np.zeros((3, 3))}, r"conv0_weight is float64 \(3, 3\), expected floats \(32, 3, 3, 3\)"),
        ({"conv0_weight": np.zeros((32, 3, 3, 3), np.int8)}, "conv0_weight is int8"),
        ({"batchnorm0_beta": np.full(32, np.nan)}, "batchnorm0_beta holds NaN"),
        ({"conv0_weight": np.array([{}], object)}, "not an .npz file, or a damaged one"),
        ({"more": np.zeros(20_000_000)}, "larger than a MobileNetV2"),
    ],
)
def test_bad_weights_are_refused(
    arrays: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    changed = {name: value for name, value in {**arrays, **change}.items() if value is not None}
    np.savez_compressed(tmp_path / "bad.npz", **changed)
    with pytest.raises(VecaError, match=message):
        load_teacher(str(tmp_path / "bad.npz"), CPU, ())


def test_a_damaged_file_is_refused(mobilenet: Path, tmp_path: Path) -> None:
    data = mobilenet.read_bytes()
    for content in (b"", b"nonsense", data[: len(data) // 2], data[:5000] + bytes(9000) + data[14000:]):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(VecaError, match=r"not an \.npz file, or a damaged one"):
            load_teacher(str(tmp_path / "bad.npz"), CPU, ())
