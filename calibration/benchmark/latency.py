"""Latency of a model file on this machine, measured so that configurations can be compared (see `interleaved`)."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from veca_edge.calibration.benchmark.against.baseline import Baseline, Source
from veca_edge.calibration.benchmark.against.comparison import Comparison, baseline_tasks, compare
from veca_edge.calibration.benchmark.against.runtimes import open_baselines
from veca_edge.calibration.benchmark.memory import Startup, measure_startup
from veca_edge.calibration.benchmark.power import energy_mj, power_source
from veca_edge.calibration.benchmark.report import Measured
from veca_edge.calibration.benchmark.request import ROUNDS, BenchRequest
from veca_edge.calibration.benchmark.target import Target
from veca_edge.runtime.machine import Machine, OthersClock
from veca_edge.runtime.measuring import (
    Advance,
    Call,
    Latency,
    interleaved,
    latency,
    median_extra_ms,
    median_ratio,
    timed,
)
from veca_edge.runtime.model import Model, load
from veca_edge.sensors.monitor import Monitor
from veca_edge.sensors.platforms import detect

MANY_ROUNDS = 10  # from here on, start-up is the median of several processes
FRESH_PROCESSES = 3
SENSORS = 1.0  # seconds that the sensors have for their first answers

Say = Callable[[str], None]
Progress = Callable[[float], None]
Key = tuple[str, int, int]  # what, cores, image size
Samples = Mapping[Key, Sequence[float]]


@dataclass(frozen=True)
class Row:
    """One configuration.

    Attributes:
        cores: active cores.
        image_size: pixels.
        patches: of the model's input.
        encode: `model.engine.encode`: cut the patches, run the program, copy the outputs.
        call: `model(picture)`: fit the picture to the model, encode, head.
        energy_mj: of a call, millijoules; None if no sensor tells the device's power.
    """

    cores: int
    image_size: int
    patches: int
    encode: Latency
    call: Latency
    energy_mj: float | None = None


@dataclass(frozen=True)
class Saving:
    """What the smallest measured budget costs in units of the largest: median over rounds, of `encode`."""

    image_size: int
    fewest: int
    most: int
    ratio: float


@dataclass(frozen=True)
class Growth:
    """How latency grows with the number of patches: 1 is linear, 2 is quadratic.

    Attributes:
        cores: the budget.
        overall: exponent between the smallest and the largest size.
        steepest: the largest exponent between neighbouring sizes.
    """

    cores: int
    overall: float
    steepest: float


@dataclass(frozen=True)
class Switch:
    """Extra time of the first `encode` with this budget after another one: median over rounds, milliseconds."""

    cores: int
    extra_ms: float


@dataclass(frozen=True)
class Benchmark(Measured):
    """Everything that was measured; times are milliseconds.

    Attributes:
        family: of the model file.
        rounds: timings per configuration.
        picture: what the model looked at.
        rows: latency, by image size and cores.
        savings: one per image size, () for a single budget.
        growth: one per budget, () for a single image size.
        switches: one per budget, () for a single one.
        comparisons: with baselines, () if not asked for.
        baselines: how each of them was made, by name.
        notes: what a reader must know of them, such as one that is not installed.
        startup: load, first call and memory.
        power: where the device's power is known from, None if it is unknown.
    """

    family: str
    rounds: int
    picture: str
    rows: tuple[Row, ...]
    savings: tuple[Saving, ...]
    growth: tuple[Growth, ...]
    switches: tuple[Switch, ...]
    comparisons: tuple[Comparison, ...]
    baselines: dict[str, str]
    notes: tuple[str, ...]
    startup: Startup
    power: str | None


def measure(
    target: Target,
    request: BenchRequest,
    machine: Machine,
    progress: Progress = lambda _: None,
    say: Say = lambda _: None,
) -> Benchmark:
    """Measure a target in interleaved rounds.

    Args:
        target: from `veca_edge.calibration.benchmark.target.prepare`.
        request: rounds, threads and baselines; all on the same weights.
        machine: read before any work.
        progress: called with how much is measured, 0..1.
        say: receives one line of progress at a time.

    Raises:
        VecaError: the model cannot be loaded or run, or none of the baselines is installed.
    """
    plan, rounds = target.plan, request.rounds or ROUNDS
    model = load(target.path, threads=request.threads)
    threads, notes = model.engine.threads, list[str]()
    steps, done = rounds * (1 + (len(plan.cores) > 1)) + 1, itertools.count(1)

    def advance() -> None:
        progress(next(done) / steps)

    with tempfile.TemporaryDirectory(prefix="veca-edge-") as folder:
        baselines = _baselines(target, request, threads, Path(folder), notes.append)
        tasks = _tasks(target, model) | dict(baseline_tasks(target, baselines, say))
        clock = OthersClock()
        samples = interleaved(tasks, rounds, advance)
        switches = time_switches(partial(model.engine.encode, plan.inputs[0].fitted), plan.cores, rounds, advance)
        others = clock.cores()
        energies, power = _energies(tasks)
        comparisons = tuple(compare(target, model, baselines, tasks, samples)) if baselines else ()
    model.close()
    startup = _startup(target, threads, rounds)
    advance()
    return Benchmark(
        **target.facts(machine, threads, others),
        family=target.manifest.family,
        picture=plan.picture,
        rounds=rounds,
        rows=tuple(_rows(target, samples, energies)),
        savings=tuple(_savings(target, samples)),
        growth=tuple(_growth(target, samples)),
        switches=switches,
        comparisons=comparisons,
        baselines={baseline.name: baseline.how for baseline in baselines},
        notes=tuple(notes),
        startup=startup,
        power=power,
    )


def _baselines(target: Target, request: BenchRequest, threads: int, folder: Path, note: Say) -> list[Baseline]:
    if not request.against:
        return []
    assert target.checkpoint is not None  # `prepare` saw to it
    quantization, inputs = target.manifest.quantization, target.plan.inputs
    return open_baselines(request.against, Source(target.checkpoint, quantization, inputs, threads, folder, note))


def _tasks(target: Target, model: Model) -> dict[Key, Call]:
    tasks: dict[Key, Call] = {}
    for one in target.plan.inputs:
        for cores in target.plan.cores:
            size = one.image_size
            tasks["encode", cores, size] = partial(model.engine.encode, one.fitted, cores)
            tasks["call", cores, size] = partial(model, one.picture, cores=cores, image_size=size)
    return tasks


def _energies(tasks: Mapping[Key, Call]) -> tuple[dict[Key, float | None], str | None]:
    """Millijoules per whole call, one configuration after another, and where the power is known from."""
    with Monitor(detect()) as monitor:
        monitor.wait(SENSORS)
        power = power_source(monitor)
        energies = {key: energy_mj(call, monitor) for key, call in tasks.items() if power and key[0] == "call"}
    return energies, power


def time_switches(
    encode: Callable[[int], object], cores: Sequence[int], rounds: int, advance: Advance = lambda: None
) -> tuple[Switch, ...]:
    """Two calls with each budget per round: the first follows another budget, the second is steady."""
    if len(cores) < 2:
        return ()
    first: dict[int, list[float]] = {count: [] for count in cores}
    steady: dict[int, list[float]] = {count: [] for count in cores}
    encode(cores[-1])
    for _ in range(rounds):
        for count in cores:
            first[count].append(timed(partial(encode, count)))
            steady[count].append(timed(partial(encode, count)))
        advance()
    return tuple(Switch(count, median_extra_ms(first[count], steady[count])) for count in cores)


def _rows(target: Target, samples: Samples, energies: Mapping[Key, float | None]) -> list[Row]:
    return [
        Row(
            cores,
            one.image_size,
            one.patches,
            latency(samples["encode", cores, one.image_size]),
            latency(samples["call", cores, one.image_size]),
            energies.get(("call", cores, one.image_size)),
        )
        for one in target.plan.inputs
        for cores in target.plan.cores
    ]


def _savings(target: Target, samples: Samples) -> list[Saving]:
    fewest, most = target.plan.cores[0], target.plan.cores[-1]
    if fewest == most:
        return []
    sizes = [one.image_size for one in target.plan.inputs]
    pairs = [(samples["encode", fewest, size], samples["encode", most, size]) for size in sizes]
    return [Saving(size, fewest, most, median_ratio(*pair)) for size, pair in zip(sizes, pairs, strict=True)]


def _growth(target: Target, samples: Samples) -> list[Growth]:
    inputs = target.plan.inputs
    patches = [one.patches for one in inputs]
    if len(set(patches)) < 2:
        return []
    return [
        growth(cores, patches, [latency(samples["encode", cores, one.image_size]).p50 for one in inputs])
        for cores in target.plan.cores
    ]


def growth(cores: int, patches: Sequence[int], milliseconds: Sequence[float]) -> Growth:
    """Slopes of log latency over log patches.

    Args:
        cores: the budget that the timings are of.
        patches: two or more different patch counts, in any order.
        milliseconds: the latency at each.
    """
    order = np.argsort(patches)
    x = np.log(np.asarray(patches, np.float64)[order])
    y = np.log(np.asarray(milliseconds, np.float64)[order])
    steps = np.diff(y) / np.diff(x)
    return Growth(cores, float((y[-1] - y[0]) / (x[-1] - x[0])), float(steps.max()))


def _startup(target: Target, threads: int, rounds: int) -> Startup:
    shapes = [(one.fitted.shape[0], one.fitted.shape[1]) for one in target.plan.inputs]
    budgets, weights = target.manifest.budgets, target.manifest.weight_bytes
    processes = FRESH_PROCESSES if rounds >= MANY_ROUNDS else 1
    return measure_startup(target.path, threads, budgets, shapes, weights, processes)
