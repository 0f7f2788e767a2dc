from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

import veca_edge
from tests.calibration.benchmark.small_models import measured_facts
from veca_edge.calibration.benchmark import streams
from veca_edge.calibration.benchmark.clips import Clip, find_clips
from veca_edge.calibration.benchmark.plots import draw_streams
from veca_edge.calibration.benchmark.request import BenchRequest
from veca_edge.calibration.benchmark.stream_report import describe_streams
from veca_edge.calibration.benchmark.stream_rows import (
    SECOND,
    Sample,
    StreamBenchmark,
    pooled,
    stream_rows,
    worst_second,
)
from veca_edge.calibration.benchmark.streams import Lane, TimedEngine, blocks, measure_streams, run_clip
from veca_edge.calibration.benchmark.synthetic import FRAMES, SCENES, synthetic_frames
from veca_edge.calibration.benchmark.target import prepare
from veca_edge.errors import VecaError
from veca_edge.runtime.machine import read_machine
from veca_edge.runtime.model import Model
from veca_edge.runtime.streaming.change import ChangeSettings

SIZE = 64
CLIP = str(resources.files("veca_edge.assets") / "clip.mp4")


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SETTLE", 0)


@pytest.fixture(scope="module")
def model(default_model_file: Path) -> Iterator[Model]:
    found = veca_edge.load(default_model_file, threads=1)
    yield found
    found.close()


Samples = Mapping[tuple[str, int, int | None], Sequence[Sample]]


def sample(
    full: float = 0.010,
    streamed: float = 0.004,
    engine: float = 0.003,
    patches: int = 10,
    keyframe: bool = False,
    cosine: float = 0.99,
    agrees: bool | None = True,
) -> Sample:
    return Sample(full, streamed, engine, 16, patches, keyframe, cosine, agrees)


def a_result(samples: Samples, pool: str | None = None) -> StreamBenchmark:
    return StreamBenchmark(
        **measured_facts(),
        image_size=256,
        patches=16,
        pool=pool,
        rows=tuple(stream_rows(samples)),
    )


# -- statistics


def test_a_row_sums_up_its_frames() -> None:
    taken = [
        sample(full=0.010, streamed=0.012, engine=0.009, patches=16, keyframe=True, cosine=1.0),
        sample(full=0.010, streamed=0.001, engine=0.000, patches=0, cosine=0.98, agrees=False),
        sample(full=0.040, streamed=0.002, engine=0.001, patches=2, cosine=0.90),
    ]
    (row,) = stream_rows({("a", 8, 48): taken})
    assert (row.clip, row.cores, row.patch_budget, row.frames) == ("a", 8, 48, 3)
    assert (row.full.p50, row.streamed.p50) == pytest.approx((10, 2))
    assert (row.full_mean, row.streamed_mean, row.ratio) == pytest.approx((20, 5, 0.25))
    assert (row.patches, row.idle, row.keyframes) == (6, 1, 1)
    assert (row.fidelity.mean, row.fidelity.worst, row.fidelity.top1) == pytest.approx((0.96, 0.90, 2 / 3))
    assert row.fidelity.p5 == pytest.approx(0.908)
    assert (row.host.frame_ms, row.host.share) == pytest.approx((5, 1 / 3))


def test_a_model_without_labels_has_no_top1() -> None:
    (row,) = stream_rows({("a", 8, None): [sample(agrees=None)]})
    assert row.fidelity.top1 is None
    assert (
        "same top-1\n      8    none     10.0     0          0          -  0.9900    0.9900  0.9900           -"
        in (describe_streams(a_result({("a", 8, None): [sample(agrees=None)]})).text())
    )


def test_core_budgets_are_compared_within_a_clip_and_a_patch_budget() -> None:
    samples: Samples = {
        ("a", 8, None): [sample(full=0.010, streamed=0.002)],
        ("a", 8, 16): [sample(full=0.010, streamed=0.001)],
        ("a", 64, None): [sample(full=0.020, streamed=0.005)],
        ("a", 64, 16): [sample(full=0.024, streamed=0.004)],
    }
    rows = {(row.cores, row.patch_budget): row for row in stream_rows(samples)}
    assert [round(row.against_most, 6) for row in rows.values()] == [10, 24, 4, 6]


def test_the_pool_weighs_frames_and_leaves_out_other_clips() -> None:
    samples: Samples = {
        ("a", 8, None): [sample(full=0.010, streamed=0.001)] * 3,
        ("b", 8, None): [sample(full=0.010, streamed=0.009)],
        ("synthetic:pan", 8, None): [sample(full=0.010, streamed=0.1)],
    }
    first, *others = stream_rows(pooled(samples, ["a", "b"], "both"))
    assert (first.clip, first.frames) == ("both", 4)
    assert first.ratio == pytest.approx(0.3)
    assert [row.clip for row in others] == ["a", "b", "synthetic:pan"]


# -- frames


def test_blocks_keep_order_and_hold_few_bytes() -> None:
    alive = []

    def frames() -> Iterator[NDArray[np.uint8]]:
        for index in range(41):
            alive.append(index)
            yield np.full((10, 10, 3), index, np.uint8)

    seen: list[int] = []
    longest = 0
    for block in blocks(frames(), most_bytes=20 * 300):
        longest = max(longest, len(alive) - len(seen))
        seen += [int(frame[0, 0, 0]) for frame in block]
        assert len(block) <= streams.BLOCK_FRAMES
    assert seen == list(range(41))
    assert longest == 20  # frames decoded ahead of those taken


def test_clips_are_what_the_user_named_each_once(tmp_path: Path) -> None:
    found = find_clips([CLIP, "synthetic:pan", CLIP, "synthetic"], frames=7)
    others = [f"synthetic:{name}" for name in SCENES if name != "pan"]
    assert [clip.name for clip in found] == ["clip.mp4", "synthetic:pan", *others]
    assert [clip.synthetic for clip in found] == [False, *[True] * len(SCENES)]
    assert [clip.frames for clip in found] == [7] * 7
    with found[0].open() as frames:
        assert [frame.shape for frame in frames] == [(360, 640, 3)] * 7
    whole = find_clips([CLIP, "synthetic:cut"])
    assert [clip.frames for clip in whole] == [208, FRAMES]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    copies = []
    for folder in ("one", "two"):
        copies.append(tmp_path / folder / "clip.mp4")
        copies[-1].parent.mkdir()
        copies[-1].symlink_to(CLIP)
    assert [clip.name for clip in find_clips(list(map(str, copies)), 1)] == list(map(str, copies))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "nowhere.mp4",
            "nowhere.mp4: no such file or folder: --stream takes video files, synthetic or synthetic:NAME",
        ),
        ("0", "0: no such file or folder: --stream"),
        ("synthetic:zoom", "unknown synthetic stream 'zoom'"),
        (__file__, "it is not a video, nor a JPEG"),
    ],
)
def test_what_is_no_clip_is_refused(spec: str, message: str) -> None:
    with pytest.raises(VecaError, match=message):
        find_clips([spec])


# -- measuring


def test_the_engines_time_is_counted_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    class Slow:
        threads = 3

        def step(self, seconds: float, cache: str | None = None) -> tuple[Any, ...]:
            now[0] += seconds
            return seconds, cache

        def encode(self, image: Any, cores: int) -> None:
            now[0] += 1
            raise VecaError("no")

    monkeypatch.setattr(streams, "perf_counter", lambda: now[0])
    engine = TimedEngine(cast(Any, Slow()))
    assert engine.step(2.0, cache="rows") == (2.0, "rows")
    now[0] += 100
    assert engine.step(0.5) == (0.5, None)
    with pytest.raises(VecaError):
        engine.encode(None, 8)
    assert (engine.seconds, engine.threads) == (3.5, 3)


def test_a_lane_takes_every_frame_in_full_and_streamed_with_either_first(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane, order = Lane(model, 8, ChangeSettings(), SIZE), []
    full, update = lane._full, lane._stream.update

    def noted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(frame: NDArray[np.uint8]) -> Any:
            order.append(name)
            return call(frame)

        return run

    monkeypatch.setattr(lane, "_full", noted("full", full))
    monkeypatch.setattr(lane._stream, "update", noted("streamed", update))
    frames = list(synthetic_frames("static", 4, shape=(72, 72)))
    lane.take(frames[:2])
    lane.take(frames[2:], stream_first=True)
    assert order == [*["full"] * 2, *["streamed"] * 4, *["full"] * 2]
    first, *others = lane.samples
    assert (first.patches, first.total, first.keyframe, first.agrees) == (16, 16, True, True)
    assert first.cosine == pytest.approx(1, abs=1e-5)
    assert 0 < first.engine < first.streamed
    for other in others:
        assert (other.patches, other.engine, other.keyframe) == (0, 0, False)
        assert other.streamed > 0
        assert 0.9 < other.cosine < 1


def test_lanes_are_interleaved_and_come_in_reverse_every_second_time(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BLOCK_FRAMES", 2)
    order, advanced = [], []

    class Quiet:
        def __init__(self, cores: int) -> None:
            self.cores = cores

        def take(self, frames: list[Any], stream_first: bool) -> None:
            order.append((self.cores, [int(frame[0, 0, 0]) for frame in frames], stream_first))

    frames = iter([np.full((64, 64, 3), index, np.uint8) for index in range(3)])
    run_clip(model, cast(Any, [Quiet(8), Quiet(64)]), frames, SIZE, lambda: advanced.append(1))
    assert order == [(8, [0, 1], False), (64, [0, 1], False), (64, [2], True), (8, [2], True)]
    assert len(advanced) == 6


@pytest.fixture(scope="module")
def measured(default_model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """Two recordings and a synthetic stream, few frames, two core budgets, two patch budgets."""
    request = BenchRequest(
        default_model_file,
        cores=(8, 64),
        image_size=(SIZE,),
        stream=(CLIP, "synthetic:pan"),
        patch_budget=(None, 4),
        threads=1,
    )
    target = prepare(request, tmp_path_factory.mktemp("streams"))
    clip, pan = find_clips([CLIP, "synthetic:pan"], frames=6)

    @contextmanager
    def still() -> Iterator[Iterator[Any]]:
        yield synthetic_frames("static", 5, shape=(72, 72))

    done: list[float] = []
    clips = [clip, pan, Clip("still", False, 5, still)]
    return measure_streams(target, request, read_machine(), clips, done.append), done


def test_every_clip_is_measured_at_every_budget(measured: tuple[Any, ...]) -> None:
    result, done = measured
    steps = 4 * (6 + 6 + 5)
    assert done == pytest.approx([step / steps for step in range(1, steps + 1)])
    assert (result.pool, result.patches, result.threads, result.image_size) == ("all 2 recordings", 16, 1, SIZE)
    names = ["all 2 recordings", "clip.mp4", "synthetic:pan", "still"]
    budgets = [(8, None), (8, 4), (64, None), (64, 4)]
    assert [(row.clip, row.cores, row.patch_budget) for row in result.rows] == [
        (name, *pair) for name in names for pair in budgets
    ]
    assert [row.frames for row in result.rows[::4]] == [11, 6, 6, 5]


def test_what_streaming_does_to_a_clip_shows_in_its_row(measured: tuple[Any, ...]) -> None:
    rows = {(row.clip, row.cores, row.patch_budget): row for row in measured[0].rows}
    still, clip = rows["still", 8, None], rows["clip.mp4", 8, None]
    assert (still.keyframes, still.idle, still.patches) == (1, 4, 16 / 5)
    assert 16 / 6 <= clip.patches < 16
    assert 0.97 < still.fidelity.mean < 1
    for row in rows.values():
        assert 0 < row.streamed.minimum <= row.streamed_mean
        assert 0 < row.host.share < 1
        assert 0 <= row.fidelity.top1 <= 1
        assert row.fidelity.worst <= row.fidelity.p5 <= row.fidelity.mean


def test_a_single_clip_needs_no_pool_and_bad_budgets_are_refused(default_model_file: Path, tmp_path: Path) -> None:
    request = BenchRequest(
        default_model_file, cores=(8,), image_size=(SIZE,), stream=("synthetic:static",), threads=1
    )
    target = prepare(request, tmp_path)
    clips, done = [replace(clip, frames=None) for clip in find_clips(request.stream, frames=2)], list[float]()
    result = measure_streams(target, request, read_machine(), clips, done.append)
    assert done == []  # nobody knows how long it is
    assert (result.pool, len(result.rows)) == (None, 1)
    with pytest.raises(VecaError, match="patch budget 1"):
        measure_streams(target, replace(request, patch_budget=(1,)), read_machine(), clips)


# -- for readers


def test_the_worst_second_is_found_wherever_it_lies() -> None:
    def one(streamed: float) -> Sample:
        return Sample(1.0, streamed, streamed, 64, 64, True, 1.0, None)

    quick = [one(0.5)] * 40
    assert worst_second([*quick, *[one(1.5)] * SECOND, *quick]) == pytest.approx(1.5)
    assert worst_second([*quick, *[one(1.5)] * 15, *quick]) == pytest.approx(1.0)
    assert worst_second(quick[: SECOND - 1]) is None


def test_the_text_fits_a_terminal_and_the_json_holds_everything(measured: tuple[Any, ...]) -> None:
    report = describe_streams(measured[0])
    lines = report.text().splitlines()
    assert max(map(len, lines[1:])) <= 100
    assert "clip.mp4, 6 frames: time per frame, ms" in lines
    assert sum(line.startswith("  cores  budget") for line in lines) == 2 * 4
    assert "  synthetic:pan: the camera turns" in report.text()
    values = json.loads(report.json())
    assert values["kind"] == "stream benchmark"
    # Of the program, of its checkpoint, and of each recording; the fitted picture was not looked at.
    assert {"program", "clip.mp4"} <= set(values["digests"])
    assert "pictures" not in values["digests"]
    assert set(values["rows"][0]["fidelity"]) == {"mean", "p5", "worst", "top1"}
    for block in report.markdown().split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


@pytest.mark.parametrize(
    ("changes", "streamed", "expected"),
    [
        ({}, 0.0109, []),
        ({}, 0.0112, ["streaming a takes 1.12 times as long as computing all of it (8 cores, patch budget none)"]),
        ({"other_work": 0.8}, 0.001, ["other programs used 0.80 processors meanwhile: close other"]),
        ({"threads": 4}, 0.001, ["4 threads share 2 processors"]),
    ],
)
def test_warnings(changes: dict[str, Any], streamed: float, expected: list[Any]) -> None:
    result = replace(a_result({("a", 8, None): [sample(full=0.010, streamed=streamed)]}), **changes)
    found = describe_streams(result).warnings
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


def test_the_picture_shows_each_budget_where_it_was_measured(measured: tuple[Any, ...], tmp_path: Path) -> None:
    path = tmp_path / "streams.svg"
    draw_streams(path, measured[0])
    assert path.read_text().lstrip().startswith("<?xml")
    text = path.read_text()
    for label in ("8 cores", "64 cores", "streamed, at most 4 patches", "all 2 recordings, 11 frames, 64 px"):
        assert f"<!-- {label} -->" in text or label in text
    assert "streamed, at most 48 patches" not in text
    with pytest.raises(VecaError, match="cannot write"):
        draw_streams(tmp_path / "nowhere" / "streams.png", measured[0])
