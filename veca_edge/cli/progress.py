"""Stages of long work on a terminal: what is being done, how far it is, how long it took, and what comes next."""

from __future__ import annotations

import sys
from threading import Lock, Timer
from time import perf_counter

import click

REMIND = 10.0  # seconds: the longest silence where nobody watches a terminal


class Stages:
    """Shows each stage on its own line of standard error.

    Where someone is watching a figure moves; elsewhere, such as in the log of a build, a line comes every 10
    seconds, whether or not the work reports anything meanwhile.
    """

    def __init__(self, remind: float = REMIND) -> None:
        self._watched = sys.stderr.isatty()
        self._lock, self._timer, self._remind = Lock(), Timer(0, lambda: None), remind
        self._stage, self._done, self._start = "", 0.0, 0.0
        context = click.get_current_context(silent=True)
        if context is not None:  # a command that fails in the midst of a stage
            context.call_on_close(self._timer_off)

    def __call__(self, stage: str, done: float) -> None:
        """Report that `done` (0..1) of a stage is done."""
        with self._lock:
            if stage != self._stage:
                self._stage, self._start = stage, perf_counter()
                self._arm()
            self._done = done
            if done >= 1:
                self._timer.cancel()
                clear = "\r" if self._watched else ""
                click.echo(f"{clear}  {stage:<18} {perf_counter() - self._start:6.1f} s", err=True)
                self._stage = ""
            elif self._watched:
                click.echo(f"\r  {stage:<18} {100 * done:5.0f} %", err=True, nl=False)

    def _timer_off(self) -> None:
        with self._lock:
            self._stage = ""
            self._timer.cancel()

    def _arm(self) -> None:
        self._timer.cancel()
        if not self._watched:
            self._timer = Timer(self._remind, self._tell)
            self._timer.daemon = True
            self._timer.start()

    def _tell(self) -> None:
        with self._lock:
            if self._stage:
                seconds = perf_counter() - self._start
                click.echo(f"  {self._stage:<18} {100 * self._done:5.0f} % after {seconds:.0f} s", err=True)
                self._arm()


def say(message: str) -> None:
    """A line beside the work, on standard error."""
    clear = "\r" if sys.stderr.isatty() else ""
    click.echo(f"{clear}veca-edge: {message}", err=True)


def next_step(text: str) -> None:
    """The command that most people want after this one, on standard error."""
    click.echo(f"next: {text}", err=True)
