"""Streams on the packaged clip and on faults, against full recomputation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import veca_edge
from tests.known import known
from tests.paths import CLIP
from veca_edge import Model, VecaError
from veca_edge.arrays import Float, Image
from veca_edge.camera.frames import Frame
from veca_edge.runtime.result import Result
from veca_edge.runtime.streaming import stream as streams
from veca_edge.runtime.streaming.change import ChangeSettings


@pytest.fixture(scope="module")
def images(frames: list[Frame]) -> list[Image]:
    """Every second frame of the clip's first three seconds."""
    return [frame.image for frame in frames[:90:2]]


def _cosine(a: Float, b: Float) -> float:
    x, y = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    return float(((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)).mean())


@pytest.mark.parametrize("cores", [8, 64])
def test_a_clip_costs_few_patches_and_little_fidelity(model: Model, images: list[Image], cores: int) -> None:
    stream = model.stream(cores=cores, image_size=256)
    cosines, counts = [], []
    for frame, result in zip(images, stream.over(images), strict=True):
        cosines.append(_cosine(result.features, model(frame, cores, 256).features))
        counts.append(int(known(result.computed).sum()))
    assert counts[0] == 256
    # A hand comes and goes in these seconds, so the picture changes and the cores drift.
    assert np.mean(counts[1:]) < 128
    assert np.mean(cosines) > 0.98
    assert min(cosines) > 0.9


def test_what_moves_is_hardly_looked_at_and_its_end_is_noticed(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    compared, results, stream = streams._compared, list[Result](), model.stream(8, 128)

    def look(image: Image, patch_size: int) -> Image:
        looks.append(len(results))
        return compared(image, patch_size)

    monkeypatch.setattr(streams, "_compared", look)
    turning = [np.full((128, 128, 3), 97 * turn % 256, np.uint8) for turn in range(50)]
    for frame in [*turning, *[turning[-1]] * 24]:
        results.append(stream.update(frame))
    moving = [index for index in looks if index < len(turning)]
    assert moving[:2] == [0, 1]
    assert len(moving) < 12
    # A look needs the frame before it, too.
    assert all(late == early + 1 for early, late in zip(moving[2::2], moving[3::2], strict=False))
    for frame, result in zip(turning[::5], results[::5], strict=False):
        np.testing.assert_allclose(result.features, model(frame, 8, 128).features, atol=1e-4)
    assert not known(results[-1].computed).any()


def test_drifting_cores_lead_to_a_keyframe(model: Model, images: list[Image]) -> None:
    steady, watchful = (
        [r.keyframe for r in model.stream(16, 256, ChangeSettings(drift=drift)).over(images)] for drift in (-1, 0.9)
    )
    assert sum(steady) < sum(watchful) < len(images) / 2


def test_a_keyframe_is_the_full_result(model: Model, images: list[Image]) -> None:
    result, full = model.stream(cores=32).update(images[0]), model(images[0], cores=32)
    assert result.keyframe
    np.testing.assert_array_equal(result.features, full.features)
    np.testing.assert_array_equal(result.embedding, full.embedding)
    np.testing.assert_allclose(known(result.core_attention), known(full.core_attention), atol=1e-6)
    assert result.logits is not None
    assert full.logits is not None
    np.testing.assert_array_equal(result.logits, full.logits)


def test_a_still_picture_stays_exact_up_to_rounding(model: Model, photo: Image) -> None:
    stream = model.stream(cores=16)
    first = stream.update(photo)
    later = [stream.update(photo) for _ in range(20)][-1]
    assert not later.keyframe
    assert _cosine(later.features, first.features) > 0.9999


def test_frames_without_change_cost_no_step(model: Model, photo: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = model.stream(cores=16)
    first = stream.update(photo)
    with monkeypatch.context() as patch:
        patch.setattr(model.engine, "step", None)
        later = [stream.update(photo) for _ in range(7)]
    for result in later:
        assert not known(result.computed).any()
        np.testing.assert_array_equal(result.features, first.features)
        np.testing.assert_array_equal(result.embedding, first.embedding)
        assert result.logits is not None
        np.testing.assert_array_equal(result.logits, first.logits)
    assert later[-1].oldest == 7
    computed = known(stream.update(photo).computed)
    assert computed.sum() == computed.size / 8  # the rotation's eighth frame


def test_a_half_precision_cache_is_half_the_memory_and_nearly_as_good(model: Model, images: list[Image]) -> None:
    full, half = (model.stream(8, 128, cache=cache) for cache in ("float32", "float16"))
    for frame in images[:10]:
        expected, found = full.update(frame), half.update(frame)
        np.testing.assert_array_equal(found.computed, expected.computed)
        assert _cosine(found.features, expected.features) > 0.9999
    assert full.cache is not None
    assert half.cache is not None
    patches = known(expected.computed).size
    assert half.cache.nbytes == full.cache.nbytes - 2 * patches * 2 * 8 * 192
    with pytest.raises(VecaError, match="use float32 or float16"):
        model.stream(cache="int8")  # type: ignore[arg-type]


def test_only_computed_rows_change(model: Model, photo: Image) -> None:
    stream = model.stream(cores=8)
    before = stream.update(photo).features
    changed = photo.copy()
    changed[:40, :40] = 255 - changed[:40, :40]
    after = stream.update(changed)
    computed = known(after.computed)
    assert computed[:2, :2].all()
    np.testing.assert_array_equal(after.features[~computed], before[~computed])
    assert np.abs(after.features[0, 0] - before[0, 0]).max() > 0.1


def _arrays(result: Result) -> list[Float]:
    heads = [said.cells for said in result.dense.values()]
    return [result.embedding, result.features, known(result.core_attention), known(result.logits), *heads]


def test_later_frames_leave_a_result_as_it_was(model: Model, photo: Image) -> None:
    moved = photo.copy()
    moved[:40, :40] = 255 - moved[:40, :40]
    stream, results, kept = model.stream(cores=8), list[Result](), list[list[Float]]()
    # All is computed, nothing, some patches, all; and in the end all without keys and values.
    for frame in (photo, photo, moved, 255 - photo, photo, 255 - photo, photo):
        results.append(stream.update(frame))
        kept.append([array.copy() for array in _arrays(results[-1])])
    counts = [int(known(result.computed).sum()) for result in results]
    assert counts[1] == 0 < counts[2] < counts[0] == counts[3] == counts[-1]
    for result, expected in zip(results, kept, strict=True):
        for array, before in zip(_arrays(result), expected, strict=True):
            np.testing.assert_array_equal(array, before)
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
    assert all(map(np.shares_memory, _arrays(results[0]), _arrays(results[1])))


@pytest.mark.parametrize("every", [1, 3, 12])
def test_dense_results_do_not_depend_on_when_they_are_read(model: Model, images: list[Image], every: int) -> None:
    """Only what changed since the last reading is computed."""
    (head,) = model.dense_heads
    results = list[Result]()
    for result in model.stream(8, 128).over(images[:12]):
        results.append(result)
        if len(results) == every:
            for past in reversed(results):
                rows, columns, width = past.features.shape
                outputs = head.outputs(past.features.reshape(-1, width))
                said, computed = past.dense[head.task.name], known(past.computed)
                np.testing.assert_allclose(said.cells, head.task.grid(outputs, rows, columns), atol=1e-4)
                assert known(said.computed).sum() == head.task.cells**2 * computed.sum()
            results.clear()


def test_dense_results_that_nobody_reads_cost_nothing(model: Model, images: list[Image], monkeypatch: Any) -> None:
    monkeypatch.setattr(type(model.dense_heads[0]), "outputs", None)
    results = [*model.stream(8, 128).over(images[:4]), model(images[0], 8, 128)]
    assert {tuple(result.dense) for result in results} == {("people",)}
    with pytest.raises(TypeError):
        results[0].dense["people"]


def test_another_budget_size_or_reset_is_a_keyframe(model: Model, photo: Image) -> None:
    stream = model.stream(cores=64)
    assert [stream.update(photo).keyframe for _ in range(2)] == [True, False]
    stream.cores = 8
    result = stream.update(photo)
    assert result.keyframe
    assert result.cores == 8
    assert not stream.update(photo).keyframe
    stream.reset()
    assert stream.update(photo).keyframe
    for cores in (16, 8, 64, 32):  # a budget changed every frame
        stream.cores = cores
        result = stream.update(photo)
        assert result.keyframe
        assert result.cores == cores


def test_frames_of_another_shape_are_taken_as_they_come(default_model_file: Path, photo: Image) -> None:
    model = veca_edge.load(default_model_file)
    object.__setattr__(model.preprocessing, "fit", "keep")
    stream = model.stream(cores=8)
    rows, columns = stream.update(photo).features.shape[:2]
    wide = stream.update(np.concatenate([photo, photo], axis=1))
    assert wide.keyframe
    assert wide.features.shape[:2] == (rows, 2 * columns)
    assert stream.update(photo).keyframe


@pytest.mark.parametrize(
    "frame",
    [np.zeros((0, 0, 3), np.uint8), np.full((64, 64, 3), np.nan, np.float32), np.zeros((64, 64), np.uint8)],
    ids=["empty", "not numbers", "grey"],
)
def test_a_bad_frame_is_refused_and_the_stream_goes_on(model: Model, photo: Image, frame: Image) -> None:
    stream = model.stream(cores=8)
    before = stream.update(photo)
    with pytest.raises(VecaError):
        stream.update(frame)
    after = stream.update(photo)
    assert not after.keyframe
    assert _cosine(after.features, before.features) > 0.9999


def test_two_streams_over_one_model(model: Model, images: list[Image]) -> None:
    def run(first: list[Image], second: list[Image]) -> Iterator[Float]:
        one, other = model.stream(cores=16), model.stream(cores=8)
        for a, b in zip(first, second, strict=True):
            yield one.update(a).features
            other.update(b)

    alone = [model.stream(cores=16)]
    expected = [alone[0].update(frame).features for frame in images[:8]]
    for found, wanted in zip(run(images[:8], images[8:16]), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_an_engine_that_fails_leads_to_a_keyframe(
    model: Model, photo: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = model.stream(cores=8)
    for _ in range(4):
        stream.update(photo)

    def fail(*_: object) -> None:
        raise VecaError("the engine failed")

    with monkeypatch.context() as patch:
        patch.setattr(model.engine, "step", fail)
        with pytest.raises(VecaError, match="the engine failed"):
            stream.update(255 - photo)
    result = stream.update(255 - photo)
    assert result.keyframe
    np.testing.assert_array_equal(result.features, model(255 - photo, cores=8).features)


def test_the_cache_states_its_memory(model: Model, photo: Image) -> None:
    stream = model.stream(cores=16)
    assert stream.cache is None
    patches = known(stream.update(photo).computed).size
    assert stream.cache is not None
    assert stream.cache.nbytes == 4 * patches * (2 * 8 * 192 + 192 + 16)


def test_frames_may_be_dropped(model: Model, images: list[Image]) -> None:
    stream, kept = model.stream(cores=16, image_size=256), images[::7]
    cosines = [
        _cosine(stream.update(frame).features, model(frame, cores=16, image_size=256).features) for frame in kept
    ]
    assert min(cosines) > 0.91


def test_settings_can_change_on_the_way(model: Model, photo: Image) -> None:
    stream = model.stream(cores=16)
    stream.update(photo)
    moved = photo.copy()
    moved[: photo.shape[0] // 2] = 255 - moved[: photo.shape[0] // 2]
    stream.change = ChangeSettings(patch_budget=8)
    result = stream.update(moved)
    assert not result.keyframe
    assert result.computed is not None
    assert known(result.computed).sum() == 8


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow(model: Model, count: int) -> None:
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("resident memory is read from Linux's /proc")
    rng = np.random.default_rng(0)
    noisy = [rng.integers(100, 104, (64, 64, 3), np.uint8) for _ in range(4)]
    stream = model.stream(cores=8, image_size=64, change=ChangeSettings(refresh_frames=4))

    def pages(count: int) -> int:
        for index in range(count):
            stream.update(noisy[index % 4])
        return int(status.read_text().split()[1])

    before = pages(500)
    assert pages(count) - before < 500  # 2 MB


def test_budgets_are_checked(model: Model) -> None:
    with pytest.raises(VecaError, match="9 cores"):
        model.stream(cores=9)
    stream = model.stream()
    with pytest.raises(VecaError, match="9 cores"):
        stream.cores = 9
    assert stream.cores == 64


def test_a_checkpoint_says_what_to_do() -> None:
    from veca_edge.model.checkpoint import default_checkpoint_path

    with pytest.raises(VecaError, match="convert the checkpoint"):
        veca_edge.load(default_checkpoint_path()).stream()


def test_run_streams_a_video_unless_told_not_to(default_model_file: Path, tmp_path: Path) -> None:
    def log(*options: str) -> list[dict[str, Any]]:
        path = tmp_path / f"{len(options)}.jsonl"
        command = [
            sys.executable,
            "-m",
            "veca_edge.cli.main",
            "run",
            str(default_model_file),
            "--source",
            str(CLIP),
        ]
        command += ["--headless", "--frames", "12", "--image-size", "128", "--log", str(path), *options]
        subprocess.run(command, check=True, capture_output=True)
        return [json.loads(line) for line in path.read_text().splitlines()]

    streamed, full = log(), log("--no-stream")
    assert [line["keyframe"] for line in streamed].count(True) < 12
    assert min(line["patches"] for line in streamed) < 64
    assert {line["patches"] for line in full} == {64}
