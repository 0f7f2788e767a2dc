"""A sustained benchmark for readers: what `veca_edge.calibration.benchmark.report` is to a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from veca_edge.calibration.benchmark.report import Report, Table, busy, energy_line, ms, report, surroundings
from veca_edge.calibration.benchmark.sustained import STEADY, TURN, SustainedBenchmark, Weather, verdict

UNKNOWN = "unknown"


def describe(result: SustainedBenchmark) -> Report:
    """The whole sustained benchmark."""
    return report(result, warnings(result), tables(result), method(result), result.to_dict())


def tables(result: SustainedBenchmark) -> Iterator[Table]:
    """Latency and its drift, then what the sensors said."""
    columns = ("cores", "image", "calls", "p50", "p95", "p99", "images/s", "first fifth", "last fifth", "verdict")
    rows = tuple(
        (
            str(point.cores),
            f"{point.image_size} px",
            str(point.calls),
            *map(ms, (point.call.p50, point.call.p95, point.call.p99, point.call.per_second)),
            ms(point.first),
            ms(point.last),
            verdict(point.drift),
        )
        for point in result.points
    )
    yield Table(f"Whole call over {result.minutes:.1f} minutes, ms; medians of the fifths", columns, rows)
    yield Table("The device", ("", "first fifth", "last fifth"), tuple(_device(result.weather)), words=1)


def _device(weather: Sequence[Weather]) -> Iterator[tuple[str, str, str]]:
    fifth = max(1, len(weather) // 5)
    parts = (weather[:fifth], weather[-fifth:])
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


def method(result: SustainedBenchmark) -> Iterator[str]:
    """How it was measured, point by point."""
    turns = f"; operating points take turns of {TURN:g} s" if len(result.points) > 1 else ""
    yield f"Call after call without a pause{turns}. Input: {result.picture}."
    yield f"Verdict: median of the last fifth of the calls over the first fifth's; within {STEADY:.0%} is steady."
    if result.energy_mj is not None:
        yield f"Energy per call, mean over all: {result.energy_mj:.3g} mJ."
    yield energy_line(result.power)
    yield from surroundings(result)


def warnings(result: SustainedBenchmark) -> Iterator[str]:
    """Reasons not to trust the numbers."""
    if result.minutes < 0.99 * result.asked_minutes:
        yield f"interrupted after {result.minutes:.1f} of {result.asked_minutes:g} minutes"
    others = busy(result)
    if others:
        yield f"{others}: a drift may be theirs"
    if result.threads > result.machine.usable_cores:
        yield f"{result.threads} threads share {result.machine.usable_cores} processors"
