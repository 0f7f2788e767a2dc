from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.camera.fakes import FakeCapture, picture
from veca_edge.camera.frames import Source
from veca_edge.camera.sources import open_source
from veca_edge.errors import StreamError, VecaError
from veca_edge.image.headers import image_size


def write_image(path: Path, value: int = 100, size: tuple[Any, ...] = (20, 30)) -> Path:
    assert cv2.imwrite(str(path), picture(value, *size))
    return path


def factory(*captures: Any) -> Callable[..., Any]:
    """Opens the given captures one after the other; afterwards nothing is there."""
    rest = iter(captures)
    return lambda spec: next(rest, FakeCapture([], opened=False))


# Files


def test_video_gives_every_frame_in_order(clip: Path, frames: list[Any]) -> None:
    assert [frame.index for frame in frames] == list(range(208))
    times = [frame.time for frame in frames]
    assert times[0] == 0
    np.testing.assert_allclose(np.diff(times), 1 / 29.833, atol=1e-3)
    assert frames[0].image.shape == (360, 640, 3)
    with open_source(str(clip)) as source:
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


def _video(capture: FakeCapture) -> Source:
    return open_source("http://host/film.mp4", capture=lambda spec: capture)


def test_loop_starts_over(frames: list[Any]) -> None:
    captures = [FakeCapture([picture(1), picture(2)], count=2) for _ in range(3)]
    with open_source("http://host/film.mp4", loop=True, capture=factory(*captures)) as source:
        assert source.frames_total is None
        first = [next(source) for _ in range(5)]
    assert [int(frame.image[0, 0, 0]) for frame in first] == [1, 2, 1, 2, 1]
    assert [frame.index for frame in first] == list(range(5))
    assert all(b.time > a.time for a, b in pairwise(first))


def test_truncated_video_plays_and_says_so(clip: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:90_000])
    notices: list[Any] = []
    with open_source(str(broken), notify=notices.append) as source:
        count = len(list(source))
    assert 20 < count < 208
    assert notices == [f"{broken} is damaged: {count} of 208 frames could be decoded"] == source.messages


def test_video_that_decodes_nothing() -> None:
    with _video(FakeCapture([])) as source, pytest.raises(VecaError, match="no frame") as caught:
        next(source)
    assert caught.value.exit_status == 2


def test_video_with_its_index_cut_off(clip: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:600])
    with pytest.raises(VecaError, match=r"broken\.mp4"):
        list(open_source(str(broken)))


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


@pytest.mark.parametrize("name", ["notes.txt", "list.m3u8", "empty.mp4"])
def test_not_a_video(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("" if name.startswith("empty") else "file 'http://host/x.mp4'\n" * 50)
    with pytest.raises(VecaError, match=name):
        open_source(str(path))


def test_noise_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    with pytest.raises(VecaError, match=r"noise\.mp4"):
        list(open_source(str(path)))


@pytest.mark.parametrize("spec", ["missing.mp4", "ftp://host/x", ""])
def test_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VecaError):
        open_source(spec)


def odd_source(folder: Path, kind: str) -> int | str:
    """A source that cannot be read."""
    if kind == "fifo":
        os.mkfifo(folder / "fifo")
    if kind == "loop":
        (folder / "loop").symlink_to("loop")
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
    specs: dict[str, int | str] = {
        "long": "a" * 300,
        "long folder": "a" * 300 + "/a.mp4",
        "long path": "/".join(["a" * 100] * 60),
        "null character": "a\0b.mp4",
        "home": "~nobody-of-this-name/a.mp4",
        "address": "http://me:secret@[::1",
        "digits": "99999999999999999999",
        "many digits": "9" * 5000,
        "next": str(2**31),
        "number": 2**31,
        "below": -1,
    }
    return specs.get(kind, kind)


@pytest.mark.skipif(sys.platform == "win32", reason="needs FIFOs and links")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("fifo", "it is not a file, a folder or a camera"),
        ("socket", "it is not a file, a folder or a camera"),
        ("loop", "cannot read loop"),
        ("long", "too long"),
        ("long folder", "too long"),
        ("long path", "too long"),
        ("null character", "cannot read"),
        ("home", "no home folder for ~nobody-of-this-name"),
        ("address", "the source is not a valid URL"),
        ("digits", "there is no camera"),
        ("many digits", "there is no camera"),
        ("next", "there is no camera"),
        ("number", "there is no camera"),
        ("below", "there is no camera"),
    ],
)
def test_odd_sources_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VecaError, match=message) as caught:
        open_source(odd_source(tmp_path, kind))
    assert caught.value.exit_status == 2
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 200
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may look anywhere")
@pytest.mark.parametrize("name", ["locked", "locked/a.png"])
@pytest.mark.parametrize("mode", [0o000, 0o400])
def test_locked_folder(tmp_path: Path, name: Any, mode: Any) -> None:
    (tmp_path / "locked").mkdir()
    write_image(tmp_path / "locked" / "a.png")
    (tmp_path / "locked").chmod(mode)
    with pytest.raises(VecaError, match="Permission denied"):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("spec", [0, "0", 2**31 - 1, str(2**31 - 1)])
def test_camera_indices(spec: int | str) -> None:
    seen = []

    def capture(given: int | str) -> FakeCapture:
        seen.append(given)
        return FakeCapture([picture()])

    open_source(spec, capture=capture).close()
    assert seen == [int(spec)]


def test_closing_early_ends_the_thread(clip: Path) -> None:
    source = open_source(str(clip))
    next(source)
    source.close()
    assert source.read() is None
    assert not [t for t in threading.enumerate() if t.name == "veca-capture"]


def test_url_of_a_file_can_be_read_live() -> None:
    capture = FakeCapture([picture()])
    with open_source("http://host/film.mp4", live=True, retry=0, capture=lambda s: capture) as source:
        assert source.live
        assert next(source).index == 0
        with pytest.raises(StreamError, match="stopped and did not come back"):
            next(source)


def test_clip_played_like_a_camera(clip: Path) -> None:
    begin = time.monotonic()
    with open_source(str(clip), live=True) as source:
        indices = [next(source).index for _ in range(6)]
    assert indices == sorted(indices)
    assert time.monotonic() - begin > 0.12  # six frames at 30 per second


# Cameras


def test_camera_hands_out_the_newest_frame_and_counts_the_rest() -> None:
    go, delivered, done = threading.Event(), threading.Event(), threading.Event()

    def pictures() -> Iterator[NDArray[np.uint8]]:
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


def test_camera_pictures_in_grey_or_with_alpha() -> None:
    grey, alpha = picture()[..., 0], np.dstack((picture(), picture()[..., :1]))
    with _video(FakeCapture([grey, alpha])) as source:
        assert [frame.image.shape for frame in source] == [(24, 32, 3)] * 2


def test_password_stays_out_of_messages() -> None:
    with pytest.raises(VecaError) as caught:
        open_source("rtsp://me:secret@host/cam", capture=lambda s: FakeCapture([], opened=False))
    assert "secret" not in str(caught.value)
    assert "host/cam" in str(caught.value)


def test_negative_retry() -> None:
    with pytest.raises(VecaError, match="retry"):
        open_source(0, retry=-1)


# Images


def test_one_image(tmp_path: Path) -> None:
    with open_source(str(write_image(tmp_path / "a.png", 30))) as source:
        (frame,) = source
    assert frame.image.shape == (20, 30, 3)
    assert (frame.image == 30).all()
    assert (frame.name, frame.index, source.frames_total) == ("a.png", 0, 1)


def test_folder_in_order_skipping_what_is_unreadable(tmp_path: Path) -> None:
    write_image(tmp_path / "b.jpg", 20)
    write_image(tmp_path / "a.PNG", 10)
    (tmp_path / "aa.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "._b.jpg").write_bytes(b"mac")
    (tmp_path / "sub").mkdir()
    write_image(tmp_path / "sub" / "c.png")
    notices: list[Any] = []
    with open_source(str(tmp_path), notify=notices.append) as source:
        got = [(frame.name, frame.index, frame.time) for frame in source]
    assert got == [("a.PNG", 0, 0.0), ("b.jpg", 1, 0.5)]
    assert len(notices) == 1
    assert "aa.jpg" in notices[0]


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="no images"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("loop", [False, True])
def test_folder_of_damaged_images(tmp_path: Path, loop: bool) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG broken")
    with open_source(str(tmp_path), loop=loop) as source, pytest.raises(VecaError, match="none of the 1"):
        next(source)


def test_damaged_image(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", size=(200, 200))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(VecaError, match=r"a\.png is damaged"):
        list(open_source(str(path)))


def test_float_tiff_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    assert cv2.imwrite(str(path), np.ones((20, 30, 3), np.float32))
    with pytest.raises(VecaError, match=r"a\.tiff is damaged or of a kind that is not supported \(8 or 16 bits"):
        list(open_source(str(path)))


def png_bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def test_decompression_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_bomb(60_000, 60_000))
    with pytest.raises(VecaError, match="60000x60000 pixels: use at most 100 megapixels"):
        list(open_source(str(path)))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_header_sizes(tmp_path: Path, suffix: str) -> None:
    data = write_image(tmp_path / f"a{suffix}", size=(33, 57)).read_bytes()
    assert image_size(data) == (57, 33)
    assert image_size(data[:9]) is None


def test_header_sizes_of_webp_kinds(tmp_path: Path) -> None:
    path = str(tmp_path / "a.webp")
    noise = np.random.default_rng(0).integers(0, 256, (33, 57, 4), np.uint8)
    for image, quality in ((noise, 101), (noise[..., :3], 101), (noise[..., :3], 60), (noise, 60)):
        cv2.imwrite(path, image, [cv2.IMWRITE_WEBP_QUALITY, quality])
        assert image_size((tmp_path / "a.webp").read_bytes()) == (57, 33)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\0" * 3, b"II*\0\xff\xff\xff\xff", b"GIF89a"]
)
def test_headers_that_say_nothing(data: bytes) -> None:
    assert image_size(data) is None
