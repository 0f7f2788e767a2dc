"""Latency over minutes of steady work: what a device holds once it is warm, and whether it holds it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

import numpy as np

from veca_edge.calibration.benchmark.power import millijoules, power_source
from veca_edge.calibration.benchmark.report import Measured
from veca_edge.calibration.benchmark.request import BenchRequest
from veca_edge.calibration.benchmark.target import Target
from veca_edge.errors import VecaError
from veca_edge.runtime.machine import Machine, OthersClock
from veca_edge.runtime.measuring import Latency, latency, settle
from veca_edge.runtime.model import load
from veca_edge.sensors.monitor import Monitor
from veca_edge.sensors.platforms import detect
from veca_edge.sensors.state import DeviceState

BLOCK = 2.0  # seconds that an operating point runs before the next one does
LOOK = 5.0  # seconds between two looks at the sensors
BINS = 120  # of a history
FEWEST = 10  # calls of an operating point, so that a fifth of them is not a single one
STEADY = 0.05  # change of the median that is called steady

Clock = Callable[[], float]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Moment:
    """Latency around a moment: minutes since the start, then milliseconds."""

    minute: float
    p50: float
    p95: float


@dataclass(frozen=True)
class Conditions:
    """What the sensors said at a moment.

    Attributes:
        minute: since the start.
        celsius: of the hottest sensor, None if unknown.
        clock: of the big cores, as a share of their highest, None if unknown.
        thermal: the thermal level, None if unknown.
        watts: of the device, None if unknown.
    """

    minute: float
    celsius: float | None
    clock: float | None
    thermal: str | None
    watts: float | None


@dataclass(frozen=True)
class Endurance:
    """One operating point.

    Attributes:
        cores, image_size: the operating point.
        calls: how many.
        call: `model(picture)`, over the whole time.
        first, last: median milliseconds of the first and of the last fifth of the calls.
        drift: last / first.
        history: medians over time.
    """

    cores: int
    image_size: int
    calls: int
    call: Latency
    first: float
    last: float
    drift: float
    history: tuple[Moment, ...]


@dataclass(frozen=True)
class SustainedBenchmark(Measured):
    """Everything that was measured.

    Attributes:
        minutes: of steady work.
        asked_minutes: minutes that were asked for; more than `minutes` if someone interrupted it.
        picture: what the model looked at.
        points: by image size and cores.
        conditions: what the sensors said, over time.
        power: where the device's power is known from, None if it is unknown.
        energy_mj: per call, mean over all, millijoules; None if the power is unknown.
    """

    minutes: float
    asked_minutes: float
    picture: str
    points: tuple[Endurance, ...]
    conditions: tuple[Conditions, ...]
    power: str | None
    energy_mj: float | None


@dataclass
class Lane:
    """One operating point while it is measured: when each call began, and how long it took, in seconds."""

    cores: int
    image_size: int
    call: Callable[[], object]
    begun: array[float] = field(default_factory=lambda: array("d"))
    taken: array[float] = field(default_factory=lambda: array("f"))


def measure_sustained(
    target: Target, request: BenchRequest, machine: Machine, progress: Progress = lambda _: None
) -> SustainedBenchmark:
    """Run a target's operating points without a pause, interleaved in blocks of two seconds.

    An interrupt (Ctrl-C) ends it early; what was measured until then counts.

    Args:
        target: from `veca_edge.calibration.benchmark.target.prepare`.
        request: minutes, above 0, and threads.
        machine: read before any work.
        progress: called now and then with the share that is done, 0..1.

    Raises:
        VecaError: the model cannot be loaded or run, or the time was too short to say anything.
    """
    minutes = request.minutes or 0.0
    model = load(target.path, threads=request.threads)
    lanes = [
        Lane(cores, one.image_size, partial(model, one.picture, cores=cores, image_size=one.image_size))
        for one in target.plan.inputs
        for cores in target.plan.cores
    ]
    for lane in lanes:
        settle(lane.call)
    with Monitor(detect()) as monitor:
        monitor.wait(1.0)
        clock = OthersClock()
        conditions, seconds = run_lanes(lanes, 60 * minutes, lambda: monitor.state, progress)
        others, power = clock.cores(), power_source(monitor)
    progress(1.0)
    used = model.engine.threads
    model.close()
    if min(len(lane.taken) for lane in lanes) < FEWEST:
        raise VecaError(f"{seconds:.0f} s are too short for {len(lanes)} operating points: use more --minutes")
    calls = sum(len(lane.taken) for lane in lanes)
    return SustainedBenchmark(
        **target.facts(machine, used, others),
        minutes=seconds / 60,
        asked_minutes=minutes,
        picture=target.plan.picture,
        points=tuple(endurance(lane) for lane in lanes),
        conditions=tuple(conditions),
        power=power,
        energy_mj=millijoules([one.watts for one in conditions], seconds, calls),
    )


def run_lanes(
    lanes: Sequence[Lane],
    seconds: float,
    state: Callable[[], DeviceState],
    progress: Progress = lambda _: None,
    clock: Clock = perf_counter,
) -> tuple[list[Conditions], float]:
    """All lanes, block by block, until the time is over: what the sensors said, and the seconds that it took."""
    conditions: list[Conditions] = []
    start, now = clock(), 0.0
    try:
        while now < seconds:
            for lane in lanes:
                end = now + BLOCK
                while now < end and now < seconds:
                    lane.begun.append(now)
                    lane.call()
                    before, now = now, clock() - start
                    lane.taken.append(now - before)
                    if not conditions or now / 60 - conditions[-1].minute >= LOOK / 60:
                        conditions.append(_conditions(now / 60, state()))
                        progress(min(0.99, now / seconds))
    except KeyboardInterrupt:
        for lane in lanes:
            del lane.begun[len(lane.taken) :]
    return conditions, now


def _conditions(minute: float, state: DeviceState) -> Conditions:
    hottest = max((celsius for _, celsius in state.temperatures), default=None)
    thermal = None if state.thermal is None else str(state.thermal)
    return Conditions(minute, hottest, state.frequency, thermal, state.power)


def endurance(lane: Lane) -> Endurance:
    """A lane's numbers; it has `FEWEST` calls or more."""
    fifth = len(lane.taken) // 5
    first, last = (latency(part).p50 for part in (lane.taken[:fifth], lane.taken[-fifth:]))
    return Endurance(
        cores=lane.cores,
        image_size=lane.image_size,
        calls=len(lane.taken),
        call=latency(lane.taken),
        first=first,
        last=last,
        drift=last / first,
        history=tuple(_history(lane)),
    )


def _history(lane: Lane) -> Iterator[Moment]:
    """Medians of up to `BINS` equal parts of the calls."""
    begun, taken = np.asarray(lane.begun) / 60, np.asarray(lane.taken)
    parts = min(BINS, len(taken) // 5)
    for when, times in zip(np.array_split(begun, parts), np.array_split(taken, parts), strict=True):
        found = latency(times.tolist())
        yield Moment(float(when.mean()), found.p50, found.p95)


def verdict(drift: float) -> str:
    """What a drift of the median means."""
    if abs(drift - 1) <= STEADY:
        return "steady"
    return f"{drift - 1:.0%} slower" if drift > 1 else f"{1 - drift:.0%} faster"
