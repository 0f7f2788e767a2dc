"""Child processes of the tests."""

from __future__ import annotations

import signal


def heed_interrupts() -> None:
    """For `preexec_fn`: a shell's background jobs, and so the tests in one, are started deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
