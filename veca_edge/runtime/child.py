"""Child processes of this package's own modules."""

from __future__ import annotations

import sys

# `python -m` would put the current folder first on the module path, and with it whatever lies there.
_BOOT = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; sys.argv.pop(0); "
    "import runpy; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def child_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package with arguments, and no module of the current folder."""
    return [sys.executable, "-c", _BOOT, module, *arguments]
