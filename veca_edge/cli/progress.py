"""Stages of long work on a terminal: what is being done, how far it is, how long it took."""

from __future__ import annotations

import sys
from time import perf_counter

import click


class Stages:
    """Shows each stage on its own line of standard error; a moving figure only where someone is watching."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._stage = ""
        self._start = 0.0

    def __call__(self, stage: str, done: float) -> None:
        """Report that `done` (0..1) of a stage is done."""
        if stage != self._stage:
            self._stage, self._start = stage, perf_counter()
        seconds = perf_counter() - self._start
        if done >= 1:
            clear = "\r" if self._watched else ""
            click.echo(f"{clear}  {stage:<18} {seconds:6.1f} s", err=True)
            self._stage = ""
        elif self._watched:
            click.echo(f"\r  {stage:<18} {100 * done:5.0f} %", err=True, nl=False)


def say(message: str) -> None:
    """A line beside the work, on standard error."""
    clear = "\r" if sys.stderr.isatty() else ""
    click.echo(f"{clear}veca-edge: {message}", err=True)
