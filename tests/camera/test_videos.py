"""Video files as sources: every frame in order, and what damaged ones say."""

from __future__ import annotations

import os
import signal
import struct
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.fakes import FakeCapture, picture
from tests.image.made import animation, encoded, four_colours
from tests.paths import CLIP
from veca_edge.camera.frames import Source
from veca_edge.camera.sources import open_source
from veca_edge.camera.videos import VideoSource
from veca_edge.errors import StreamError, VecaError
from veca_edge.image.opencv import OPTIONS, open_capture
from veca_edge.playback.writers import VideoWriter


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
    for thread in threading.enumerate():
        if thread.name == "veca-capture":
            thread.join(5)  # it has said that it is at its end
            assert not thread.is_alive()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_close_that_ctrl_c_interrupts_can_be_repeated() -> None:
    """A thread that is in the decoder when Python ends would abort the process."""

    def slow() -> Iterator[Any]:
        yield picture(0, 24, 32)
        time.sleep(1.0)
        yield picture(0, 24, 32)

    capture = FakeCapture(slow())
    source = _video(capture)
    assert source.read() is not None
    interrupt = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            source.close()
    finally:
        signal.signal(signal.SIGINT, before)
    assert not capture.released
    source.close()
    assert capture.released


def test_pictures_in_grey_or_with_alpha() -> None:
    grey, alpha = picture()[..., 0], np.dstack((picture(), picture()[..., :1]))
    with _video(FakeCapture([grey, alpha])) as source:
        assert [frame.image.shape for frame in source] == [(24, 32, 3)] * 2


def browser_film(path: Path) -> Path:
    """A WebM of 60 frames in two seconds that states 1000 frames per second, as browsers record it."""
    with VideoWriter(path, 30) as writer:
        for index in range(60):
            writer.write(picture(4 * index, 64, 64))
    data = path.read_bytes()
    place = data.index(b"\x23\xe3\x83") + 3  # the default duration of a frame
    length = data[place] & 0x7F
    path.write_bytes(data[: place + 1] + (1_000_000).to_bytes(length, "big") + data[place + 1 + length :])
    return path


def test_film_from_a_browser_plays_at_its_pace(tmp_path: Path) -> None:
    path = browser_film(tmp_path / "a.webm")
    assert open_capture(str(path)).get(5) == 1000
    with open_source(path) as source:
        assert source.fps == pytest.approx(30, rel=0.02)
        frames = list(source)
    assert len(frames) == 60
    assert frames[-1].time == pytest.approx(59 / 30, abs=0.01)
    begin = time.monotonic()
    with open_source(path, live=True) as source:
        list(source)
    assert 1.5 < time.monotonic() - begin < 4


def y4m(count: int = 5) -> bytes:
    """Without a zero byte."""
    frame = b"FRAME\n" + bytes([90]) * (32 * 24 * 3 // 2)
    return b"YUV4MPEG2 W32 H24 F25:1 Ip A1:1 C420jpeg\n" + frame * count


def jpegs(*sizes: tuple[int, int]) -> bytes:
    return b"".join(encoded(".jpg", four_colours(*size)) for size in sizes)


@pytest.mark.parametrize(
    ("name", "data", "count"),
    [
        ("a.y4m", y4m(), 5),
        ("a.mjpeg", jpegs((32, 48), (32, 48), (32, 48)), 3),
        ("padded.mjpeg", jpegs((32, 48)) + bytes(6) + jpegs((32, 48)), 2),
    ],
)
def test_films_that_look_like_images_or_text(tmp_path: Path, name: str, data: bytes, count: int) -> None:
    (tmp_path / name).write_bytes(data)
    with open_source(tmp_path / name) as source:
        assert source.continuous
        assert len(list(source)) == count


def test_photo_with_a_preview_behind_it_is_no_film(tmp_path: Path) -> None:
    photo = jpegs((32, 48))
    index = b"\xff\xe2\0\x08MPF\0ab"
    for data in (photo, photo + jpegs((16, 24)), photo[:2] + index + photo[2:] + photo, photo + b"trailer"):
        (tmp_path / "a.jpg").write_bytes(data)
        with open_source(tmp_path / "a.jpg") as source:
            assert not source.continuous
            assert len(list(source)) == 1


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_animated_images_are_films(tmp_path: Path, suffix: str) -> None:
    path = animation(tmp_path / f"a{suffix}", 4, 100)
    with open_source(path, loop=True) as source:
        assert isinstance(source, VideoSource)
        assert source.fps == 10
        times = [next(source).time for _ in range(9)]
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-6)


@pytest.mark.parametrize(("turn", "corner"), [(0, 0), (90, 2), (180, 3), (270, 1)])
def test_turned_films_are_upright(tmp_path: Path, turn: int, corner: int) -> None:
    path = tmp_path / "a.mp4"
    colours = four_colours(64, 96)
    with VideoWriter(path, 25) as writer:
        writer.write(colours)
    data = bytearray(path.read_bytes())
    matrices = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
    a, b, c, d = (65536 * value for value in matrices[turn])
    place = data.index(b"tkhd") + 44
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    with open_source(path) as source:
        image = next(source).image
    assert image.shape == ((96, 64, 3) if turn % 180 else (64, 96, 3))
    wanted = colours[::63, ::95].reshape(4, 3)[corner]
    assert np.abs(image[5, 5].astype(int) - wanted).max() < 60


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{film}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n\0\n" + PLAYLIST[8:]),
        ("a.mp4", PLAYLIST + "\0"),
        ("a.ffconcat", "ffconcat version 1.0\nfile {film}\n#\0"),
        ("a.sdp", "o=- 0 0 IN IP4 127.0.0.1\ns=\0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n"),
        ("a.bin", "\0\n" + PLAYLIST),
    ],
)
def test_lists_of_other_files_are_not_followed(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "film.avi").write_bytes(y4m())
    path = tmp_path / name
    path.write_text(text.replace("{film}", "film.avi"))
    with pytest.raises(VecaError, match=name):
        list(open_source(path))
    assert not open_capture(str(path)).isOpened()  # nor would ffmpeg


def test_ffmpegs_options_are_the_users_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OPTIONS, raising=False)
    assert open_capture(str(CLIP)).isOpened()
    assert OPTIONS not in os.environ
    monkeypatch.setenv(OPTIONS, "rtsp_transport;udp")
    assert open_capture(str(CLIP)).isOpened()
    assert os.environ[OPTIONS] == "rtsp_transport;udp"


@pytest.mark.parametrize("spec", [0, "rtsp://host/cam", "http://host/film.mp4"])
def test_frames_that_grow_too_large_are_refused(spec: str | int) -> None:
    huge = np.broadcast_to(np.zeros(3, np.uint8), (20_000, 20_000, 3))
    source = open_source(spec, capture=lambda _: FakeCapture([picture(), huge]))
    with source, pytest.raises(VecaError, match="20000x20000 pixels: use at most 100 megapixels"):
        list(source)
    stated = FakeCapture([picture()])
    stated.values.update({3: 40_000, 4: 40_000})
    with pytest.raises(VecaError, match="100 megapixels"):
        open_source(spec, capture=lambda _: stated)
    assert stated.released


def test_address_stays_out_of_the_decoders_errors() -> None:
    error = cv2.error("cannot open\nrtsp://me:secret@host/cam")
    source = open_source("rtsp://me:secret@host/cam", capture=lambda _: FakeCapture([picture(), error]))
    with source, pytest.raises(StreamError) as caught:
        list(source)
    assert str(caught.value) == "reading rtsp://***@host/cam failed: cannot open rtsp://***@host/cam"
