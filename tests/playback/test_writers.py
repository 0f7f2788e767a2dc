from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.fakes import names, picture
from tests.known import known
from veca_edge.arrays import Image
from veca_edge.camera.sources import open_source
from veca_edge.errors import StreamError, VecaError
from veca_edge.files import LineWriter
from veca_edge.playback.writers import PendingFile, VideoWriter, letterbox, save_png, video_size


def moving(count: int = 20, height: int = 48, width: int = 64) -> Iterator[Image]:
    for index in range(count):
        image = picture(20, height, width)
        image[:, index : index + 8] = (250, 30, 30)
        yield image


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".mkv", ".avi", ".MP4"])
def test_video_can_be_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with VideoWriter(path, 25, (64, 48)) as writer:
        for image in moving():
            writer.write(image)
        assert not path.exists()  # not before it is complete
    with open_source(str(path)) as source:
        frames = list(source)
        assert source.fps == pytest.approx(25, abs=0.1)
    assert len(frames) == 20
    red, _, blue = frames[10].image[24, 14].astype(int)
    assert red > blue + 100
    assert names(tmp_path) == [path.name]


def test_size_of_the_first_picture_and_odd_sizes(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10) as writer:
        writer.write(picture(50, 49, 63))  # below the smallest size: doubled
        writer.write(picture(50, 100, 100))
    assert writer.size == (126, 98)
    assert writer.frames == 2
    with open_source(str(tmp_path / "a.mp4")) as source:
        assert len(list(source)) == 2


@pytest.mark.parametrize(
    ("size", "saved"),
    [
        ((640, 360), (640, 360)),
        ((4096, 2160), (4096, 2160)),
        ((1, 1), (64, 64)),
        ((30, 20), (120, 80)),
        ((100, 1), (4000, 64)),
        ((30000, 1), (4096, 64)),
        ((3, 20000), (64, 4096)),
        ((8000, 6000), (4096, 3072)),
    ],
)
def test_saved_size(size: tuple[Any, ...], saved: tuple[Any, ...]) -> None:
    assert video_size(*size) == saved


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (30000, 1), (3, 20000), (65, 67)])
def test_small_and_long_pictures_can_be_saved(tmp_path: Path, width: int, height: int, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with VideoWriter(path, 10) as writer:
        for _ in range(3):
            writer.write(picture(200, height, width))
    with open_source(str(path)) as source:
        images = [frame.image for frame in source]
    saved = video_size(width, height)
    assert [image.shape for image in images] == [(saved[1] // 2 * 2, saved[0] // 2 * 2, 3)] * 3
    assert images[0].max() > 150  # the picture is there


def test_video_keeps_the_pace_of_a_camera(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 30) as writer:
        for time in (100.0, 100.1, 100.1, 100.105, 100.5):
            writer.write(picture(), time)
    assert writer.frames == 16


@pytest.mark.parametrize(
    ("times", "frames"),
    [
        ([0, 0.033, 0.067, 0.1, 0.133], 5),  # rounded to milliseconds
        ([0, 0.1, 0.1, 0.2], 7),
        ([0, 3600.0], 302),  # a pause of an hour
        ([50.0, 50.1, 0.0, 0.1], 8),  # starts over
    ],
)
def test_video_keeps_the_pace_of_an_uneven_film(tmp_path: Path, times: list[float], frames: int) -> None:
    with VideoWriter(tmp_path / "a.avi", 30) as writer:
        for time in times:
            writer.write(picture(), time)
    assert writer.frames == frames


def test_video_survives_an_interruption(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"

    def interrupted() -> None:
        with VideoWriter(path, 30) as writer:
            writer.write(picture())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with open_source(str(path)) as source:
        assert len(list(source)) == 1


def test_nothing_written_leaves_nothing(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 30), LineWriter(tmp_path / "a.jsonl"):
        pass
    assert names(tmp_path) == []


def test_leftovers_of_a_killed_run_are_not_in_the_way(tmp_path: Path) -> None:
    killed, again = PendingFile(tmp_path / "a.mp4"), PendingFile(tmp_path / "a.mp4")
    assert killed.path != again.path
    again.keep()
    assert names(tmp_path) == sorted(["a.mp4", killed.path.name])


def test_cleaning_up_keeps_the_first_error(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = PendingFile(folder / "a")
    file.path.unlink()
    file.path.mkdir()  # can be neither unlinked nor put in the place of a file
    file.target.touch()
    with pytest.raises(StreamError, match="cannot write"):
        file.keep()


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gif"])
def test_unknown_formats(tmp_path: Path, name: str) -> None:
    with pytest.raises(VecaError, match="must end in"):
        VideoWriter(tmp_path / name, 30)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_bad_frame_rates(tmp_path: Path, fps: float) -> None:
    with pytest.raises(VecaError, match="frame rate"):
        VideoWriter(tmp_path / "a.mp4", fps)
    assert names(tmp_path) == []


FULL_DISK = """
import resource, signal, sys
import numpy as np
from veca_edge.files import LineWriter
from veca_edge.playback.writers import VideoWriter
from veca_edge.errors import StreamError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
random = np.random.default_rng(0)
try:
    with LineWriter("a.jsonl") if sys.argv[1] == "log" else VideoWriter("a." + sys.argv[1], 30) as writer:
        for _ in range(60):
            writer.write({"a": "x" * 2000} if sys.argv[1] == "log"
                         else random.integers(0, 256, (120, 160, 3), np.uint8))
except StreamError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("kind", ["log", "mp4", "mov", "avi", "mkv", "webm"])
def test_full_disk(tmp_path: Path, kind: str) -> None:
    old = tmp_path / f"a.{kind}"
    if kind != "log":
        old.write_bytes(b"what was there before")
    command = [sys.executable, "-c", FULL_DISK, kind]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr  # OpenCV remarks on the codec in .webm
    assert len(done.stdout.splitlines()) == 1
    assert "writ" in done.stdout
    if kind == "log":  # what fitted is kept
        lines = (tmp_path / "a.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == [{"a": "x" * 2000}] * 14
        assert "it holds the 14 lines before" in done.stdout
    else:  # an .mp4 or .mov without its end cannot be played
        assert old.read_bytes() == b"what was there before"
        parts = [name for name in names(tmp_path) if ".part-" in name]
        assert len(parts) == (kind not in ("mp4", "mov"))
        assert all(name in done.stdout for name in parts)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_disk_that_is_full_from_the_start_is_not_taken_for_a_missing_encoder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK.replace("30_000", "0"), "mp4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert re.fullmatch(r"cannot write .*a\.mp4: .*\n", done.stdout), done.stderr
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="kills")
def test_a_killed_run_leaves_what_can_be_used(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 60
    (video,) = tmp_path.glob("a.part-*.mkv")
    with open_source(video) as source:
        assert len(list(source)) > 20


KILLED = """
import os, signal
import numpy as np
from veca_edge.files import LineWriter
from veca_edge.playback.writers import VideoWriter
random = np.random.default_rng(0)
log, video = LineWriter("a.jsonl"), VideoWriter("a.mkv", 30)
for number in range(60):
    log.write({"number": number})
    video.write(random.integers(0, 256, (120, 160, 3), np.uint8))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_snapshot(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (10, 12, 3), np.uint8)
    save_png(tmp_path / "a.png", image)
    np.testing.assert_array_equal(known(cv2.imread(str(tmp_path / "a.png")))[..., ::-1], image)
    with pytest.raises(VecaError, match="no folder"):
        save_png(tmp_path / "no" / "a.png", image)


def test_letterbox() -> None:
    boxed = letterbox(picture(200, 50, 100), (80, 80))
    assert boxed.shape == (80, 80, 3)
    assert (boxed[20:60] == 200).all()
    assert (boxed[:20] == 0).all()
