"""Names that are no text, and screens that cannot show them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.paths import CLIP
from veca_edge.encoding import ESCAPED, encoded, printable, visible
from veca_edge.errors import VecaError
from veca_edge.files import LineWriter
from veca_edge.model.checkpoint import default_checkpoint_path

ODD = os.fsdecode(b"o\xffd \xe8\x8b\xb9")  # a byte that is no UTF-8, and a character that cp1252 lacks


@pytest.mark.parametrize("text", ["plain", "Äpfel 苹果 🍏", ODD, "\ud800x"])
def test_whatever_is_escaped_is_json(text: str) -> None:
    line = encoded(json.dumps(text, ensure_ascii=False))
    assert json.loads(line) == text
    assert json.loads(json.dumps(text, ensure_ascii=False).encode("cp1252", ESCAPED).decode("cp1252")) == text
    assert str(VecaError(text)) == printable(text) == encoded(text).decode()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b.png", "a b.png"),
        ("苹果.png", "苹果.png"),
        ("a\nb", "a\\u000ab"),
        ("\x1b[2J", "\\u001b[2J"),
        ("\x9b1m", "\\u009b1m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x", "\\u2066x"),
        ("\udcff", "\\udcff"),
    ],
)
def test_names_cannot_steer_a_screen(name: str, shown: str) -> None:
    assert visible(name) == shown
    assert visible(shown) == shown


def test_a_log_holds_any_name(tmp_path: Path) -> None:
    with LineWriter(tmp_path / "log.jsonl") as log:
        log.write({"name": ODD})
    assert json.loads((tmp_path / "log.jsonl").read_bytes()) == {"name": ODD}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, default_model_file: Path) -> Path:
    """A folder whose name is no text, with files whose names are none."""
    folder = tmp_path_factory.mktemp("names") / ODD
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes text only")
    for name, source in (("pte", default_model_file), ("mp4", CLIP), ("pt", default_checkpoint_path())):
        shutil.copy(source, folder / f"{ODD}.{name}")
    return folder


OTHERS = [("inspect {}.pt --json", 0, "ascii"), ("inspect {}.pt --json", 0, "utf-8"), ("inspect {}.pt", 0, "ascii")]
CASES = [
    ("inspect {}.pt", 0),
    ("inspect {}.pte --json", 0),
    ("inspect {}.pt --json", 0),
    ("run {}.pte --source {}.mp4 --headless --frames 2 --json --log {}.jsonl --save {}.avi --cores 8", 0),
    ("run {}.none", 2),
    ("run {}.pte --source {}.none --headless", 2),
    ("run {}.pte --source {}.mp4 --headless --frames 2 --save none{}/a.mp4", 2),
    ("convert {}.none", 2),
    ("verify {}.pte {}.none", 2),
    ("simulate --trace {}.none", 2),
    ("match {}.none {}.none", 2),
    ("bench {}.none", 2),
    ("train {}.none", 2),
    ("fit-head {}.none", 2),
]


@pytest.mark.parametrize(
    ("command", "status", "encoding"), [*OTHERS, *((command, status, "cp1252") for command, status in CASES)]
)
def test_every_command_takes_any_name(folder: Path, encoding: str, command: str, status: int) -> None:
    words = [word.replace("{}", ODD) for word in command.split()]
    code = "from veca_edge.cli.main import entry; entry()"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)}
    done: Any = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, cwd=folder, env=environment, check=False
    )
    assert (done.returncode, b"internal" in done.stderr) == (status, False), done.stderr
    if "--json" in words:
        json.loads(done.stdout.decode("cp1252" if encoding == "cp1252" else "utf-8"))
    if status:
        assert len(done.stderr.splitlines()) == 1 or b"Usage" in done.stderr
