"""What every report of a measurement says, whatever was measured, and the three forms that it takes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from veca_edge.numbers import counted
from veca_edge.runtime.machine import BUSY_LOAD, BUSY_OTHERS, Machine
from veca_edge.tables import Table

MEGA = 1_000_000
WIDTH = 100
DIGITS = 16  # of a digest; JSON has all of them


@dataclass(frozen=True)
class Measured:
    """A model file that was measured on a machine.

    Attributes:
        name: of the model, for people.
        quantization: of the model file.
        random_weights: whether the weights mean nothing.
        file_bytes: size of the model file.
        weight_bytes: of them, the weights.
        max_patches: most that the file takes.
        seed: of random weights and random pixels.
        digests: SHA-256, hexadecimal, of what was measured and of what it looked at, by name.
        machine: what it ran on.
        threads: of each engine.
        other_work: processors' worth of work by others meanwhile, None if unknown.
    """

    name: str
    quantization: str
    random_weights: bool
    file_bytes: int
    weight_bytes: int
    max_patches: int
    seed: int
    digests: dict[str, str]
    machine: Machine
    threads: int
    other_work: float | None


@dataclass(frozen=True)
class Report:
    """What a measurement says, in any of three forms.

    Attributes:
        kind: of the measurement, for JSON.
        result: everything, unrounded.
        warnings: reasons not to trust the numbers, a sentence each.
        tables: the numbers.
        method: how they were measured, point by point.
    """

    kind: str
    result: Measured
    warnings: tuple[str, ...]
    tables: tuple[Table, ...]
    method: tuple[str, ...]

    def text(self) -> str:
        """For a terminal."""
        parts = ["\n".join(_headline(self.result))]
        parts += [textwrap.fill(f"warning: {line}", WIDTH) for line in self.warnings]
        parts += [table.text() for table in self.tables]
        parts.append("\n".join(["How it was measured", *map(_point, self.method)]))
        return "\n\n".join(parts)

    def markdown(self) -> str:
        """As GitHub Markdown, without headings."""
        first, *rest = _headline(self.result)
        parts = ["  \n".join([f"**{first}**", *rest])]
        parts += [f"**Warning:** {line}" for line in self.warnings]
        parts += [table.markdown() for table in self.tables]
        parts.append("\n".join(["How it was measured:", "", *(f"- {line}" for line in self.method)]))
        return "\n\n".join(parts)

    def json(self) -> str:
        """The result and the warnings; times in milliseconds unless the name says otherwise, sizes in bytes."""
        values = {"kind": self.kind, **asdict(self.result), "warnings": list(self.warnings)}
        return json.dumps(values, indent=2, ensure_ascii=False)


def _headline(result: Measured) -> Iterator[str]:
    """What was measured, and on what."""
    size = f"{megabytes(result.file_bytes)} file, of which {megabytes(result.weight_bytes)} weights"
    size += f", for up to {result.max_patches} patches"
    yield f"{result.name}, {result.quantization}: {size}"
    machine = result.machine
    processors = counted(machine.usable_cores, "logical processor")
    yield f"{machine.processor}, {processors}, {counted(result.threads, 'thread')} used; {machine.system}"
    yield ", ".join(f"{name} {number}" for name, number in machine.versions.items())


def energy_line(power: str | None) -> str:
    """Where energies come from, or that there are none."""
    if power is None:
        return "Energy: unknown; no sensor here tells the power (see `veca-edge sensors`)."
    return f"Energy: power of everything that the sensor covers, idle parts included; from {power}."


def surroundings(result: Measured) -> Iterator[str]:
    """What else went on, and what the weights are worth."""
    load = result.machine.load_average
    others = "unknown" if result.other_work is None else f"{result.other_work:.2f} processors"
    yield (
        f"Load average at the start: {'unknown' if load is None else f'{load:.2f}'}. "
        f"Other programs meanwhile: {others}."
    )
    digests = ", ".join(f"{name} {digest[:DIGITS]}" for name, digest in result.digests.items())
    yield f"SHA-256: {digests}. Seed: {result.seed}."
    if result.random_weights:
        yield "The weights are random: time and memory are those of a trained model, outputs are not."


def busy(result: Measured) -> str | None:
    """What says that others were at work. The load average may still hold our last run, so it counts second."""
    others, load = result.other_work, result.machine.load_average
    if others is not None:
        return f"other programs used {others:.2f} processors meanwhile" if others > BUSY_OTHERS else None
    return f"the load average was {load:.2f} at the start" if load is not None and load > BUSY_LOAD else None


def disturbances(result: Measured, advice: str = "close other programs and measure again") -> Iterator[str]:
    """What on the machine may have disturbed the measurement; `advice` is what follows from other work."""
    if others := busy(result):
        yield f"{others}: {advice}"
    if result.threads > result.machine.usable_cores:
        yield f"{result.threads} threads share {result.machine.usable_cores} processors"


def report(
    kind: str, result: Measured, warnings: Iterable[str], tables: Iterable[Table], method: Iterable[str]
) -> Report:
    """A report of what three generators say."""
    return Report(kind, result, tuple(warnings), tuple(tables), tuple(method))


def megabytes(size: int | None) -> str:
    """Bytes as text in millions, or "unknown"."""
    return "unknown" if size is None else f"{size / MEGA:.1f} MB"


def _point(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
