"""The frame around all commands: one line for every failure, files and streams in order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.cli.children import heed_interrupts
from tests.paths import GOLDEN
from veca_edge.cli import main as module
from veca_edge.errors import StreamError, VecaError

GOLDEN = GOLDEN / "published-96.pt"
COMMAND = [sys.executable, "-m", "veca_edge.cli.main"]


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (VecaError("this is\nwrong"), 2, "veca-edge: this is wrong"),
        (StreamError("it went away"), 1, "veca-edge: it went away"),
        (MemoryError(), 1, "veca-edge: out of memory: use a smaller image size or model"),
        (OSError(28, "No space left on device"), 1, "veca-edge: No space left on device"),
        (OSError(5, "Input/output error", "a.pt"), 1, "veca-edge: a.pt: Input/output error"),
        (KeyboardInterrupt(), 130, "veca-edge: interrupted"),
        (TypeError("odd"), 1, "veca-edge: internal error: TypeError: odd (set VECA_EDGE_DEBUG=1 to see where)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_failure_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, line: str
) -> None:
    @click.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(module.LazyGroup, "get_command", lambda *_: fail)
    result = CliRunner().invoke(module.main, ["inspect"])
    assert result.exit_code == status
    assert result.output.strip() == line


def test_debugging_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fail() -> None:
        raise TypeError("odd")

    monkeypatch.setattr(module.LazyGroup, "get_command", lambda *_: fail)
    monkeypatch.setenv("VECA_EDGE_DEBUG", "1")
    assert isinstance(CliRunner().invoke(module.main, ["inspect"]).exception, TypeError)


def test_help_groups_the_commands() -> None:
    shown = CliRunner().invoke(module.main, ["--help"]).output
    places = [shown.index(f"\n{title}:\n") for title in ("Run", "Find", "Convert", "Measure", "Train")]
    assert places == sorted(places)
    for group, place, end in zip(module.GROUPS.values(), places, [*places[1:], len(shown)], strict=True):
        assert all(f"\n  {name} " in shown[place:end] for name in group)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("runn", "no such command 'runn'. Did you mean 'run'?"),
        ("zzzz", "no such command 'zzzz' (see `veca-edge --help`)"),
        ("--vers", "no such option '--vers'. Did you mean '--version'?"),
        ("--version=3", "option '--version' does not take a value"),
        ("verify", "missing argument 'MODEL' (see `veca-edge verify --help`)"),
        ("verify --jsn", "no such option '--jsn'. Did you mean '--json'?"),
        ("verify a b", "got unexpected extra argument (b) (see `veca-edge verify --help`)"),
        (
            "run --frames 0",
            "invalid value for '--frames': 0 is not in the range x>=1 (see `veca-edge run --help`)",
        ),
    ],
)
def test_every_misuse_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").touch()
    result = CliRunner().invoke(module.main, arguments.split(), prog_name="veca-edge")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"veca-edge: {line}\n")


@pytest.mark.parametrize("command", module.COMMANDS)
def test_helps_have_examples_and_one_word_for_numbers(command: str) -> None:
    shown = CliRunner().invoke(module.main, [command, "--help"]).output
    assert f"Examples:\n    veca-edge {command}" in shown
    assert not re.search(r"^  (-\w, )?--[\w-]+ \S*(INTEGER|FLOAT|TEXT|LIST|RANGE)", shown, re.MULTILINE)


@pytest.mark.parametrize("debug", ["", "1"])
def test_native_code_is_not_heard(debug: str) -> None:
    """Only while the cause of an error is searched for."""
    code = (
        "import os, sys, veca_edge.cli.main as m; sys.argv[1:] = ['--version']; "
        "m.main = lambda **_: (os.write(2, b'[native]'), print('ours', file=sys.stderr)); m.entry()"
    )
    environment = {**os.environ, "VECA_EDGE_DEBUG": debug}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stderr.split() == (["[native]ours"] if debug else ["ours"])


def test_the_package_is_a_command_too() -> None:
    command = [sys.executable, "-m", "veca_edge", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith(
        "veca-edge, version"
    )


@pytest.mark.skipif(os.name == "nt", reason="descriptors are closed by a POSIX shell")
@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_do_no_harm(default_model_file: Path, tmp_path: Path, closed: str) -> None:
    from veca_edge.photos.samples import sample_images
    from veca_edge.playback.writers import save_png

    save_png(tmp_path / "photo.png", sample_images()[0])
    log = tmp_path / "log.jsonl"
    run = f"run '{default_model_file}' --headless --source '{tmp_path}/photo.png' --log '{log}'"
    command = f"'{sys.executable}' -m veca_edge.cli.main {run} {closed}"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
    assert len(log.read_text().splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    ("arguments", "full", "status"),
    [
        *(("--version", 1, 1), ("--help", 1, 1), ("sensors", 1, 1), ("sensors --help", 1, 1)),
        *(("inspect missing", 1, 2), ("inspect missing", 2, 2), ("--no-such", 2, 2), ("sensors", 2, 0)),
    ],
)
def test_output_that_does_not_fit_is_one_line(arguments: str, full: int, status: int) -> None:
    """Also where Python keeps what is written until its end."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as device:
        out, err = (device if number == full else subprocess.PIPE for number in (1, 2))
        command = [*COMMAND, *arguments.split()]
        done = subprocess.run(command, stdout=out, stderr=err, text=True, check=False, env=environment)
    assert done.returncode == status
    if full == 1:
        end = "No space left on device" if status == 1 else "check the path"
        assert re.fullmatch(f"veca-edge: .*{end}\n", done.stderr)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_conversion_leaves_nothing(tmp_path: Path, sent: signal.Signals, status: int) -> None:
    output = tmp_path / "model.pte"
    output.write_bytes(b"what was there before")
    command = [*COMMAND, "convert", str(GOLDEN), "--cores", "8", "-o", str(output)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
    assert child.stderr is not None
    for line in child.stderr:
        if "assembling" in line:  # verification begins
            break
    time.sleep(0.3)
    child.send_signal(sent)
    assert child.wait(30) == status
    assert list(tmp_path.iterdir()) == [output]
    assert output.read_bytes() == b"what was there before"


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_outputs_never_replace_inputs(default_model_file: Path, tmp_path: Path) -> None:
    from importlib import resources

    clip, model, checkpoint = tmp_path / "clip.mp4", tmp_path / "model.pte", tmp_path / "c.pt"
    clip.write_bytes((resources.files("veca_edge") / "assets" / "clip.mp4").read_bytes())
    model.write_bytes(default_model_file.read_bytes())
    checkpoint.write_bytes(GOLDEN.read_bytes())
    before = {path: path.read_bytes() for path in (clip, model, checkpoint)}
    run = ("run", model, "--headless", "--source", clip, "--frames", 2)
    for command in (
        ("convert", checkpoint, "-o", checkpoint),
        (*run, "--save", clip),
        (*run, "--log", model),
        (*run, "--log", clip),
        (*run, "--save", tmp_path / "x.mp4", "--log", tmp_path / "x.mp4"),
    ):
        result = _run(*command)
        assert result.returncode == 2, command
        assert len(result.stderr.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("command", ["inspect", "run", "verify", "convert"])
def test_names_that_are_too_long_are_one_line(command: str) -> None:
    result = _run(command, "x" * 300)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
def test_pipes_are_not_replaced_by_files(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = _run("convert", GOLDEN, "-o", pipe)
    assert result.returncode == 2
    assert pipe.is_fifo()
