"""Child processes: the one way to run a module of this package in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Timer
from typing import Any

from veca_edge.errors import VecaError

# Set for a child, and taken away by the code that a Python runs in it: where it is still there, the program that
# was started is no Python but an app, which must not start itself again.
STARTED = "VECA_EDGE_CHILD_STARTED"
# What interpreters are called: python, python3.13t, python_d.exe, pythonw.exe, pypy3, graalpy.
PYTHONS = re.compile(
    r"(python|pythonw|pypy|graalpy)[\d.]*(t|d|_d|td)?(-(intel64|32|64|dbg))?(\.exe)?", re.IGNORECASE
)

# `python -m` would put the current folder first on the module path, and with it whatever lies there.
_BOOT = (
    f"import os; os.environ.pop({STARTED!r}, None); "
    "import sys; sys.path[:] = [p for p in sys.path if p]; sys.argv.pop(0); "
    "import runpy; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def python() -> str | None:
    """The program that runs Python code; None inside an app, where `sys.executable` is the app or nothing.

    Apps: frozen ones (PyInstaller, cx_Freeze, py2exe), those that embed Python, and the apps of phones.
    """
    path = sys.executable
    if getattr(sys, "frozen", False) or STARTED in os.environ or not path:
        return None
    return path if PYTHONS.fullmatch(Path(path).name) and Path(path).is_file() else None


def run_child(
    module: str,
    path: Path,
    *arguments: str,
    progress: Callable[[float], None] = lambda _: None,
    timeout: float | None = None,
) -> dict[str, Any]:
    """Run a module of this package in a child process.

    Args:
        module: run as `__main__`, it calls `answer`.
        path: the file that the child works on; its first argument.
        arguments: those after it.
        progress: called with how much is done, 0..1.
        timeout: seconds after which the child is stopped; None for no limit.

    Returns:
        What the child's work returned.

    Raises:
        VecaError: the child refused what it got, crashed, failed, or did not finish in time; or this is an app,
            which has no Python to start.
    """
    program = python()
    if program is None:
        raise VecaError(f"{path}: this app cannot start Python for it: use the veca-edge command in a terminal")
    progress(0)  # the child's imports take seconds
    command = [program, "-c", _BOOT, module, str(path.resolve()), *arguments]
    last: dict[str, Any] = {}
    late = Event()
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        marked = {**os.environ, STARTED: "1"}
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, errors="replace", env=marked
        )

        def stop() -> None:
            late.set()
            child.kill()

        timer = Timer(timeout or 0, stop)
        try:
            if timeout is not None:
                timer.start()
            for line in child.stdout or ():
                last = _told(line) or last
                if "done" in last:
                    progress(last["done"])
            if not last.keys() & {"answer", "error"}:
                child.wait()  # for its last words
        finally:
            timer.cancel()
            child.kill()  # of no effect if it ended by itself
            status = child.wait()
        errors.seek(0)
        said = errors.read().strip().splitlines()
    if "answer" in last:
        return dict(last["answer"])
    if "error" in last:
        raise VecaError(last["error"])
    raise VecaError(f"{path}: {_ending(status, timeout if late.is_set() else None, said)}")


def _told(line: str) -> dict[str, Any]:
    """A line of `answer`; nothing for what another program prints."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _ending(status: int, timeout: float | None, said: list[str]) -> str:
    """Why a child gave no answer."""
    if timeout is not None:
        late = f"running it does not finish within {timeout:g} s"
        return f"{late}: either it hangs, or this computer is too slow or too busy for it"
    if status == -signal.SIGKILL:
        return "the process that ran it was killed: free some memory"
    if status < 0:
        return f"running it crashes the process (signal {-status})"
    return f"the process that ran it failed: {said[-1] if said else 'it gave no reason'}"


def answer(work: Callable[..., Mapping[str, Any]]) -> None:
    """The child's side of `run_child`: do the work, and write progress and answer as JSON lines.

    Args:
        work: takes the child's arguments as texts and `progress`, to be called with how much is done, 0..1.
    """
    with os.fdopen(os.dup(1), "w") as lines:
        os.dup2(2, 1)  # whatever else is printed is no line of the answer

        def write(**values: Any) -> None:
            print(json.dumps(values), file=lines, flush=True)

        try:
            write(answer=work(*sys.argv[1:], progress=lambda done: write(done=done)))
        except VecaError as error:
            write(error=str(error))
