"""Latency of a model file on this machine, measured so that configurations can be compared (see `turns`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veca_edge.calibration.benchmark.machine import Machine, OthersClock
from veca_edge.calibration.benchmark.measured import Measured
from veca_edge.calibration.benchmark.memory import Startup, measure_startup
from veca_edge.calibration.benchmark.power import energy_mj, power_source
from veca_edge.calibration.benchmark.target import Subject
from veca_edge.calibration.benchmark.timings import Growth, Latency, growth, latency, median_extra_ms, median_ratio
from veca_edge.calibration.benchmark.turns import Advance, Call, Key, Samples, take_turns, timed
from veca_edge.errors import VecaError
from veca_edge.runtime.model import Model, load
from veca_edge.sensors.monitor import Monitor
from veca_edge.sensors.platforms import detect

if TYPE_CHECKING:
    from veca_edge.calibration.benchmark.against.baseline import Rival
    from veca_edge.calibration.benchmark.against.comparison import Comparison

SWITCH_TARGET_MS = 2.0
WARM_UP = 2  # calls of each kind before the first round
MANY_ROUNDS = 10  # from here on, start-up is the median of several processes
FRESH_PROCESSES = 3
SENSORS = 1.0  # seconds that the sensors have for their first answers

Say = Callable[[str], None]


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
class Switch:
    """Extra time of the first `encode` with this budget after another one: median over rounds, milliseconds."""

    cores: int
    extra_ms: float


@dataclass(frozen=True)
class Benchmark(Measured):
    """Everything that was measured.

    Attributes:
        family: of the model file.
        rounds: timings per configuration.
        picture: what the model looked at.
        rows: latency, by image size and cores.
        savings: one per image size, () for a single budget.
        growth: one per budget, () for a single image size.
        switches: one per budget, () for a single one.
        comparisons: with other runtimes, () if not asked for.
        rivals: how each of them was made, by name.
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
    rivals: dict[str, str]
    notes: tuple[str, ...]
    startup: Startup
    power: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; times are milliseconds unless the name says otherwise."""
        return {"kind": "benchmark", **asdict(self)}


@dataclass(frozen=True)
class Against:
    """What to compare with.

    Attributes:
        runtimes: names of `veca_edge.calibration.benchmark.against.RUNTIMES`.
        folder: a place for exported models, as long as it is measured.
    """

    runtimes: tuple[str, ...]
    folder: Path


def measure(
    subject: Subject,
    machine: Machine,
    rounds: int,
    threads: int | None = None,
    against: Against | None = None,
    advance: Advance = lambda: None,
    say: Say = lambda _: None,
) -> Benchmark:
    """Measure a subject.

    Args:
        subject: from `veca_edge.calibration.benchmark.target.prepare`.
        machine: read before any work.
        rounds: timings per configuration, 1 or more.
        threads: for all engines; None for the number of big cores.
        against: other runtimes to time on the same weights.
        advance: called after each of `steps(...)` steps.
        say: receives one line of progress at a time.

    Raises:
        VecaError: the model cannot be loaded or run, there is no checkpoint to compare with, or no such runtime.
    """
    if against is not None and subject.checkpoint is None:
        raise VecaError("there is no checkpoint to compare with")
    model = load(subject.path, threads=threads)
    used, notes = model.engine.threads, list[str]()
    rivals = [] if against is None else _rivals(subject, used, against, notes.append)
    tasks = _tasks(subject, model)
    if rivals:
        from veca_edge.calibration.benchmark.against.comparison import compare, rival_tasks

        tasks.update(rival_tasks(subject, rivals, say))
    _warm_up(tasks)
    clock = OthersClock()
    samples = take_turns(tasks, rounds, advance)
    encode = partial(model.engine.encode, subject.cases[0].fitted)
    switches = time_switches(encode, subject.cores, rounds, advance)
    others = clock.cores()
    energies, power = _energies(tasks)
    comparisons = tuple(compare(subject, model, rivals, tasks, samples)) if rivals else ()
    model.close()
    startup = _startup(subject, used, rounds)
    advance()
    return Benchmark(
        **subject.facts,
        family=subject.manifest.family,
        picture=subject.picture,
        machine=machine,
        threads=used,
        rounds=rounds,
        rows=tuple(_rows(subject, samples, energies)),
        savings=tuple(_savings(subject, samples)),
        growth=tuple(_growth(subject, samples)),
        switches=switches,
        comparisons=comparisons,
        rivals={rival.name: rival.how for rival in rivals},
        notes=tuple(notes),
        startup=startup,
        power=power,
        other_work=others,
    )


def _rivals(subject: Subject, threads: int, against: Against, note: Say) -> list[Rival]:
    from veca_edge.calibration.benchmark.against.baseline import Source
    from veca_edge.calibration.benchmark.against.runtimes import open_rivals

    assert subject.checkpoint is not None
    quantization = subject.manifest.quantization
    source = Source(subject.checkpoint, quantization, subject.cases, threads, against.folder, note)
    return open_rivals(against.runtimes, source)


def _warm_up(tasks: Mapping[Key, Call]) -> None:
    for call in tasks.values():
        for _ in range(WARM_UP):
            call()


def steps(subject: Subject, rounds: int) -> int:
    """How often `measure` calls `advance`."""
    return rounds + (rounds if len(subject.cores) > 1 else 0) + 1


def _tasks(subject: Subject, model: Model) -> dict[Key, Call]:
    tasks: dict[Key, Call] = {}
    for case in subject.cases:
        for cores in subject.cores:
            size = case.image_size
            tasks["encode", cores, size] = partial(model.engine.encode, case.fitted, cores)
            tasks["call", cores, size] = partial(model, case.picture, cores=cores, image_size=size)
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
    """Two calls with each budget in turn: the first comes right after another budget, the second is steady."""
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


def _rows(subject: Subject, samples: Samples, energies: Mapping[Key, float | None]) -> list[Row]:
    return [
        Row(
            cores,
            case.image_size,
            case.patches,
            latency(samples["encode", cores, case.image_size]),
            latency(samples["call", cores, case.image_size]),
            energies.get(("call", cores, case.image_size)),
        )
        for case in subject.cases
        for cores in subject.cores
    ]


def _savings(subject: Subject, samples: Samples) -> list[Saving]:
    fewest, most = subject.cores[0], subject.cores[-1]
    if fewest == most:
        return []
    sizes = [case.image_size for case in subject.cases]
    pairs = [(samples["encode", fewest, size], samples["encode", most, size]) for size in sizes]
    return [Saving(size, fewest, most, median_ratio(*pair)) for size, pair in zip(sizes, pairs, strict=True)]


def _growth(subject: Subject, samples: Samples) -> list[Growth]:
    patches = [case.patches for case in subject.cases]
    if len(set(patches)) < 2:
        return []
    return [
        growth(cores, patches, [latency(samples["encode", cores, c.image_size]).p50 for c in subject.cases])
        for cores in subject.cores
    ]


def _startup(subject: Subject, threads: int, rounds: int) -> Startup:
    shapes = [(case.fitted.shape[0], case.fitted.shape[1]) for case in subject.cases]
    budgets, weights = subject.manifest.budgets, subject.manifest.weight_bytes
    processes = FRESH_PROCESSES if rounds >= MANY_ROUNDS else 1
    return measure_startup(subject.path, threads, budgets, shapes, weights, processes)
