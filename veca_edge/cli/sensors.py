"""`veca-edge sensors`: what this device says of its battery, heat and power."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue

import click

from veca_edge.cli.progress import say
from veca_edge.errors import VecaError
from veca_edge.files import LineWriter
from veca_edge.sensors.monitor import Look, Monitor
from veca_edge.sensors.platforms import detect
from veca_edge.sensors.report import json_record, one_line, table_lines
from veca_edge.sensors.trace import state_record

EPILOG = """\b
Examples:
  veca-edge sensors                                 # a table: value, unit, where it comes from
  veca-edge sensors --json
  veca-edge sensors --watch --interval 2
  veca-edge sensors --record trace.jsonl            # until Ctrl-C; every line is a complete sample
  veca-edge sensors --watch --json --samples 60

\b
Unknown is an ordinary answer: servers and virtual machines have no sensors at all.
The exit status is 2 for bad usage, 1 if a recording cannot be written on, 130 after Ctrl-C, else 0.
"""
PATIENCE = 3.0  # seconds to wait for the first values
INTERRUPTED = 130


@click.command("sensors", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--watch", is_flag=True, help="Go on: a table that refreshes on a terminal, else a line per sample.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; with --watch one per line.")
@click.option("--record", type=click.Path(path_type=Path), metavar="FILE", help="Write one JSON line per sample.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=3600),
    default=1.0,
    show_default=True,
    help="Seconds between samples.",
)
@click.option("--samples", type=click.IntRange(min=1), help="Stop after so many, with --watch or --record.")
def command(watch: bool, as_json: bool, record: Path | None, interval: float, samples: int | None) -> None:
    """Show what this device offers of battery, heat and power, and where each value comes from."""
    if interval != interval:
        raise VecaError("--interval must be a number of seconds")
    going_on = watch or record is not None
    if samples is not None and not going_on:
        raise VecaError("--samples needs --watch or --record")
    warnings: SimpleQueue[str] = SimpleQueue()
    with ExitStack() as stack:
        writer = stack.enter_context(LineWriter(record)) if record is not None else None
        monitor = stack.enter_context(Monitor(detect(), min(interval, 1.0), notify=warnings.put))
        show = _display(watch or writer is None, watch, as_json)
        try:
            monitor.wait(PATIENCE)
            for look in _looks(monitor, interval, samples if going_on else 1):
                show.update(look, _drained(warnings))
                if writer is not None:
                    writer.write(state_record(look.state))
        except KeyboardInterrupt:
            click.get_current_context().exit(INTERRUPTED)
        finally:
            for warning in _drained(warnings):
                say(warning)
            if writer is not None:
                say(f"{writer.lines} samples in {writer.path}")


def _looks(monitor: Monitor, interval: float, count: int | None) -> Iterator[Look]:
    """So many looks at a steady pace, without end for None. After a sleep of the device it goes on from there."""
    due = time.monotonic()
    done = 0
    while True:
        yield monitor.look()
        done += 1
        if done == count:
            return
        due = max(due + interval, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


class _Display:
    """Shows nothing but warnings; the others show looks as well."""

    def update(self, look: Look, warnings: list[str]) -> None:
        for warning in warnings:
            say(warning)
        self.show(look)

    def show(self, look: Look) -> None:
        """Nothing."""


class _Json(_Display):
    def __init__(self, lines: bool) -> None:
        self._indent = None if lines else 2

    def show(self, look: Look) -> None:
        click.echo(json.dumps(json_record(look), ensure_ascii=False, indent=self._indent))


class _Table(_Display):
    def show(self, look: Look) -> None:
        click.echo("\n".join(table_lines(look)))


class _Lines(_Display):
    def __init__(self) -> None:
        self._start: float | None = None

    def show(self, look: Look) -> None:
        self._start = look.state.time if self._start is None else self._start
        click.echo(one_line(look.state, self._start))


class _LiveTable(_Display):
    """A table that stays in its place, cut to the terminal: what has scrolled away cannot be drawn over."""

    def __init__(self) -> None:
        self._height = 0

    def update(self, look: Look, warnings: list[str]) -> None:
        if self._height:
            click.echo(f"\x1b[{self._height}A\x1b[J", nl=False)
        super().update(look, warnings)

    def show(self, look: Look) -> None:
        columns, rows = shutil.get_terminal_size()
        lines = [line[: columns - 1] for line in table_lines(look)]
        if len(lines) >= rows:
            lines = [*lines[: max(1, rows - 2)], f"… {len(lines) - max(1, rows - 2)} more"]
        click.echo("\n".join(lines))
        self._height = len(lines)


def _display(shown: bool, watch: bool, as_json: bool) -> _Display:
    if not shown:
        return _Display()
    if as_json:
        return _Json(lines=watch)
    if not watch:
        return _Table()
    return _LiveTable() if sys.stdout.isatty() else _Lines()


def _drained(warnings: SimpleQueue[str]) -> list[str]:
    found: list[str] = []
    while True:
        try:
            found.append(warnings.get_nowait())
        except Empty:
            return found
