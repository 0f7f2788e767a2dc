from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from signal import Signals
from typing import Any

import numpy as np
import pytest

from tests.fakes import FakeCapture, FakeModel, FakeScreen, film, names, picture, streamed
from tests.paths import CLIP
from veca_edge.camera.frames import Frame, Source
from veca_edge.camera.sources import open_source
from veca_edge.errors import StreamError, VecaError
from veca_edge.playback.player import Pacer, Player, Thinner, stop_on_signals
from veca_edge.playback.request import RunRequest
from veca_edge.playback.summary import Summary, Tally
from veca_edge.playback.telling import log_record
from veca_edge.playback.viewer import ViewState
from veca_edge.playback.writers import save_png

BUDGETS = FakeModel.budgets


def play(source: Source, options: RunRequest | None = None, model: FakeModel | None = None, **more: Any) -> Summary:
    state = more.pop("state", ViewState(64, BUDGETS))
    return Player(model or FakeModel(), source, state, options or RunRequest(), **more).run()


def test_headless_run_counts_everything() -> None:
    model, seen = FakeModel(), []
    summary = play(film(), model=model, progress=lambda: seen.append(1))
    assert (summary.frames, summary.dropped, summary.stopped) == (6, 0, "end")
    assert model.calls == [64] * 6
    assert len(seen) == 6
    (times,) = summary.times
    assert (times.cores, times.frames, times.p50, times.p95) == (64, 6, 0.01, 0.01)
    assert [(entry.label, entry.share) for entry in summary.labels] == [("Äpfel", 1.0)]
    assert summary.fps == pytest.approx(6 / summary.seconds)


def test_frames_limits_the_run() -> None:
    summary = play(film(), RunRequest(frames=2))
    assert (summary.frames, summary.stopped) == (2, "frames")


def test_files(tmp_path: Path) -> None:
    options = RunRequest(save=tmp_path / "a.mp4", log=tmp_path / "a.jsonl", image_size=96)
    summary = play(film(), options)
    assert summary.paths == (str(tmp_path / "a.mp4"), str(tmp_path / "a.jsonl"))
    records = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["index"] for record in records] == list(range(6))
    assert records[1]["time"] == pytest.approx(1 / 240, abs=1e-6)
    assert records[0]["image_size"] == [96, 96]
    assert (records[0]["cores"], records[0]["latency_ms"]) == (64, 10.0)
    assert records[0]["top"][0] == {"label": "Äpfel", "probability": 0.7}
    with open_source(str(tmp_path / "a.mp4")) as saved:
        assert len(list(saved)) == 6


def test_model_without_a_head(tmp_path: Path) -> None:
    summary = play(film(1), RunRequest(log=tmp_path / "a.jsonl"), FakeModel(head=False))
    assert summary.labels == ()
    assert json.loads((tmp_path / "a.jsonl").read_text())["top"] == []


def test_keys_steer_the_run(tmp_path: Path) -> None:
    said: list[str] = []
    model = FakeModel()
    screen = FakeScreen([ord(key) for key in "-vhs"])
    summary = play(film(), RunRequest(snapshots=tmp_path), model, window=screen, say=said.append)
    assert model.calls == [64] + [32] * 5
    assert [times.cores for times in summary.times] == [32, 64]
    (name,) = names(tmp_path)
    assert said == [f"saved {tmp_path / name}"]
    assert len(screen.shown) == 6
    assert (screen.shown[0] != screen.shown[2]).any()


def test_pause_keeps_the_frame_and_obeys_keys(tmp_path: Path) -> None:
    model = FakeModel()
    screen = FakeScreen([-1, ord(" "), ord("-"), -1, ord(" "), -1])
    summary = play(film(3), RunRequest(save=tmp_path / "a.mp4"), model, window=screen)
    assert summary.frames == 3
    assert model.calls == [64, 64, 32, 32]  # the paused frame once more, at the new budget
    with open_source(str(tmp_path / "a.mp4")) as saved:
        assert len(list(saved)) == 3  # each frame once, however long the pause


def test_quit() -> None:
    summary = play(film(), window=FakeScreen([-1, ord("q")]))
    assert (summary.frames, summary.stopped) == (2, "quit")


def test_quit_while_paused() -> None:
    summary = play(film(), window=FakeScreen([ord(" "), -1, ord("q")]))
    assert (summary.frames, summary.stopped) == (1, "quit")


def test_snapshot_that_fails_does_not_end_the_run(tmp_path: Path) -> None:
    said: list[Any] = []
    options = RunRequest(snapshots=tmp_path / "missing")
    assert play(film(), options, window=FakeScreen([ord("s")]), say=said.append).frames == 6
    assert "no folder" in said[0]


def test_camera_lost_keeps_what_came_before(tmp_path: Path) -> None:
    camera = open_source(0, retry=0, capture=lambda spec: FakeCapture([picture()]))
    with pytest.raises(StreamError, match="camera 0 stopped"):
        play(camera, RunRequest(log=tmp_path / "a.jsonl", save=tmp_path / "a.mp4"))
    assert names(tmp_path) == ["a.jsonl", "a.mp4"]


def test_bad_place_is_told_before_the_first_frame(tmp_path: Path) -> None:
    model = FakeModel()
    with pytest.raises(VecaError, match="no folder"):
        play(film(), RunRequest(log=tmp_path / "a.jsonl", save=tmp_path / "no" / "a.mp4"), model)
    assert model.calls == []
    assert names(tmp_path) == []


@pytest.mark.parametrize(("field", "value"), [("image_size", 100), ("save", "a.txt")])
def test_bad_options(field: str, value: Any) -> None:
    with pytest.raises(VecaError):
        play(film(), RunRequest(**{field: value}))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_run_cleanly(tmp_path: Path, number: Signals) -> None:
    model = FakeModel()
    player = Player(model, film(100), ViewState(8, BUDGETS), RunRequest(log=tmp_path / "a.jsonl"))

    def interrupt() -> None:
        if len(model.calls) == 3:
            os.kill(os.getpid(), number)

    player._progress = interrupt
    before = signal.getsignal(number)
    with stop_on_signals(player.stop):
        summary = player.run()
    assert (summary.frames, summary.stopped) == (3, number.name)
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3
    assert signal.getsignal(number) == before


def test_stop_cuts_a_long_pace_short() -> None:
    model = FakeModel()
    player = Player(model, film(), ViewState(8, BUDGETS), RunRequest(fps_limit=0.01))
    begin = time.monotonic()
    signal.signal(signal.SIGALRM, lambda *_: player.stop("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    assert player.run().stopped == "alarm"
    assert time.monotonic() - begin < 2


def test_pacer_keeps_the_rate_without_piling_up_delay() -> None:
    now, waits = [0.0], []

    def wait(seconds: float) -> None:
        waits.append(round(seconds, 3))
        now[0] += seconds

    pacer = Pacer(10, wait, lambda: now[0])
    for spent in (0.0, 0.02, 0.5, 0.02):
        now[0] += spent
        pacer.pace()
    assert waits == [0.08, 0.08]
    free = Pacer(None, wait, lambda: now[0])
    free.pace()
    free.pace()
    assert waits == [0.08, 0.08]


def test_file_in_a_window_plays_at_its_own_pace() -> None:
    begin = time.monotonic()
    play(film(6, fps=50), window=FakeScreen([]))
    assert time.monotonic() - begin > 4 / 50


def test_summary_for_reading_and_for_machines() -> None:
    summary = play(film(2))
    assert summary.lines()[0].startswith("2 frames in ")
    assert " 64 cores: latency 10.0 ms median, 10.0 ms p95 (2 frames)" in summary.lines()[1]
    assert "Äpfel in 100 % of frames" in summary.lines()[2]
    assert "3 frames dropped: they came too fast" in replace(summary, dropped=3).lines()
    data = json.loads(json.dumps(summary.to_dict()))
    assert data["latency_ms"] == [{"cores": 64, "frames": 2, "p50": 10.0, "p95": 10.0}]
    assert data["labels"] == [{"label": "Äpfel", "share": 1.0}]


def test_the_log_counts_patches() -> None:
    computed = np.zeros((4, 4), bool)
    computed[0] = True
    frame = Frame(np.zeros((64, 64, 3), np.uint8), 5, 0.2, "x")
    record = log_record(frame, streamed(computed))
    assert (record["patches"], record["patches_total"]) == (4, 16)
    assert (record["keyframe"], record["oldest"]) == (False, 3)
    assert log_record(frame, streamed(None, keyframe=True))["patches"] == 16


def test_the_summary_counts_patches_and_keyframes() -> None:
    tally = Tally()
    assert tally.patches() is None
    tally.add(streamed(np.ones((4, 4), bool), keyframe=True), None)
    tally.add(streamed(np.eye(4, dtype=bool)), None)
    counts = tally.patches()
    assert counts is not None
    assert (counts.computed, counts.total, counts.keyframes) == (10, 16, 1)


@pytest.mark.parametrize(
    ("fps", "rate", "kept"),
    [
        (30, 15, [0, 2, 4, 6, 8, 10]),
        (30, 20, [0, 2, 3, 5, 6, 8, 9, 11]),
        (30, None, list(range(12))),
        (25, 24.9, list(range(12))),
    ],
)
def test_frames_are_left_out_evenly(fps: float, rate: float | None, kept: list[int]) -> None:
    thinner = Thinner(rate)
    assert [index for index in range(12) if thinner.takes(index / fps)] == kept
    assert thinner.takes(0.0)  # a film that starts over


def test_a_target_rate_is_kept(tmp_path: Path) -> None:
    target = RunRequest(target_fps=10, save=tmp_path / "o.mp4")
    summary = play(film(12, fps=30.0), target)
    assert (summary.frames, summary.left_out) == (12, 8)
    with open_source(tmp_path / "o.mp4") as saved:
        assert (saved.fps, len(list(saved))) == (10, 4)


def test_single_images_are_named_with_their_label(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/b.png"):
        save_png(tmp_path / name, picture())
    shown: list[str] = []
    play(open_source(tmp_path), show=shown.append)
    assert shown == ["a.png: Äpfel 70 %", "sub/b.png: Äpfel 70 %"]


def test_real_clip_in_every_view() -> None:
    """The packaged clip through the whole loop; every view leaves its mark."""
    pictures = {}
    for view in ("labels", "features", "attention", "plain"):
        screen = FakeScreen([])
        play(open_source(str(CLIP)), RunRequest(frames=2), window=screen, state=ViewState(64, BUDGETS, view))
        pictures[view] = screen.shown[-1]
    for view in ("labels", "features", "attention"):
        assert np.abs(pictures[view].astype(int) - pictures["plain"]).mean() > 0.5
