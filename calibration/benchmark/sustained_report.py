"""A sustained benchmark for readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from veca_edge.calibration.benchmark.report import Report, disturbances, energy_line, report, surroundings
from veca_edge.calibration.benchmark.sustained import BLOCK, STEADY, Conditions, SustainedBenchmark, verdict
from veca_edge.tables import Table, milliseconds

UNKNOWN = "unknown"


def describe_sustained(result: SustainedBenchmark) -> Report:
    """The whole sustained benchmark."""
    return report("sustained benchmark", result, _warnings(result), _tables(result), _method(result))


def _tables(result: SustainedBenchmark) -> Iterator[Table]:
    """Latency and its drift, then what the sensors said."""
    columns = ("cores", "image", "calls", "p50", "p95", "p99", "images/s", "first fifth", "last fifth", "verdict")
    rows = tuple(
        (
            str(point.cores),
            f"{point.image_size} px",
            str(point.calls),
            *map(milliseconds, (point.call.p50, point.call.p95, point.call.p99, point.call.per_second)),
            milliseconds(point.first),
            milliseconds(point.last),
            verdict(point.drift),
        )
        for point in result.points
    )
    yield Table(columns, rows, f"Whole call over {result.minutes:.1f} minutes, ms; medians of the fifths")
    yield Table(("", "first fifth", "last fifth"), tuple(_device(result.conditions)), "The device", words=1)


def _device(conditions: Sequence[Conditions]) -> Iterator[tuple[str, str, str]]:
    fifth = max(1, len(conditions) // 5)
    parts = (conditions[:fifth], conditions[-fifth:])
    for name, attribute, pattern in (
        ("hottest sensor", "celsius", "{:.1f} °C"),
        ("clock, of the highest", "clock", "{:.0%}"),
        ("power", "watts", "{:.1f} W"),
    ):
        found = [[getattr(one, attribute) for one in part] for part in parts]
        known = [[value for value in values if value is not None] for values in found]
        texts = [pattern.format(median(values)) if values else UNKNOWN for values in known]
        yield name, texts[0], texts[1]
    early, late = ([one.thermal for one in part if one.thermal is not None] for part in parts)
    yield "thermal level", early[-1] if early else UNKNOWN, late[-1] if late else UNKNOWN


def _method(result: SustainedBenchmark) -> Iterator[str]:
    """How it was measured, point by point."""
    blocks = f"; operating points are interleaved in blocks of {BLOCK:g} s" if len(result.points) > 1 else ""
    yield f"Call after call without a pause{blocks}. Input: {result.picture}."
    yield f"Verdict: median of the last fifth of the calls over the first fifth's; within {STEADY:.0%} is steady."
    if result.energy_mj is not None:
        yield f"Energy per call, mean over all: {result.energy_mj:.3g} mJ."
    yield energy_line(result.power)
    yield from surroundings(result)


def _warnings(result: SustainedBenchmark) -> Iterator[str]:
    """Reasons not to trust the numbers."""
    if result.minutes < 0.99 * result.asked_minutes:
        yield f"interrupted after {result.minutes:.1f} of {result.asked_minutes:g} minutes"
    yield from disturbances(result, "a drift may be theirs")
