"""Child processes: the one way to run a module of this package in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Timer
from typing import Any

from veca_edge.errors import VecaError

# `python -m` would put the current folder first on the module path, and with it whatever lies there.
_BOOT = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; sys.argv.pop(0); "
    "import runpy; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


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
        VecaError: the child refused what it got, crashed, failed, or did not finish in time.
    """
    command = [sys.executable, "-c", _BOOT, module, str(path.resolve()), *arguments]
    last: dict[str, Any] = {}
    late = Event()
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)

        def stop() -> None:
            late.set()
            child.kill()

        timer = Timer(timeout or 0, stop)
        try:
            if timeout is not None:
                timer.start()
            for line in child.stdout or ():
                last = json.loads(line)
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


def _ending(status: int, timeout: float | None, said: list[str]) -> str:
    """Why a child gave no answer."""
    if timeout is not None:
        return f"running it does not finish within {timeout:g} s"
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
