"""Rates that can be believed, and animated images as films."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import FakeCapture, picture
from tests.image.made import animation
from veca_edge.image.captures import AnimationCapture, TimedCapture, opened_animation
from veca_edge.image.opencv import FPS, FRAME_COUNT, POSITION_MS, to_rgb


class StampedCapture(FakeCapture):
    """States a rate, and gives pictures with these time stamps in milliseconds."""

    def __init__(self, fps: float, stamps: list[float]) -> None:
        super().__init__([picture(index) for index in range(len(stamps))], fps=fps)
        self.stamps = iter(stamps)

    def read(self) -> tuple[bool, Any]:
        self.values[POSITION_MS] = next(self.stamps, 0.0)
        return super().read()


EVEN = [1000 * index / 30 for index in range(40)]
PAUSED = [*EVEN[:6], *(2000 + stamp for stamp in EVEN[6:])]
ABSURD = [1000.0, 0.0, -1.0, math.nan, math.inf, 90000.0, 0.001]


@pytest.mark.parametrize("stated", ABSURD)
@pytest.mark.parametrize(
    ("stamps", "rate"),
    [
        (EVEN, 30),
        (PAUSED, 30),
        ([round(stamp) for stamp in EVEN], 30),
        ([4000.0 * index for index in range(9)], 0.25),
        ([0.0] * 9, 0),
        ([5.0], 0),
        ([], 0),
    ],
)
def test_absurd_rate_is_taken_from_time_stamps(stated: float, stamps: list[float], rate: float) -> None:
    capture = TimedCapture(StampedCapture(stated, stamps))
    assert capture.get(FPS) == pytest.approx(rate, rel=0.01)
    read = []
    for stamp in stamps:  # none is lost
        good, image = capture.read()
        assert good
        assert capture.get(POSITION_MS) == stamp
        read.append(int(image[0, 0, 0]))
    assert read == list(range(len(stamps)))
    assert not capture.read()[0]


@pytest.mark.parametrize("step", [1 / 30, 2e12])  # of 30000 frames per second, and of 68 years
def test_absurd_time_stamps_are_left_out(step: float) -> None:
    capture = TimedCapture(StampedCapture(0.0, [step * index for index in range(40)]))
    assert capture.get(FPS) == 0
    while capture.read()[0]:
        assert capture.get(POSITION_MS) == 0


@pytest.mark.parametrize(("stated", "count"), [(25.0, 40), (1000.0, 0), (math.nan, 0)])
def test_count_made_with_an_absurd_rate_is_unknown(stated: float, count: int) -> None:
    capture = StampedCapture(stated, EVEN)
    capture.values[FRAME_COUNT] = 40
    assert TimedCapture(capture).get(FRAME_COUNT) == count


def test_sensible_rate_is_believed() -> None:
    assert TimedCapture(StampedCapture(25.0, EVEN)).get(FPS) == 25


def test_error_while_measuring_comes_at_its_frame() -> None:
    capture = TimedCapture(FakeCapture([picture(), RuntimeError("bad slice")], fps=1000))
    assert capture.read()[0]
    with pytest.raises(RuntimeError, match="bad slice"):
        capture.read()


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_animated_image_is_a_film_on_white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr("veca_edge.image.captures.AT_ONCE", 2 * 24 * 32)  # decoded in two parts
    capture = opened_animation(animation(tmp_path / f"a{suffix}", 4, 50))
    assert capture is not None
    assert capture.get(FPS) == pytest.approx(20)
    images, times = [], []
    while (read := capture.read())[0]:
        images.append(to_rgb(read[1]).astype(int))
        times.append(capture.get(POSITION_MS))
    assert times == [0, 50, 100, 150]
    if suffix != ".webp":  # its encoder leaves transparency out
        assert all((image[:, :12] == 255).all() for image in images)
    np.testing.assert_allclose([image[12, 24, 0] for image in images], [40, 80, 120, 160], atol=20)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_single_picture_is_no_animation(tmp_path: Path, suffix: str) -> None:
    assert opened_animation(animation(tmp_path / f"a{suffix}", 1)) is None


def test_damaged_animation_is_not_opened(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.gif")
    path.write_bytes(path.read_bytes()[:20])
    assert not AnimationCapture(path).isOpened()
