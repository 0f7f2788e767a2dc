"""Cameras and network streams: the newest frame, and what happens when none comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes import FakeCapture, picture
from tests.paths import CLIP
from veca_edge.arrays import Image
from veca_edge.camera.sources import open_source
from veca_edge.errors import StreamError, VecaError


def factory(*captures: Any) -> Callable[..., Any]:
    """Opens the given captures one after the other; afterwards nothing is there."""
    rest = iter(captures)
    return lambda spec: next(rest, FakeCapture([], opened=False))


@pytest.mark.parametrize("spec", [0, "0", 2**31 - 1, str(2**31 - 1)])
def test_camera_indices(spec: int | str) -> None:
    seen = []

    def capture(given: int | str) -> FakeCapture:
        seen.append(given)
        return FakeCapture([picture()])

    open_source(spec, capture=capture).close()
    assert seen == [int(spec)]


def test_url_of_a_file_can_be_read_live() -> None:
    capture = FakeCapture([picture()])
    with open_source("http://host/film.mp4", live=True, retry=0, capture=lambda s: capture) as source:
        assert source.live
        assert next(source).index == 0
        with pytest.raises(StreamError, match="stopped and did not come back"):
            next(source)


def test_clip_played_like_a_camera() -> None:
    begin = time.monotonic()
    with open_source(str(CLIP), live=True) as source:
        indices = [next(source).index for _ in range(6)]
    assert indices == sorted(indices)
    assert time.monotonic() - begin > 0.12  # six frames at 30 per second


def test_camera_hands_out_the_newest_frame_and_counts_the_rest() -> None:
    go, delivered, done = threading.Event(), threading.Event(), threading.Event()

    def pictures() -> Iterator[Image]:
        yield picture(0)
        assert go.wait(5)
        yield picture(1)
        yield picture(2)
        yield picture(3)
        delivered.set()  # runs once the third has been handed over
        assert done.wait(5)

    with open_source(0, retry=0, capture=lambda spec: FakeCapture(pictures())) as source:
        assert source.live
        assert source.frames_total is None
        first = next(source)
        go.set()
        assert delivered.wait(5)
        last = next(source)
        done.set()
        assert (first.index, last.index, source.dropped) == (0, 3, 2)
        assert last.time > first.time > 0


def test_camera_that_is_not_there() -> None:
    with pytest.raises(VecaError, match="cannot open camera 3"):
        open_source("3", capture=lambda s: FakeCapture([], opened=False))


def test_unplugged_camera_comes_back() -> None:
    captures = [
        FakeCapture([picture(1)]),
        FakeCapture([], opened=False),
        FakeCapture([]),  # opens but gives nothing yet
        FakeCapture([picture(2)] * 3),
    ]
    notices: list[Any] = []
    with open_source(0, retry=2, notify=notices.append, capture=factory(*captures)) as source:
        values = {int(next(source).image[0, 0, 0]) for _ in range(2)}
    assert values == {1, 2}
    assert "stopped sending frames; trying again for 2 s" in notices[0]
    assert "camera 0 sends frames again after" in notices[1]
    assert captures[0].released


def test_unplugged_camera_is_given_up() -> None:
    begin = time.monotonic()
    with open_source(0, retry=0.4, capture=factory(FakeCapture([picture()]))) as source:
        next(source)
        with pytest.raises(StreamError, match=r"did not come back within 0.4 s") as caught:
            next(source)
    assert caught.value.exit_status == 1
    assert 0.2 < time.monotonic() - begin < 2


def test_stopping_while_a_camera_is_away() -> None:
    with open_source(0, retry=60, capture=factory(FakeCapture([picture()]))) as source:
        next(source)
        threading.Timer(0.05, source.stop).start()
        begin = time.monotonic()
        assert source.read() is None
    assert time.monotonic() - begin < 1


def test_password_stays_out_of_messages() -> None:
    with pytest.raises(VecaError) as caught:
        open_source("rtsp://me:secret@host/cam", capture=lambda s: FakeCapture([], opened=False))
    assert "secret" not in str(caught.value)
    assert "host/cam" in str(caught.value)


def test_negative_retry() -> None:
    with pytest.raises(VecaError, match="retry"):
        open_source(0, retry=-1)
