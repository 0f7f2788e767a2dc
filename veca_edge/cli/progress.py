"""Stages of long work on a terminal: what is being done, how far it is, how long it took, and what comes next."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from shlex import join

import click

from veca_edge.encoding import visible
from veca_edge.reminder import INTERVAL, Reminder


class Stages:
    """Shows each stage on its own line of standard error.

    Where someone is watching a figure moves; elsewhere, such as in the log of a build, a line comes every 10
    seconds, whether or not the work reports anything meanwhile.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._watched = sys.stderr.isatty()
        self._reminder = Reminder(remind, None if self._watched else interval)
        context = click.get_current_context(silent=True)
        if context is not None:  # a command that fails in the midst of a stage
            context.call_on_close(self._reminder.end)

    def __call__(self, stage: str, done: float) -> None:
        """Report that `done` (0..1) of a stage is done."""
        self._reminder(stage, done)
        if done >= 1:
            clear = "\r" if self._watched else ""
            click.echo(f"{clear}  {stage:<18} {self._reminder.seconds:6.1f} s", err=True)
            self._reminder.said()
        elif self._watched:
            click.echo(f"\r  {stage:<18} {100 * done:5.0f} %", err=True, nl=False)


def remind(stage: str, done: float, seconds: float) -> None:
    """A line of a `Reminder`, on standard error."""
    click.echo(f"  {stage:<18} {100 * done:5.0f} % after {seconds:.0f} s", err=True)


def say(message: str) -> None:
    """A line beside the work, on standard error."""
    clear = "\r" if sys.stderr.isatty() else ""
    click.echo(f"{clear}veca-edge: {visible(message)}", err=True)


def echo_lines(lines: Iterable[str]) -> None:
    """Lines for people on standard output. Names of files and labels in them do not steer the terminal."""
    click.echo("\n".join(map(visible, lines)))


def command_line(*words: object) -> str:
    """A command of veca-edge to copy, quoted for a shell; None is left out."""
    return join(["veca-edge", *(str(word) for word in words if word is not None)])


def next_step(text: str) -> None:
    """The command that most people want after this one, on standard error."""
    click.echo(f"next: {visible(text)}", err=True)
