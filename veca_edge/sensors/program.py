"""Programs of the system that print what a sensor says, such as `pmset` and `vcgencmd`."""

from __future__ import annotations

import subprocess

TIMEOUT = 5.0  # seconds; a healthy one takes milliseconds


def printed_by(*command: str) -> str:
    """What a program prints on its standard output.

    Raises:
        OSError, subprocess.SubprocessError: it does not run, fails, or takes longer than TIMEOUT.
    """
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=True).stdout
