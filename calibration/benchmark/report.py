"""A benchmark for readers: aligned tables for a terminal, or GitHub's tables for a README."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from veca_edge.calibration.benchmark.latency import SWITCH_TARGET_MS, Benchmark, Row
from veca_edge.calibration.benchmark.machine import BUSY_LOAD, BUSY_OTHERS
from veca_edge.calibration.benchmark.measured import Measured

MEGA = 1_000_000
WIDTH = 100
FEW_ROUNDS = 100  # below, p99 is hardly more than the slowest call
DIGITS = 16  # of a digest; JSON has all of them
UNSTEADY = 1.5  # median over fastest
DIFFERENT = 0.9  # cosine below which the two outputs are not of the same model
LATENCY_COLUMNS = ("cores", "image", "patches", "p50", "p95", "p99", "min", "images/s")


@dataclass(frozen=True)
class Table:
    """A table with a heading.

    Attributes:
        title: the heading.
        columns: names; all empty for a list of names and values.
        rows: texts, as many in each as columns.
        words: how many columns from the left hold words, which are aligned left.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 0


@dataclass(frozen=True)
class Report:
    """What a benchmark says, in any of three forms.

    Attributes:
        headline: what was measured, and on what.
        warnings: reasons not to trust the numbers, a sentence each.
        tables: the numbers.
        method: how they were measured, point by point.
        values: everything, unrounded, ready for JSON; times in milliseconds, sizes in bytes.
    """

    headline: tuple[str, ...]
    warnings: tuple[str, ...]
    tables: tuple[Table, ...]
    method: tuple[str, ...]
    values: dict[str, Any]

    def text(self) -> str:
        """For a terminal."""
        parts = ["\n".join(self.headline)]
        parts += [textwrap.fill(f"warning: {line}", WIDTH) for line in self.warnings]
        parts += [f"{table.title}\n{text_table(table)}" for table in self.tables]
        parts.append("\n".join(["How it was measured", *map(_point, self.method)]))
        return "\n\n".join(parts)

    def markdown(self) -> str:
        """As GitHub Markdown, without headings."""
        first, *rest = self.headline
        parts = ["  \n".join([f"**{first}**", *rest])]
        parts += [f"**Warning:** {line}" for line in self.warnings]
        parts += [f"{table.title}:\n\n{markdown_table(table)}" for table in self.tables]
        parts.append("\n".join(["How it was measured:", "", *(f"- {line}" for line in self.method)]))
        return "\n\n".join(parts)

    def json(self) -> str:
        """The values and the warnings."""
        return json.dumps({**self.values, "warnings": list(self.warnings)}, indent=2, ensure_ascii=False)


def describe(result: Benchmark) -> Report:
    """The whole benchmark."""
    return report(result, warnings(result), tables(result), method(result), result.to_dict())


def report(
    result: Measured,
    warnings: Iterable[str],
    tables: Iterable[Table],
    method: Iterable[str],
    values: dict[str, Any],
) -> Report:
    """A report of any measurement: its headline is what all of them share."""
    return Report(tuple(headline(result)), tuple(warnings), tuple(tables), tuple(method), values)


def text_table(table: Table) -> str:
    """Columns padded to one width, two spaces between."""
    lines = [table.columns, *table.rows] if any(table.columns) else list(table.rows)
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]

    def padded(line: tuple[str, ...]) -> str:
        cells = (cell.ljust(widths[i]) if i < table.words else cell.rjust(widths[i]) for i, cell in enumerate(line))
        return ("  " + "  ".join(cells)).rstrip()

    return "\n".join(padded(line) for line in lines)


def markdown_table(table: Table) -> str:
    """A GitHub table."""
    rule = ["---" if i < table.words else "---:" for i in range(len(table.columns))]
    lines = [table.columns, rule, *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def headline(result: Measured) -> Iterator[str]:
    """What was measured, and on what."""
    size = f"{_mb(result.file_bytes)} file, of which {_mb(result.weight_bytes)} weights"
    size += f", for up to {result.max_patches} patches"
    yield f"{result.name}, {result.quantization}: {size}"
    machine = result.machine
    processors = f"{machine.usable_cores} logical processor{'s' if machine.usable_cores > 1 else ''}"
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    yield f"{machine.processor}, {processors}, {threads} used; {machine.system}"
    yield ", ".join(f"{name} {number}" for name, number in machine.versions.items())


def tables(result: Benchmark) -> Iterator[Table]:
    """Every table that the benchmark has values for."""
    yield _latency_table(result, "Model only, ms (patches cut, program run, outputs copied)", whole=False)
    yield _latency_table(result, "Whole call, ms (picture resized, model, classifier if any)", whole=True)
    if result.savings:
        yield _savings_table(result)
    if result.growth:
        yield _growth_table(result)
    for size in dict.fromkeys(c.image_size for c in result.comparisons):
        yield _comparison_table(result, size)
    yield _startup_table(result)
    yield _memory_table(result)


def _latency_table(result: Benchmark, title: str, whole: bool) -> Table:
    energy = whole and any(row.energy_mj is not None for row in result.rows)

    def numbers(row: Row) -> Iterator[str]:
        value = row.call if whole else row.encode
        yield from map(ms, (value.p50, value.p95, value.p99, value.minimum, value.per_second))
        if energy:
            yield "unknown" if row.energy_mj is None else f"{row.energy_mj:.3g}"

    rows = tuple((str(row.cores), f"{row.image_size} px", str(row.patches), *numbers(row)) for row in result.rows)
    return Table(title, (*LATENCY_COLUMNS, "mJ/image") if energy else LATENCY_COLUMNS, rows)


def _savings_table(result: Benchmark) -> Table:
    few, most = result.savings[0].fewest, result.savings[0].most
    rows = tuple((f"{s.image_size} px", f"{s.ratio:.2f}") for s in result.savings)
    return Table(f"Time with {few} cores, as a part of the time with {most}", ("image", "ratio"), rows)


def _growth_table(result: Benchmark) -> Table:
    rows = tuple((str(g.cores), f"{g.overall:.2f}", f"{g.steepest:.2f}") for g in result.growth)
    columns = ("cores", "smallest to largest", "steepest step")
    return Table("Growth with patches, exponent (1: linear, 2: quadratic)", columns, rows)


def _comparison_table(result: Benchmark, image_size: int) -> Table:
    """One image size, ours first; the ratio says how much of a rival's time we take."""
    columns = ("runtime", "numbers", "cores", "p50", "p95", "ours / its", "embedding cosine", "feature cosine")
    rows = tuple(
        (
            c.runtime,
            c.precision,
            str(c.cores),
            ms(c.latency.p50),
            ms(c.latency.p95),
            f"{c.ratio:.2f}",
            *("-" if value is None else f"{value:.4f}" for value in (c.embedding_cosine, c.feature_cosine)),
        )
        for c in result.comparisons
        if c.image_size == image_size
    )
    return Table(f"Beside others at {image_size} px, ms; cosines to eager fp32 PyTorch", columns, rows, words=2)


def _startup_table(result: Benchmark) -> Table:
    startup = result.startup
    rows = [("load", f"{ms(startup.load_ms)} ms"), ("first call", f"{ms(startup.first_call_ms)} ms")]
    if result.switches:
        slowest = max(result.switches, key=lambda switch: switch.extra_ms)
        verdict = "within" if slowest.extra_ms < SWITCH_TARGET_MS else "above"
        target = f"{verdict} the target of {SWITCH_TARGET_MS:g} ms"
        rows.append(("change of cores", f"{slowest.extra_ms:+.2f} ms, {target}"))
    return Table("Start and switch", ("", ""), tuple(rows), words=2)


def _memory_table(result: Benchmark) -> Table:
    columns = ("after", "added", "not backed by a file", "added / weights")
    rows = tuple(
        (
            "load" if m.after == "load" else f"every budget at {m.after}",
            _mb(m.bytes),
            _mb(m.anonymous),
            "unknown" if m.ratio is None else f"{m.ratio:.2f} x",
        )
        for m in result.startup.memory
    )
    weights, peak = result.weight_bytes, result.startup.peak
    rows += (("most at once", _mb(peak), "", "unknown" if peak is None else f"{peak / weights:.2f} x"),)
    return Table("Resident memory beyond the imported packages", columns, rows, words=1)


def method(result: Benchmark) -> Iterator[str]:
    """How it was measured, point by point."""
    rounds = f"{result.rounds} round{'s' if result.rounds > 1 else ''}"
    yield (
        f"{rounds} after a warm-up; in each, all configurations take turns, and each timed call follows "
        "untimed ones of the same kind."
    )
    close = "; with so few, p99 is close to the slowest call" if result.rounds < FEW_ROUNDS else ""
    yield f"Input: {result.picture}. Percentiles are over rounds{close}."
    if result.savings or result.comparisons:
        yield "Ratios are medians of the ratios within each round."
    if result.comparisons:
        yield "Others: the forward pass alone, on a prepared input. veca-edge: as in the first table."
        yield from (f"{name}: {how}." for name, how in result.rivals.items())
    if result.switches:
        yield (
            "Change of cores: the first call with another budget minus the call after it, median, slowest budget, "
            f"at {result.rows[0].image_size} px."
        )
    startup = result.startup
    fresh = "one fresh process" if startup.processes == 1 else f"medians of {startup.processes} fresh processes"
    yield (
        f"Start and memory: {fresh}, imports done before, file in the system's cache; first call with "
        f"{result.rows[-1].cores} cores at {result.rows[0].image_size} px. Memory from {startup.source}; each "
        "image size includes those before it."
    )
    yield energy_line(result.power)
    yield from surroundings(result)


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
        f"Other programs during the rounds: {others}."
    )
    digests = ", ".join(f"{name} {digest[:DIGITS]}" for name, digest in result.digests.items())
    yield f"SHA-256: {digests}. Seed: {result.seed}."
    if result.random_weights:
        yield "The weights are random: time and memory are those of a trained model, outputs are not."


def warnings(result: Benchmark) -> Iterator[str]:
    """Reasons not to trust the numbers."""
    yield from result.notes
    others = busy(result)
    if others:
        yield f"{others}: close other programs and measure again"
    if others and result.comparisons:
        # Threads that wait for each other many times per layer: one busy core can make PyTorch 100 times slower.
        yield "some runtimes suffer more from other programs than others: do not quote this comparison"
    row = max(result.rows, key=lambda row: row.encode.p50 / row.encode.minimum)
    times = row.encode.p50 / row.encode.minimum
    if times > UNSTEADY:
        where = f"{row.cores} cores at {row.image_size} px"
        yield f"timings are unsteady: the median is {times:.1f} times the fastest call for {where}"
    if result.threads > result.machine.usable_cores:
        yield f"{result.threads} threads share {result.machine.usable_cores} processors"
    for one in result.comparisons:
        if any(value is not None and value < DIFFERENT for value in (one.embedding_cosine, one.feature_cosine)):
            where = f"{one.cores} cores at {one.image_size} px"
            yield f"the outputs of {one.runtime} {one.precision} differ from PyTorch's with {where}"


def busy(result: Measured) -> str | None:
    """What says that others were at work. The load average may still hold our last run, so it counts second."""
    others, load = result.other_work, result.machine.load_average
    if others is not None:
        return f"other programs used {others:.2f} processors meanwhile" if others > BUSY_OTHERS else None
    return f"the load average was {load:.2f} at the start" if load is not None and load > BUSY_LOAD else None


def _point(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def ms(value: float) -> str:
    """Milliseconds as text. Three figures are what a timing is worth; below 10 two decimals, above 100 none."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _mb(size: int | None) -> str:
    return "unknown" if size is None else f"{size / MEGA:.1f} MB"
