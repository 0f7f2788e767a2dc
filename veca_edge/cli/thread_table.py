"""`veca-edge profile --compare-threads`: a profile per number of threads, and which is best at each image size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from veca_edge.cli.progress import command_line, echo_lines, next_step, say
from veca_edge.numbers import counted
from veca_edge.runtime.model import Model
from veca_edge.runtime.profile import Profile, profile_device
from veca_edge.runtime.thread_comparison import ThreadRow, fastest, thread_counts, thread_rows, thriftiest
from veca_edge.runtime.threads import default_threads
from veca_edge.tables import Table, number


@dataclass(frozen=True)
class ThreadComparison:
    """Profiles of a model with several numbers of threads.

    Attributes:
        name, digest: of the model.
        image_size: pixels, its own.
        profiles: by ascending threads.
    """

    name: str
    digest: str
    image_size: int
    profiles: tuple[Profile, ...]

    @property
    def sizes(self) -> list[list[ThreadRow]]:
        """The rows of each image size, the largest first."""
        rows = thread_rows({found.device.threads: found.table for found in self.profiles})
        return [list(group) for _, group in groupby(rows, lambda row: row.image_size)]


def compare_threads(
    open_model: Callable[[int], Model], again: bool, advance: Callable[[float], None]
) -> ThreadComparison:
    """Profile with one thread after another number of them; no other model may be open.

    Args:
        open_model: loads the model with so many threads.
        again: measure even what is remembered.
        advance: called with how much is measured, 0..1.
    """
    counts, found = thread_counts(default_threads()), list[Profile]()
    for count in counts:
        with open_model(count) as model:
            name, digest, size = model.name, model.digest, model.preprocessing.image_size
            found.append(
                profile_device(model, again=again, advance=partial(_advance, advance, len(found), len(counts)))
            )
    return ThreadComparison(name, digest, size, tuple(found))


def _advance(advance: Callable[[float], None], before: int, all_of_them: int, done: float) -> None:
    advance((before + done) / all_of_them)


def show(compared: ThreadComparison, path: Path | None, as_json: bool) -> None:
    """Print a comparison; `path` is that of the model, None for the packaged one."""
    if as_json:
        click.echo(json.dumps(_facts(compared), indent=1))
        return
    echo_lines(_lines(compared))
    for found in compared.profiles:
        if found.complaint:
            say(f"{counted(found.device.threads, 'thread')}: {found.complaint}")
    own = [rows for rows in compared.sizes if rows[0].image_size == compared.image_size]
    if own and len(compared.profiles) > 1:
        next_step(command_line("run", path, "--threads", thriftiest(own[0]) or fastest(own[0])))


def _facts(compared: ThreadComparison) -> dict[str, Any]:
    sizes = compared.sizes
    return {
        "model": compared.name,
        "digest": compared.digest,
        "devices": [asdict(found.device) for found in compared.profiles],
        "trusted": not any(found.complaint for found in compared.profiles),
        "rows": [asdict(row) for rows in sizes for row in rows],
        "fastest": {rows[0].image_size: fastest(rows) for rows in sizes},
        "least_energy": {rows[0].image_size: thriftiest(rows) for rows in sizes},
    }


def _lines(compared: ThreadComparison) -> Iterator[str]:
    device = compared.profiles[0].device
    yield f"{compared.name} on {device.processor}: means over the run configurations of each size, {device.runtime}"
    yield ""
    sizes = compared.sizes
    columns = ("size", "threads", "ms/frame", "mJ/frame")
    yield from Table(columns, tuple(_cells(row) for rows in sizes for row in rows)).lines()
    yield ""
    for rows in sizes:
        yield f"{rows[0].image_size} px: {_verdict(rows)}"


def _cells(row: ThreadRow) -> tuple[str, ...]:
    energy = None if row.joules is None else 1e3 * row.joules
    return str(row.image_size), str(row.threads), f"{1e3 * row.seconds:.2f}", number(energy, ".1f")


def _verdict(rows: Sequence[ThreadRow]) -> str:
    quick, thrifty = fastest(rows), thriftiest(rows)
    energy = "; no counter tells the energy" if thrifty is None else f", least energy with {thrifty}"
    return f"fastest with {counted(quick, 'thread')}{energy}"
