"""Video files as sources: every frame in order, and what damaged ones say."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import FakeCapture, picture
from tests.paths import CLIP
from veca_edge.camera.frames import Source
from veca_edge.camera.sources import open_source
from veca_edge.errors import StreamError, VecaError


def _video(*captures: FakeCapture, loop: bool = False) -> Source:
    rest = iter(captures)
    return open_source("http://host/film.mp4", loop=loop, capture=lambda spec: next(rest))


def test_video_gives_every_frame_in_order(frames: list[Any]) -> None:
    assert [frame.index for frame in frames] == list(range(208))
    times = [frame.time for frame in frames]
    assert times[0] == 0
    np.testing.assert_allclose(np.diff(times), 1 / 29.833, atol=1e-3)
    assert frames[0].image.shape == (360, 640, 3)
    with open_source(str(CLIP)) as source:
        assert (source.live, source.frames_total) == (False, 208)
        assert source.fps == pytest.approx(29.83, abs=0.01)


def test_colours_are_rgb(frames: list[Any]) -> None:
    cap = frames[60].image[112, 535].astype(int)  # the blue cap of the right bottle
    assert cap[2] > 2 * cap[0]


def test_video_waits_for_a_slow_reader() -> None:
    taken = []
    source_capture = FakeCapture([picture(i) for i in range(12)])
    with _video(source_capture) as source:
        for frame in source:
            time.sleep(0.01)
            taken.append(int(frame.image[0, 0, 0]))
        assert source.dropped == 0
    assert taken == list(range(12))
    assert source_capture.released


def test_loop_starts_over() -> None:
    with _video(*(FakeCapture([picture(1), picture(2)], count=2) for _ in range(3)), loop=True) as source:
        assert source.frames_total is None
        first = [next(source) for _ in range(5)]
    assert [int(frame.image[0, 0, 0]) for frame in first] == [1, 2, 1, 2, 1]
    assert [frame.index for frame in first] == list(range(5))
    assert all(b.time > a.time for a, b in pairwise(first))


def test_truncated_video_plays_and_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(CLIP.read_bytes()[:90_000])
    notices: list[Any] = []
    with open_source(str(broken), notify=notices.append) as source:
        count = len(list(source))
    assert 20 < count < 208
    assert notices == [f"{broken} is damaged: {count} of 208 frames could be decoded"] == source.messages


def test_video_that_decodes_nothing() -> None:
    with _video(FakeCapture([])) as source, pytest.raises(VecaError, match="no frame") as caught:
        next(source)
    assert caught.value.exit_status == 2


def test_decoder_error_reaches_the_reader() -> None:
    with _video(FakeCapture([picture(), RuntimeError("bad slice")])) as source:
        next(source)
        with pytest.raises(StreamError, match="bad slice"):
            next(source)


def test_oversized_video_is_refused() -> None:
    capture = FakeCapture([picture()])
    capture.values.update({3: 40_000, 4: 40_000})
    with pytest.raises(VecaError, match="100 megapixels"):
        _video(capture)
    assert capture.released


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b"file 'http://host/x.mp4'\n" * 50),
        ("list.m3u8", b"file 'http://host/x.mp4'\n" * 50),
        ("empty.mp4", b""),
        ("noise.mp4", np.random.default_rng(0).bytes(50_000)),
        ("without its index.mp4", CLIP.read_bytes()[:600]),
    ],
)
def test_what_is_no_video_is_refused_by_its_name(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(VecaError, match=name):
        list(open_source(str(tmp_path / name)))


def test_closing_early_ends_the_thread() -> None:
    source = open_source(str(CLIP))
    next(source)
    source.close()
    assert source.read() is None
    assert not [t for t in threading.enumerate() if t.name == "veca-capture"]


def test_pictures_in_grey_or_with_alpha() -> None:
    grey, alpha = picture()[..., 0], np.dstack((picture(), picture()[..., :1]))
    with _video(FakeCapture([grey, alpha])) as source:
        assert [frame.image.shape for frame in source] == [(24, 32, 3)] * 2
