"""What a dense head says about an image, and in a stream."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.paths import GOLDEN
from veca_edge import DenseResult, VecaError, load
from veca_edge.conversion.convert import ConvertRequest, convert
from veca_edge.model.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from veca_edge.modelfile.heads import DenseHead, DenseTask, class_colours
from veca_edge.runtime.model import Model, of_checkpoint

LABELS = ("ground", "cat", "dog")


def with_heads(checkpoint: Checkpoint) -> Checkpoint:
    """Two heads with random weights; one is called like a value inside of Core ML functions."""
    random, width = np.random.default_rng(0), checkpoint.config.feature_dim
    tasks = (
        DenseTask("cores", "segmentation", 4, LABELS, class_colours(LABELS)),
        DenseTask("depth", "regression", 1, unit="m", range=(0.0, 10.0)),
    )
    return replace(
        checkpoint,
        dense=tuple(
            DenseHead(
                task,
                random.normal(size=(task.outputs, width)).astype(np.float32),
                random.normal(size=task.outputs).astype(np.float32),
            )
            for task in tasks
        ),
    )


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return with_heads(read_checkpoint(GOLDEN / "published-96.pt"))


@pytest.fixture(scope="module")
def converted(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense")
    write_checkpoint(checkpoint, folder / "dense.pt", half=False)
    request = ConvertRequest(
        folder / "dense.pt", output=folder / "dense.pte", quantize="fp32", cores=(8, 64), evaluate=False
    )
    (conversion,) = convert(request)
    rows = conversion.outputs[0].manifest.verification["rows"]
    assert all(share > 0.99 for row in rows for share in row["dense"].values())
    assert {tuple(row["dense"]) for row in rows} == {("cores", "depth")}
    return folder / "dense.pte"


@pytest.fixture
def model(converted: Path) -> Model:
    return load(converted, threads=1)


@pytest.fixture
def image() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (150, 200, 3)).astype(np.uint8)


def test_a_model_file_says_what_the_checkpoint_says(
    model: Model, checkpoint: Checkpoint, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    eager = of_checkpoint(checkpoint, "eager", threads=1)
    for cores in (8, 64):
        found, expected = model(image, cores).dense, eager(image, cores).dense
        assert list(found) == ["cores", "depth"]
        for name, result in found.items():
            assert result.task == expected[name].task
            assert np.abs(result.cells - expected[name].cells).max() < 1e-3
    assert found["cores"].cells.shape == (64, 64, 3)
    assert found["depth"].values().shape == (16, 16)
    assert repr(found["cores"]).startswith("<DenseResult cores, 64 x 64 cells: ")
    assert repr(found["depth"]).endswith(" m>")


def test_a_stream_computes_the_cells_of_changed_patches_and_says_which(
    model: Model, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    stream = model.stream(8)
    first = stream.update(image)
    moved = image.copy()
    moved[40:60, 80:110] = 0
    second = stream.update(moved)
    assert second.computed is not None
    changed = second.dense["cores"].computed
    assert changed is not None
    assert np.array_equal(changed, second.computed.repeat(4, 0).repeat(4, 1))
    assert 0 < changed.sum() < changed.size
    before, after = first.dense["cores"].cells, second.dense["cores"].cells
    assert np.array_equal(before[~changed], after[~changed])
    assert not np.array_equal(before[changed], after[changed])
    # Whatever is remembered, the cells are those of the features that the result holds.
    outputs = model.dense_heads[1].outputs(second.features.reshape(256, -1))
    assert np.allclose(second.dense["depth"].cells.reshape(-1, 1), outputs, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (333, 97), (5, 40), (1, 1)])
def test_enlarging_is_pytorchs_bilinear_interpolation(
    model: Model, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], height: int, width: int
) -> None:
    result = model(image, 64).dense["cores"]
    planes = torch.tensor(result.cells).permute(2, 0, 1)[None]
    expected = F.interpolate(planes, (height, width), mode="bilinear", align_corners=False)[0].permute(1, 2, 0)
    assert np.abs(result.at(height, width) - expected.numpy()).max() < 1e-3
    assert np.array_equal(result.classes(height, width), result.at(height, width).argmax(2))


def test_classes_probabilities_and_areas_agree(
    model: Model, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    result = model(image, 64).dense["cores"]
    assert np.allclose(result.probabilities().sum(2), 1, atol=1e-5)
    assert np.array_equal(result.probabilities().argmax(2), result.classes())
    assert result.areas() == {label: float((result.classes() == n).mean()) for n, label in enumerate(LABELS)}


def test_what_a_kind_of_head_does_not_have_is_one_line(
    model: Model, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    found = model(image, 64).dense
    for call, message in (
        (found["depth"].classes, "is a regression, not a segmentation"),
        (found["depth"].areas, "is a regression, not a segmentation"),
        (found["cores"].values, "is a segmentation, not a regression"),
        (lambda: found["cores"].at(0, 5), "use 1 to 16384"),
        (lambda: found["cores"].at(5, 10**9), "use 1 to 16384"),
    ):
        with pytest.raises(VecaError, match=message):
            call()


def test_a_core_ml_package_gives_the_cells_under_the_heads_name(
    checkpoint: Checkpoint, tmp_path: Path, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    pytest.importorskip("coremltools")
    write_checkpoint(checkpoint, tmp_path / "dense.pt", half=False)
    convert(ConvertRequest(tmp_path / "dense.pt", output=tmp_path / "dense.mlpackage", quantize="fp32", cores=(8,)))
    with pytest.warns(UserWarning, match="no Core ML"):
        package = load(tmp_path / "dense.mlpackage")
    eager = of_checkpoint(checkpoint, "eager", threads=1)
    found, expected = package(image, 8).dense, eager(image, 8).dense
    for name, result in found.items():
        assert isinstance(result, DenseResult)
        assert np.abs(result.cells - expected[name].cells).max() < 1e-2


def test_a_conversion_that_changes_the_masks_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A head whose classes are nearly equal everywhere cannot survive int8."""
    task = DenseTask("seen", "segmentation", 1, LABELS, class_colours(LABELS))
    random = np.random.default_rng(2)
    weight = random.normal(size=(3, checkpoint.config.feature_dim)).astype(np.float32)
    fragile = DenseHead(task, weight - weight.mean(0) * 0.999, np.zeros(3, np.float32))
    write_checkpoint(replace(checkpoint, dense=(fragile,)), tmp_path / "fragile.pt", half=False)
    request = ConvertRequest(
        tmp_path / "fragile.pt", output=tmp_path / "fragile.pte", quantize="int4", cores=(8,), evaluate=False
    )
    with pytest.raises(VecaError, match=r"head seen agree with the checkpoint's only to|outside the tolerance"):
        convert(request)
    assert not (tmp_path / "fragile.pte").exists()


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((1, None), "both the height and the width"),
        ((None, 1), "both the height and the width"),
        ((0, 1), "use 1 to 16384"),
        ((1, 10**9), "use 1 to 16384"),
        ((2.0, 2), "use 1 to 16384"),
        ((2**14, 2**14), "too much memory"),
    ],
)
def test_sizes_that_no_image_has_are_one_line(size: tuple[int, int], message: str) -> None:
    labels = tuple(map(str, range(21)))
    task = DenseTask("things", "segmentation", 1, labels, class_colours(labels))
    dense = DenseResult(task, np.zeros((4, 4, 21), np.float32), (0, 0, 64, 64))
    with pytest.raises(VecaError, match=message):
        dense.classes(*size)
