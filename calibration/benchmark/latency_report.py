"""A benchmark of latency for readers."""

from __future__ import annotations

from collections.abc import Iterator

from veca_edge.calibration.benchmark.latency import Benchmark, Row
from veca_edge.calibration.benchmark.report import (
    Report,
    busy,
    disturbances,
    energy_line,
    megabytes,
    report,
    surroundings,
)
from veca_edge.numbers import counted
from veca_edge.tables import Table, milliseconds, number

SWITCH_TARGET_MS = 2.0
FEW_ROUNDS = 100  # below, p99 is hardly more than the slowest call
UNSTEADY = 1.5  # median over fastest
DIFFERENT = 0.9  # cosine below which the two outputs are not of the same model
LATENCY_COLUMNS = ("cores", "image", "patches", "p50", "p95", "p99", "min", "images/s")


def describe_latency(result: Benchmark) -> Report:
    """The whole benchmark."""
    return report("benchmark", result, _warnings(result), _tables(result), _method(result))


def _tables(result: Benchmark) -> Iterator[Table]:
    """Every table that the benchmark has values for."""
    yield _latency_table(result, "Model only, ms (patches cut, program run, outputs copied)", whole=False)
    yield _latency_table(result, "Whole call, ms (picture resized, model, classifier if any)", whole=True)
    if result.savings:
        few, most = result.savings[0].fewest, result.savings[0].most
        rows = tuple((f"{s.image_size} px", f"{s.ratio:.2f}") for s in result.savings)
        yield Table(("image", "ratio"), rows, f"Time with {few} cores, as a part of the time with {most}")
    if result.growth:
        columns = ("cores", "smallest to largest", "steepest step")
        lines = tuple((str(g.cores), f"{g.overall:.2f}", f"{g.steepest:.2f}") for g in result.growth)
        yield Table(columns, lines, "Growth with patches, exponent (1: linear, 2: quadratic)")
    for size in dict.fromkeys(c.image_size for c in result.comparisons):
        yield _comparison_table(result, size)
    yield _startup_table(result)
    yield _memory_table(result)


def _latency_table(result: Benchmark, title: str, whole: bool) -> Table:
    energy = whole and any(row.energy_mj is not None for row in result.rows)

    def numbers(row: Row) -> Iterator[str]:
        value = row.call if whole else row.encode
        yield from map(milliseconds, (value.p50, value.p95, value.p99, value.minimum, value.per_second))
        if energy:
            yield "unknown" if row.energy_mj is None else f"{row.energy_mj:.3g}"

    rows = tuple((str(row.cores), f"{row.image_size} px", str(row.patches), *numbers(row)) for row in result.rows)
    return Table((*LATENCY_COLUMNS, "mJ/image") if energy else LATENCY_COLUMNS, rows, title)


def _comparison_table(result: Benchmark, image_size: int) -> Table:
    """One image size, ours first; the ratio says how much of a baseline's time we take."""
    columns = ("runtime", "numbers", "cores", "p50", "p95", "ours / its", "embedding cosine", "feature cosine")
    rows = tuple(
        (
            one.runtime,
            one.precision,
            str(one.cores),
            milliseconds(one.latency.p50),
            milliseconds(one.latency.p95),
            f"{one.ratio:.2f}",
            number(one.embedding_cosine),
            number(one.feature_cosine),
        )
        for one in result.comparisons
        if one.image_size == image_size
    )
    title = f"Beside baselines at {image_size} px, ms; cosines to eager fp32 PyTorch"
    return Table(columns, rows, title, words=2)


def _startup_table(result: Benchmark) -> Table:
    startup = result.startup
    rows = [
        ("load", f"{milliseconds(startup.load_ms)} ms"),
        ("first call", f"{milliseconds(startup.first_call_ms)} ms"),
    ]
    if result.switches:
        slowest = max(switch.extra_ms for switch in result.switches)
        verdict = "within" if slowest < SWITCH_TARGET_MS else "above"
        rows.append(("change of cores", f"{slowest:+.2f} ms, {verdict} the target of {SWITCH_TARGET_MS:g} ms"))
    return Table(("", ""), tuple(rows), "Start and switch", words=2)


def _memory_table(result: Benchmark) -> Table:
    columns = ("after", "added", "not backed by a file", "added / weights")
    rows = [
        (
            "load" if memory.after == "load" else f"every budget at {memory.after}",
            megabytes(memory.bytes),
            megabytes(memory.anonymous),
            "unknown" if memory.ratio is None else f"{memory.ratio:.2f} x",
        )
        for memory in result.startup.memory
    ]
    peak = result.startup.peak
    most = "unknown" if peak is None else f"{peak / result.weight_bytes:.2f} x"
    rows.append(("peak", megabytes(peak), "", most))
    return Table(columns, tuple(rows), "Resident memory beyond the imported packages", words=1)


def _method(result: Benchmark) -> Iterator[str]:
    """How it was measured, point by point."""
    yield (
        f"{counted(result.rounds, 'round')} after a warm-up; in each round every configuration is timed once, "
        "after untimed calls of the same kind."
    )
    close = "; with so few, p99 is close to the slowest call" if result.rounds < FEW_ROUNDS else ""
    yield f"Input: {result.picture}. Percentiles are over rounds{close}."
    if result.savings or result.comparisons:
        yield "Ratios are medians of the ratios within each round."
    if result.comparisons:
        yield "Baselines: the forward pass alone, on a prepared input. veca-edge: as in the first table."
        yield from (f"{name}: {how}." for name, how in result.baselines.items())
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


def _warnings(result: Benchmark) -> Iterator[str]:
    """Reasons not to trust the numbers."""
    yield from result.notes
    yield from disturbances(result)
    if result.comparisons and busy(result):
        # Threads that wait for each other many times per layer: one busy core can make PyTorch 100 times slower.
        yield "some runtimes suffer more from other programs than others: do not quote this comparison"
    row = max(result.rows, key=lambda row: row.encode.p50 / row.encode.minimum)
    times = row.encode.p50 / row.encode.minimum
    if times > UNSTEADY:
        where = f"{row.cores} cores at {row.image_size} px"
        yield f"timings are unsteady: the median is {times:.1f} times the fastest call for {where}"
    for one in result.comparisons:
        if any(value is not None and value < DIFFERENT for value in (one.embedding_cosine, one.feature_cosine)):
            where = f"{one.cores} cores at {one.image_size} px"
            yield f"the outputs of {one.runtime} {one.precision} differ from PyTorch's with {where}"
