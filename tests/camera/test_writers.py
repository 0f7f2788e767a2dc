from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from fakes import names, picture

from veca_edge.camera.sources import open_source
from veca_edge.camera.writers import JsonlWriter, VideoWriter, letterbox, save_png
from veca_edge.errors import StreamError, VecaError


def moving(count=20, height=48, width=64):
    for index in range(count):
        image = picture(20, height, width)
        image[:, index : index + 8] = (250, 30, 30)
        yield image


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".mkv", ".avi", ".MP4"])
def test_video_can_be_read_back(tmp_path, suffix):
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


def test_size_of_the_first_picture_and_odd_sizes(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10) as writer:
        writer.write(picture(50, 49, 63))
        writer.write(picture(50, 100, 100))
    assert writer.size == (63, 49)
    assert writer.frames == 2
    with open_source(str(tmp_path / "a.mp4")) as source:
        assert len(list(source)) == 2


def test_video_keeps_the_pace_of_a_camera(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 30) as writer:
        for time in (100.0, 100.1, 100.1, 100.105, 100.5):
            writer.write(picture(), time)
    assert writer.frames == 16


def test_video_survives_an_interruption(tmp_path):
    path = tmp_path / "a.mp4"

    def interrupted():
        with VideoWriter(path, 30) as writer:
            writer.write(picture())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with open_source(str(path)) as source:
        assert len(list(source)) == 1


def test_nothing_written_leaves_nothing(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 30), JsonlWriter(tmp_path / "a.jsonl"):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("writer", [JsonlWriter, lambda path: VideoWriter(path.with_suffix(".mp4"), 30)])
def test_bad_places(tmp_path, writer):
    with pytest.raises(VecaError, match="there is no folder"):
        writer(tmp_path / "missing" / "a")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(VecaError, match="not a regular file"):
        writer(tmp_path / "folder")
    assert names(tmp_path) == ["folder", "folder.mp4"]


def test_devices_are_not_replaced():
    with pytest.raises(VecaError, match="not a regular file"):
        JsonlWriter(os.devnull)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(VecaError, match="cannot write"):
        JsonlWriter(tmp_path / "a.jsonl")


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gif"])
def test_unknown_formats(tmp_path, name):
    with pytest.raises(VecaError, match="must end in"):
        VideoWriter(tmp_path / name, 30)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_bad_frame_rates(tmp_path, fps):
    with pytest.raises(VecaError, match="frame rate"):
        VideoWriter(tmp_path / "a.mp4", fps)
    assert names(tmp_path) == []


def test_link_is_followed(tmp_path):
    (tmp_path / "real.jsonl").write_text("old")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    with JsonlWriter(tmp_path / "link.jsonl") as writer:
        writer.write({"a": 1})
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").read_text() == '{"a": 1}\n'


def test_old_file_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    with JsonlWriter(path) as writer:
        writer.write({"label": "Äpfel 苹果"})
        assert path.read_text() == "old"
    assert json.loads(path.read_text(encoding="utf-8")) == {"label": "Äpfel 苹果"}


def test_log_refuses_what_is_not_a_number(tmp_path):
    with JsonlWriter(tmp_path / "a.jsonl") as writer:
        writer.write({"a": 1})
        with pytest.raises(StreamError, match="finite"):
            writer.write({"a": float("nan")})
    assert (tmp_path / "a.jsonl").read_text() == '{"a": 1}\n'


FULL_DISK = """
import resource, signal, sys
import numpy as np
from veca_edge.camera.writers import JsonlWriter, VideoWriter
from veca_edge.errors import StreamError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
random = np.random.default_rng(0)
try:
    with JsonlWriter("a.jsonl") if sys.argv[1] == "log" else VideoWriter("a.mp4", 30) as writer:
        for _ in range(60):
            writer.write({"a": "x" * 2000} if sys.argv[1] == "log"
                         else random.integers(0, 256, (120, 160, 3), np.uint8))
except StreamError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("kind", ["log", "video"])
def test_full_disk(tmp_path, kind):
    command = [sys.executable, "-c", FULL_DISK, kind]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert "writ" in done.stdout
    assert names(tmp_path) == []


def test_snapshot(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (10, 12, 3), np.uint8)
    save_png(tmp_path / "a.png", image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], image)
    with pytest.raises(VecaError, match="no folder"):
        save_png(tmp_path / "no" / "a.png", image)


def test_letterbox():
    boxed = letterbox(picture(200, 50, 100), (80, 80))
    assert boxed.shape == (80, 80, 3)
    assert (boxed[20:60] == 200).all()
    assert (boxed[:20] == 0).all()
