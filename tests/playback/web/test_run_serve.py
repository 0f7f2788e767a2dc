"""`veca-edge run --serve` as a process."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import Signals
from typing import Any

import pytest
from click.testing import CliRunner

from tests.fakes import RUN_SCRIPT
from tests.paths import CLIP, GOLDEN
from veca_edge.cli.main import main

MODEL = str(GOLDEN / "made-by-0.2.0.pte")  # is there, and that is all


@contextmanager
def run(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str, int, str]]:
    """A run with a stand-in for the model: the process, and its page's host, port and token."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_SCRIPT, *arguments],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        match = re.fullmatch(r"veca-edge: watch at http://([^/]+):(\d+)/(#\S+)?\n", line)
        assert match, line + process.stderr.read()
        yield process, match[1], int(match[2]), (match[3] or "")[1:]
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def ask(port: int, path: str, wishes: object = None, token: str = "") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"X-Veca-Edge": "1", "Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    body = None if wishes is None else json.dumps(wishes)
    connection.request("GET" if wishes is None else "POST", path, body, headers)
    answer = connection.getresponse()
    told = answer.status, answer.read()
    connection.close()
    return told


def state(port: int, until: str, seconds: float = 20.0) -> dict[str, Any]:
    """The state as soon as an expression of `s` is true."""
    deadline = time.monotonic() + seconds
    while True:
        told: dict[str, Any] = json.loads(ask(port, "/state")[1])
        if eval(until, {"s": told}):
            return told
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_watch_steer_and_stop(tmp_path: Path, number: Signals, status: int) -> None:
    arguments = ("--serve", "0", "--loop", "--cores", "64", "--log", "o.jsonl", "--save", "o.mp4", "--json")
    with run(tmp_path, *arguments) as (process, host, port, token):
        assert (host, token) == ("127.0.0.1", "")
        assert state(port, "s['phase'] == 'running' and s['now']")["run"]["model"] == "fake"
        first = ask(port, "/frame?after=-1")
        assert first[0] == 200
        assert first[1].startswith(b"\xff\xd8\xff")
        assert ask(port, "/control", {"cores": 16, "view": "plain"})[0] == 204
        state(port, "s['now']['cores'] == 16 and s['now']['chosen']['view'] == 'plain'")
        assert ask(port, "/control", {"paused": True})[0] == 204
        index = state(port, "s['now']['chosen']['paused']")["now"]["index"]
        time.sleep(0.3)
        assert state(port, "True")["now"]["index"] == index
        assert ask(port, "/control", {"paused": False})[0] == 204
        state(port, f"s['now']['index'] > {index}")
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (status, "")
        summary = json.loads(out)
        assert summary["stopped"] == number.name
        assert {entry["cores"] for entry in summary["latency_ms"]} == {16, 64}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.jsonl", "o.mp4"]
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == summary["frames"]


def test_the_end_of_a_clip_is_told_and_the_process_ends(tmp_path: Path) -> None:
    with run(tmp_path, "--serve", "0", "--frames", "20") as (process, _, port, _):
        told: dict[str, Any] = {"version": -1, "phase": ""}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while told["phase"] != "ended":
            connection.request("GET", f"/state?after={told['version']}", headers={"X-Veca-Edge": "1"})
            told = json.loads(connection.getresponse().read())
        connection.close()
        assert (told["summary"]["frames"], told["summary"]["stopped"]) == (20, "frames")
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, "")
        assert out.startswith("20 frames in ")


def test_tokens(tmp_path: Path) -> None:
    with run(tmp_path, "--serve", "0.0.0.0:0", "--loop") as (_, _, port, token):
        assert re.fullmatch("[0-9a-f]{24}", token)
        assert ask(port, "/state")[0] == 401
        assert ask(port, "/state", token=token)[0] == 200
    environment = {"VECA_EDGE_TOKEN": "from-the-environment"}
    with run(tmp_path, "--serve", "0", "--loop", **environment) as (_, host, port, token):
        assert (host, token) == ("127.0.0.1", "from-the-environment")
        assert ask(port, "/state")[0] == 401
        assert ask(port, "/state", token=token)[0] == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--serve", "80:80:80"), "use a port or HOST:PORT"),
        (("--serve", "0", "--token", "short"), "use 16 to 128 of the characters"),
        (("--token", "long-enough-to-be-one"), "--token works with --serve only"),
        (("--serve", "nothing.invalid:1"), "no host with this name"),
    ],
)
def test_bad_usage_is_one_line(arguments: tuple[Any, ...], message: str) -> None:
    done = CliRunner().invoke(main, ["run", MODEL, "--source", str(CLIP), "--headless", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["run", MODEL, "--source", str(CLIP), "--serve", str(port)])
    assert done.exit_code == 2
    assert done.stderr == f"veca-edge: cannot listen on 127.0.0.1:{port}: it is in use: choose another port\n"


def test_a_token_in_the_environment_is_no_error_without_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECA_EDGE_TOKEN", "long-enough-to-be-one")
    done = CliRunner().invoke(main, ["run", "missing.pte", "--source", str(CLIP), "--headless"])
    assert "--token" not in done.stderr
