"""`veca-edge sensors`: what this device says of its battery, heat and power."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import click

from veca_edge.cli.options import Count, Number, path_option
from veca_edge.cli.progress import say
from veca_edge.errors import VecaError
from veca_edge.files import LineWriter
from veca_edge.requests import given_options
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
The exit status is 2 for bad usage, 1 if a recording cannot be continued, 130 after Ctrl-C, else 0.
"""
PATIENCE = 3.0  # seconds to wait for the first values
INTERRUPTED = 130


@dataclass(frozen=True)
class SensorsRequest:
    """What to show of the sensors, and for how long.

    Attributes:
        watch: keep showing samples.
        as_json: show JSON instead of tables and lines.
        record: write samples to this file.
        interval: seconds between samples, 0.1 to 3600.
        samples: with `watch` or `record`, stop after so many; None for no end.

    Raises:
        VecaError: a number that is none, or an option that has no effect.
    """

    watch: bool = False
    as_json: bool = False
    record: Path | None = None
    interval: float = 1.0
    samples: int | None = None

    def __post_init__(self) -> None:
        if self.interval != self.interval:
            raise VecaError("--interval must be a number of seconds")
        if not self.goes_on and (idle := given_options(self, ("samples", "interval"))):
            raise VecaError(f"{idle[0]} works with --watch or --record only: leave it out")

    @property
    def goes_on(self) -> bool:
        """Whether there are several samples."""
        return self.watch or self.record is not None

    @property
    def count(self) -> int | None:
        """How many samples to take, None for no end."""
        return self.samples if self.goes_on else 1


@click.command("sensors", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--watch", is_flag=True, help="Keep going: refresh the table on a terminal, print a line per sample elsewhere."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object; with --watch or --record one per line."
)
@path_option(
    "--record", help="Write one JSON line per sample. An older recording is replaced, any other file is not."
)
@click.option(
    "--interval",
    type=Number(min=0.1, max=3600),
    default=SensorsRequest.interval,
    show_default=True,
    help="Wait this many seconds between samples.",
)
@click.option(
    "--samples",
    type=Count(min=1),
    show_default="until Ctrl-C",
    help="With --watch or --record: stop after this many samples.",
)
def command(**given: Any) -> None:
    """Show what this device offers of battery, heat and power, and where each value comes from."""
    if not show_sensors(SensorsRequest(**given)):
        click.get_current_context().exit(INTERRUPTED)


def show_sensors(request: SensorsRequest) -> bool:
    """Show samples, and record them if that is asked for; False if Ctrl-C ended it.

    Raises:
        VecaError: the recording cannot be written.
    """
    warnings: SimpleQueue[str] = SimpleQueue()
    with ExitStack() as stack:
        writer = None
        if request.record is not None:
            writer = stack.enter_context(LineWriter(request.record, mark="thermal"))
        monitor = stack.enter_context(Monitor(detect(), min(request.interval, 1.0), notify=warnings.put))
        screen = _screen(request)
        try:
            monitor.wait(PATIENCE)
            for look in _looks(monitor, request.interval, request.count):
                screen.update(look, _drained(warnings))
                if writer is not None:
                    writer.write(state_record(look.state))
        except KeyboardInterrupt:
            return False
        finally:
            for warning in _drained(warnings):
                say(warning)
            if writer is not None:
                say(f"{writer.lines} samples in {writer.path}")
    return True


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


class _Screen:
    """Shows warnings, and of every look what `lines` makes of it.

    A live one stays in its place, cut to the terminal: what has scrolled away cannot be drawn over.
    """

    def __init__(self, lines: Callable[[Look], Iterable[str]], live: bool = False) -> None:
        self._lines, self._live, self._height = lines, live, 0

    def update(self, look: Look, warnings: list[str]) -> None:
        if self._height:
            click.echo(f"\x1b[{self._height}A\x1b[J", nl=False)
        for warning in warnings:
            say(warning)
        lines = list(self._lines(look))
        if self._live:
            columns, rows = shutil.get_terminal_size()
            lines = [line[: columns - 1] for line in lines]
            if len(lines) >= rows:
                lines = [*lines[: max(1, rows - 2)], f"… {len(lines) - max(1, rows - 2)} more"]
            self._height = len(lines)
        if lines:
            click.echo("\n".join(lines))


def _screen(request: SensorsRequest) -> _Screen:
    if request.as_json:
        indent = None if request.goes_on else 2
        return _Screen(lambda look: [json.dumps(json_record(look), ensure_ascii=False, indent=indent)])
    if request.record is not None and not request.watch:
        return _Screen(lambda look: ())
    if request.watch and not sys.stdout.isatty():
        first: dict[str, float] = {}
        return _Screen(lambda look: [one_line(look.state, first.setdefault("time", look.state.time))])
    return _Screen(table_lines, live=request.watch)


def _drained(warnings: SimpleQueue[str]) -> list[str]:
    found: list[str] = []
    while True:
        try:
            found.append(warnings.get_nowait())
        except Empty:
            return found
