"""Child processes of this package's own modules."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# `python -m` would put the current folder first on the module path, and with it whatever lies there.
_BOOT = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; sys.argv.pop(0); "
    "import runpy; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def child_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package with arguments, and no module of the current folder."""
    return [sys.executable, "-c", _BOOT, module, *arguments]


@dataclass(frozen=True)
class Outcome:
    """How a child ended that writes JSON lines.

    Attributes:
        status: its exit status, or less than 0: the signal that ended it.
        last: the last line that it wrote, {} if none.
        complaint: the last line on its standard error, or "".
    """

    status: int
    last: dict[str, Any]
    complaint: str


def follow_child(command: Sequence[str], progress: Callable[[float], None] | None = None) -> Outcome:
    """Run a child that writes its progress, {"done": 0..1}, and in the end its answer as JSON lines.

    Args:
        command: see `child_command`.
        progress: called with how much is done, 0..1.
    """
    last: dict[str, Any] = {}
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            for line in child.stdout or ():
                last = json.loads(line)
                if progress is not None and "done" in last:
                    progress(last["done"])
        finally:
            child.kill()  # of no effect if it ended by itself
            status = child.wait()
        errors.seek(0)
        said = errors.read().strip().splitlines()
    return Outcome(status, last, said[-1] if said else "")
