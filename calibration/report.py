"""A benchmark for readers: aligned tables for a terminal, or GitHub's tables for a README."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from calibration.benchmark import SWITCH_TARGET_MS, Benchmark
from calibration.machine import BUSY_LOAD, BUSY_OTHERS
from calibration.timings import Latency

MEGA = 1_000_000
WIDTH = 100
FEW_ROUNDS = 100  # below, p99 is hardly more than the slowest call
DIFFERENT = 0.9  # cosine below which the two outputs are not of the same model
LATENCY_COLUMNS = ("cores", "image", "patches", "p50", "p95", "p99", "min", "per second")


@dataclass(frozen=True)
class Table:
    """A table with a heading.

    Attributes:
        title: the heading, () for none.
        columns: names.
        rows: texts, as many in each as columns.
        words: how many columns from the left hold words, which are aligned left.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 0


def text_report(result: Benchmark) -> str:
    """The whole benchmark for a terminal."""
    parts = ["\n".join(headline(result))]
    parts += [f"{table.title}\n{text_table(table)}" for table in tables(result)]
    parts.append("\n".join(_wrapped(method(result))))
    parts += ["\n".join(_wrapped(f"warning: {line}")) for line in warnings(result)]
    return "\n\n".join(parts)


def markdown_report(result: Benchmark) -> str:
    """The whole benchmark as GitHub Markdown, without headings."""
    first, *rest = headline(result)
    parts = ["  \n".join([f"**{first}**", *rest])]
    parts += [f"{table.title}:\n\n{markdown_table(table)}" for table in tables(result)]
    parts.append(method(result))
    parts += [f"**Warning:** {line}" for line in warnings(result)]
    return "\n\n".join(parts)


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


def headline(result: Benchmark) -> Iterator[str]:
    """What was measured, and on what."""
    size = f"{_mb(result.file_bytes)} file, of which {_mb(result.weight_bytes)} weights"
    yield f"{result.name}, {result.quantization}: {size}"
    machine = result.machine
    cores = f"{machine.usable_cores} logical core{'s' if machine.usable_cores > 1 else ''}"
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    yield f"{machine.processor}, {cores}, {threads} used; {machine.system}"
    yield ", ".join(f"{name} {number}" for name, number in machine.versions.items())


def tables(result: Benchmark) -> Iterator[Table]:
    """Every table that the benchmark has values for."""
    yield _latency_table(result, "Model only, ms (patches cut, program run, outputs copied)", whole=False)
    yield _latency_table(result, "Whole call, ms (picture resized, model, classifier if any)", whole=True)
    if result.savings:
        yield _savings_table(result)
    if result.growth:
        yield _growth_table(result)
    if result.comparisons:
        yield _comparison_table(result)
    yield _startup_table(result)
    yield _memory_table(result)


def _latency_table(result: Benchmark, title: str, whole: bool) -> Table:
    def numbers(value: Latency) -> tuple[str, ...]:
        return (*map(_ms, (value.p50, value.p95, value.p99, value.minimum)), _ms(value.per_second))

    rows = tuple(
        (str(row.cores), f"{row.image_size} px", str(row.patches), *numbers(row.call if whole else row.encode))
        for row in result.rows
    )
    return Table(title, LATENCY_COLUMNS, rows)


def _savings_table(result: Benchmark) -> Table:
    few, most = result.savings[0].fewest, result.savings[0].most
    rows = tuple((f"{s.image_size} px", f"{s.ratio:.2f}") for s in result.savings)
    return Table(f"Time with {few} cores, as a part of the time with {most}", ("image", "ratio"), rows)


def _growth_table(result: Benchmark) -> Table:
    rows = tuple((str(g.cores), f"{g.overall:.2f}", f"{g.steepest:.2f}") for g in result.growth)
    columns = ("cores", "smallest to largest", "steepest step")
    return Table("Growth with patches, exponent (1: linear, 2: quadratic)", columns, rows)


def _comparison_table(result: Benchmark) -> Table:
    columns = ("cores", "image", "PyTorch", "veca-edge", "speedup", "embedding cosine", "feature cosine")
    rows = tuple(
        (
            str(c.cores),
            f"{c.image_size} px",
            _ms(c.torch.p50),
            _ms(c.encode.p50),
            f"{c.speedup:.2f} x",
            f"{c.embedding_cosine:.4f}",
            f"{c.feature_cosine:.4f}",
        )
        for c in result.comparisons
    )
    return Table("Same weights in eager fp32 PyTorch, median ms", columns, rows)


def _startup_table(result: Benchmark) -> Table:
    startup = result.startup
    rows = [("load", f"{_ms(startup.load_ms)} ms"), ("first call", f"{_ms(startup.first_call_ms)} ms")]
    if result.switches:
        slowest = max(result.switches, key=lambda switch: switch.extra_ms)
        verdict = "within" if slowest.extra_ms < SWITCH_TARGET_MS else "above"
        text = f"{slowest.extra_ms:+.2f} ms (to {slowest.cores} cores; {verdict} the target of {SWITCH_TARGET_MS:g} ms)"
        rows.append(("change of cores", text))
    return Table("Start and switch", ("", "time"), tuple(rows), words=2)


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
    return Table("Resident memory beyond the imported packages", columns, rows, words=1)


def method(result: Benchmark) -> str:
    """How it was measured, in a few sentences."""
    machine, startup = result.machine, result.startup
    settings = f"{result.rounds} round{'s' if result.rounds > 1 else ''}"
    sentences = [
        f"How: {settings}, all configurations taking turns within each, after a warm-up; each timed call follows "
        f"an untimed one of the same kind. Input: {result.picture}. Percentiles are over rounds"
        + ("; with so few, p99 is close to the slowest call." if result.rounds < FEW_ROUNDS else ".")
    ]
    if result.savings or result.comparisons:
        sentences.append("Ratios are medians of the ratios within each round.")
    if result.switches:
        sentences.append(
            "Change of cores: first call with a new budget minus the next one, median, slowest budget."
        )
    if result.comparisons:
        sentences.append("PyTorch is timed without preprocessing, ours with the cutting of patches.")
    fresh = "one fresh process" if startup.processes == 1 else f"medians of {startup.processes} fresh processes"
    sentences.append(
        f"Start and memory: {fresh}, imports done before, file in the system's cache; memory from {startup.source}."
    )
    load = "unknown" if machine.load_average is None else f"{machine.load_average:.2f}"
    others = "unknown" if result.other_work is None else f"{result.other_work:.2f} cores"
    sentences.append(f"Load average at the start {load}; processor time of others during the rounds: {others}.")
    if result.random_weights:
        sentences.append("The weights are random: time and memory are those of a trained model, outputs are not.")
    return " ".join(sentences)


def warnings(result: Benchmark) -> Iterator[str]:
    """Reasons not to trust the numbers."""
    others, load = result.other_work, result.machine.load_average
    if others is not None:
        if others > BUSY_OTHERS:
            yield f"other programs used {others:.2f} cores meanwhile: close them and measure again"
    elif load is not None and load > BUSY_LOAD:
        yield f"the load average was {load:.2f} at the start: close other programs and measure again"
    if result.threads > result.machine.usable_cores:
        yield f"{result.threads} threads share {result.machine.usable_cores} cores"
    if any(min(c.embedding_cosine, c.feature_cosine) < DIFFERENT for c in result.comparisons):
        yield "the outputs differ from PyTorch's: run `veca-edge verify`"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _ms(value: float) -> str:
    """Three figures are what a timing is worth; below 10 two decimals, above 100 none."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _mb(size: int | None) -> str:
    return "unknown" if size is None else f"{size / MEGA:.1f} MB"
