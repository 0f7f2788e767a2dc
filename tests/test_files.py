from __future__ import annotations

import io
import json
import os
import socket
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import names
from veca_edge.calibration.benchmark.clips import digest_of
from veca_edge.calibration.simulation.tables import read_tables
from veca_edge.converters.recipes import READY
from veca_edge.errors import StreamError, VecaError
from veca_edge.files import (
    LineWriter,
    cache_folder,
    check_checkpoint_target,
    check_package_target,
    check_target,
    existing,
    expanded,
    is_folder,
    is_package,
    is_regular,
    is_there,
    photo_folder,
    regular_file,
    replacing,
    same_file,
    write_whole,
)
from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint, write_checkpoint
from veca_edge.playback.writers import PendingFile, save_png
from veca_edge.plotting import pyplot, save_figure
from veca_edge.sensors.trace import read_trace
from veca_edge.training.settings import load_recipe
from veca_edge.training.state import RunLog


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as part:
            part.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "new"


@pytest.mark.parametrize("ask", [is_there, is_regular, is_folder, is_package])
def test_a_question_that_has_no_answer_is_an_error(ask: Callable[[Path], bool], tmp_path: Path) -> None:
    """From Python 3.14 on Path's own methods say no."""
    assert not ask(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (("x" * 300, "name too long"), ("loop", "symbolic links"), ("nu\0ll", "null")):
        with pytest.raises(VecaError, match=rf"^cannot read .*{reason}"):
            ask(tmp_path / name)


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VECA_EDGE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    for base, expected in (("/some", Path("/some")), ("relative", tmp_path / ".cache"), ("", tmp_path / ".cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", base)
        assert cache_folder() == expected / "veca-edge"
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    assert cache_folder() is None
    monkeypatch.setattr(Path, "home", lambda: Path("~").expanduser())
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as for a user whom the system does not know
    assert cache_folder() is None


@pytest.mark.skipif(sys.platform == "win32", reason="needs FIFOs and links")
@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "fifo", os.devnull, "missing/a", "file/a", "loop", "loop/a", "~nobody-of-this-name/a", "a\0b"),
        *("a" * 300, "ä" * 200, "a" * 300 + "/a", "/".join(["a" * 100] * 60)),
    ],
    ids=lambda name: repr(name)[:20],
)
def test_odd_targets_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("loop").symlink_to("loop")
    os.mkfifo("fifo")
    for function in (check_target, PendingFile, LineWriter):
        with pytest.raises(VecaError) as caught:
            function(name)
        assert caught.value.exit_status == 2
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 320
    assert names(tmp_path) == ["fifo", "file", "loop"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs FIFOs and links")
def test_only_regular_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("link").symlink_to("file")
    Path("dangling").symlink_to("nothing")
    Path("to-fifo").symlink_to("fifo")
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert [regular_file(name) for name in ("file", "link", "~/file")] == [
            Path("file"),
            Path("link"),
            tmp_path / "file",
        ]
        refused = {
            "fifo": "a pipe",
            "to-fifo": "a pipe",
            "socket": "a socket",
            ".": "a folder",
            os.devnull: "a device",
        }
        missing = dict.fromkeys(("none", "dangling", "file/a"), "no such file: check the path")
        odd = {"a\0b": "null", "a" * 300: "too long", "~nobody-of-this-name/a": "no home folder"}
        for name, reason in {**refused, **missing, **odd}.items():
            with pytest.raises(VecaError, match=reason):
                regular_file(name)


@pytest.mark.parametrize("check", [regular_file, check_target, expanded, existing, photo_folder])
def test_what_is_no_path_is_refused_in_a_line(check: Callable[[Any], object]) -> None:
    for value in (3, None, b"photo.jpg"):
        with pytest.raises(VecaError, match="is no path: give the name of a file or folder as text"):
            check(value)


@pytest.mark.skipif(sys.platform == "win32", reason="needs FIFOs and links")
def test_what_is_no_regular_file_is_neither_replaced_nor_waited_for(tmp_path: Path) -> None:
    fifo, real, link = (tmp_path / name for name in ("fifo.json", "real.json", "link.json"))
    os.mkfifo(fifo)
    real.write_text("old")
    link.symlink_to(real)
    recipe, checkpoint = READY["int8"], read_checkpoint(default_checkpoint_path())
    for path in (fifo, Path(os.devnull), tmp_path):
        for write in (
            lambda path: write_whole(path, b"new"),
            recipe.write,
            lambda path: write_checkpoint(checkpoint, path),
            lambda path: save_figure(pyplot().figure(), path),
            lambda path: save_png(path, np.zeros((4, 4, 3), np.uint8)),
            lambda path: RunLog(path).add({"step": 1}),
            lambda path: RunLog(path).rewind(0),
        ):
            with pytest.raises(VecaError, match="not a regular file"):
                write(path)
        for read in (type(recipe).read, read_trace, read_tables, lambda path: load_recipe(str(path)), digest_of):
            with pytest.raises(VecaError, match="not a regular file"):
                read(path)
    write_whole(link, b"new")
    assert (link.is_symlink(), real.read_text(), names(tmp_path)) == (
        True,
        "new",
        [fifo.name, link.name, real.name],
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_checked_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("real")
    real = tmp_path.resolve() / "real"
    assert [check_target(name) for name in ("~/link", "link", "real")] == [real] * 3
    assert names(tmp_path) == ["link"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("file", "file", True),
        ("file", "sub/../file", True),
        ("file", "link", True),
        ("file", "hard", True),
        ("file", "~/file", True),
        ("new", "sub/../new", True),
        ("new", "to-new", True),
        ("file", "other", False),
        ("file", "new", False),
        ("file", "loop", False),
        ("file", "~nobody-of-this-name/a", False),
        ("file", "a" * 300, False),
        ("file", "a\0b", False),
        ("file", "rtsp://camera/stream", False),
    ],
)
def test_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, a: str, b: str, same: bool) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "other").touch()
    (tmp_path / "hard").hardlink_to(tmp_path / "file")
    for name, target in (("link", "file"), ("to-new", "new"), ("loop", "loop")):
        (tmp_path / name).symlink_to(target)
    assert same_file(Path(a), Path(b)) is same
    assert same_file(Path(b), Path(a)) is same


@pytest.mark.parametrize("name", ["a" * 240, "a." + "b" * 238, "a" * 251 + ".mp4", "ä" * 120])
def test_long_names(tmp_path: Path, name: str) -> None:
    with LineWriter(tmp_path / name) as writer:
        writer.write({"a": 1})
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("check", [check_target, check_package_target, LineWriter, PendingFile])
def test_a_read_only_folder_is_noticed_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(VecaError, match=r"cannot write .*a\.mlpackage: .* is read-only: choose another folder"):
        check(tmp_path / "a.mlpackage")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs names of open pipes")
def test_standard_output_is_no_target_where_it_is_a_pipe() -> None:
    for pipe in os.pipe():
        with pytest.raises(VecaError, match="not a regular file"):
            check_target(f"/proc/self/fd/{pipe}")
        os.close(pipe)


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_text("old")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    with LineWriter(tmp_path / "link.jsonl") as writer:
        writer.write({"a": 1})
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").read_text() == '{"a": 1}\n'


def test_an_old_log_stays_until_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old and longer than the new line")
    with LineWriter(path) as writer:
        assert path.read_text().startswith("old")
        writer.write({"label": "Äpfel 苹果"})
        assert json.loads(path.read_text(encoding="utf-8")) == {"label": "Äpfel 苹果"}
    path.write_text("old")
    with LineWriter(path):
        pass
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("content", "replaced"),
    [
        (b"", True),
        (b'{"time": 1, "thermal": null}\n{"cut', True),
        (b'{"time": 1}\n', False),
        (b'["thermal"]\n', False),
        (b"\xff\xd8\xff\xe0 a photo", False),
        (b"[" * 100_000, False),
    ],
)
def test_only_a_file_of_the_same_kind_is_replaced(tmp_path: Path, content: bytes, replaced: bool) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    if replaced:
        with LineWriter(path, mark="thermal") as writer:
            writer.write({"thermal": "fair"})
        assert path.read_text() == '{"thermal": "fair"}\n'
        return
    with pytest.raises(VecaError, match="a file of another kind has this name"):
        LineWriter(path, mark="thermal")
    assert path.read_bytes() == content


def test_log_refuses_what_is_not_a_number(tmp_path: Path) -> None:
    with LineWriter(tmp_path / "a.jsonl") as writer:
        writer.write({"a": 1})
        with pytest.raises(StreamError, match="finite"):
            writer.write({"a": float("nan")})
    assert (tmp_path / "a.jsonl").read_text() == '{"a": 1}\n'


def test_an_interrupted_write_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        """Writes half, as a signal or a full disk would have it."""

        def __init__(self, file: Any, error: KeyboardInterrupt | OSError | None) -> None:
            self._file, self._error = file, error

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def write(self, data: bytes) -> int | None:
            self._file.write(data[: len(data) // 2])
            if self._error:
                raise self._error
            return len(data) // 2

    for error, raised in (
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(28, "full"), StreamError),
        (None, StreamError),
    ):
        path = tmp_path / "a.jsonl"
        writer = LineWriter(path)
        writer.write({"n": 0})
        monkeypatch.setattr(writer, "_file", Interrupted(writer._file, error))
        with pytest.raises(raised):
            writer.write({"n": 1})
        assert path.read_text() == '{"n": 0}\n'
        with pytest.raises(StreamError, match="closed"):
            writer.write({"n": 1})


def archive(name: str) -> bytes:
    """A zip archive of one empty file."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        made.writestr(name, b"")
    return written.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "taken"),
    [
        ("mine.pt", b"", True),
        ("mine.pt", b"PK\3\4 an archive", True),
        ("mine.pt", b"\x80\x02 a pickle", True),
        ("mine.pt", b"\xff\xd8 a photo", False),
        ("mine.pt", b"text", False),
        ("thesis.docx", b"PK\3\4 a text", False),
        ("vectors.npz", archive("a.npy"), False),
        ("mine.best", archive("mine/data.pkl"), True),
    ],
)
def test_a_checkpoint_replaces_nothing_but_a_checkpoint(
    tmp_path: Path, name: str, content: bytes, taken: bool
) -> None:
    path = tmp_path / name
    assert check_checkpoint_target(path) == path
    path.write_bytes(content)
    if taken:
        assert check_checkpoint_target(path) == path
    else:
        with pytest.raises(VecaError, match="is there and no checkpoint"):
            check_checkpoint_target(path)
    assert path.read_bytes() == content
