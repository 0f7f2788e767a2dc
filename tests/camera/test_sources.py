"""What cannot be a source is refused in one line."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from tests.fakes import write_image
from veca_edge.camera.sources import open_source
from veca_edge.errors import VecaError


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
def test_locked_folder(tmp_path: Path, name: str, mode: int) -> None:
    (tmp_path / "locked").mkdir()
    write_image(tmp_path / "locked" / "a.png")
    (tmp_path / "locked").chmod(mode)
    with pytest.raises(VecaError, match="Permission denied"):
        open_source(str(tmp_path / name))
