"""Latency of a model file on this machine, measured so that configurations can be compared.

All configurations take turns within a round, so that what disturbs the machine disturbs all of them. Each timed
call follows an untimed one of the same kind: that is how a stream of frames runs, and it leaves nothing of the
configuration before (its data in the processor's caches, threads of the other framework that still spin).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import veca_edge
from calibration.machine import Machine, OthersClock
from calibration.memory import Startup, measure_startup
from calibration.subject import Subject
from calibration.timings import Growth, Latency, cosine, growth, latency, median_extra_ms, median_ratio
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint

SWITCH_TARGET_MS = 2.0
WARM_UP = 2  # calls of each kind before the first round
MANY_ROUNDS = 10  # from here on, start-up is the median of several processes
FRESH_PROCESSES = 3

Call = Callable[[], object]
Key = tuple[str, int, int]  # what, cores, image size
Samples = Mapping[Key, Sequence[float]]
Advance = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One configuration.

    Attributes:
        cores: active cores.
        image_size: pixels.
        patches: of the model's input.
        encode: `model.engine.encode`: cut the patches, run the program, copy the outputs.
        call: `model(picture)`: fit the picture to the model, encode, head.
    """

    cores: int
    image_size: int
    patches: int
    encode: Latency
    call: Latency


@dataclass(frozen=True)
class Comparison:
    """The same weights and input in eager float32 PyTorch.

    Attributes:
        cores, image_size: the configuration.
        torch: the model's forward pass on a normalised tensor, in inference mode.
        encode: our engine's, patch cutting included.
        speedup: median over rounds of torch / encode.
        embedding_cosine, feature_cosine: how close the two outputs are for this picture.
    """

    cores: int
    image_size: int
    torch: Latency
    encode: Latency
    speedup: float
    embedding_cosine: float
    feature_cosine: float


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
class Benchmark:
    """Everything that was measured.

    Attributes:
        name: of the model, for people.
        family, quantization: of the model file.
        random_weights: whether the weights mean nothing.
        file_bytes: size of the model file.
        weight_bytes: of them, the weights.
        max_patches: most that the file takes; memory is reserved for the outputs of so many.
        machine: what it ran on.
        threads: of each engine.
        rounds: timings per configuration.
        picture: what the model looked at.
        rows: latency, by image size and cores.
        savings: one per image size, () for a single budget.
        growth: one per budget, () for a single image size.
        switches: one per budget, () for a single one.
        comparisons: with PyTorch, () if not asked for.
        startup: load, first call and memory.
        other_work: processors' worth of work by others during the rounds, None if unknown.
    """

    name: str
    family: str
    quantization: str
    random_weights: bool
    file_bytes: int
    weight_bytes: int
    max_patches: int
    machine: Machine
    threads: int
    rounds: int
    picture: str
    rows: tuple[Row, ...]
    savings: tuple[Saving, ...]
    growth: tuple[Growth, ...]
    switches: tuple[Switch, ...]
    comparisons: tuple[Comparison, ...]
    startup: Startup
    other_work: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; times are milliseconds unless the name says otherwise."""
        return {"kind": "benchmark", **asdict(self)}


def measure(
    subject: Subject,
    machine: Machine,
    rounds: int,
    threads: int | None = None,
    against_torch: bool = False,
    advance: Advance = lambda: None,
) -> Benchmark:
    """Measure a subject.

    Args:
        subject: from `calibration.subject.prepare`.
        machine: read before any work.
        rounds: timings per configuration, 1 or more.
        threads: for both engines; None for the number of big cores.
        against_torch: also time the checkpoint in PyTorch.
        advance: called after each of `steps(...)` steps.

    Raises:
        VecaError: the model cannot be loaded or run, or there is no checkpoint to compare with.
    """
    if against_torch and subject.checkpoint is None:
        raise VecaError("there is no checkpoint to compare with")
    model = veca_edge.load(subject.path, threads=threads)
    used = model.engine.threads
    eager = Eager(subject.checkpoint, used) if against_torch and subject.checkpoint else None
    tasks = _tasks(subject, model, eager)
    _warm_up(tasks)
    clock = OthersClock()
    samples = take_turns(tasks, rounds, advance)
    encode = partial(model.engine.encode, subject.cases[0].fitted)
    switches = time_switches(encode, subject.cores, rounds, advance)
    others = clock.cores()
    comparisons = [] if eager is None else _comparisons(subject, model, eager, samples)
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
        rows=tuple(_rows(subject, samples)),
        savings=tuple(_savings(subject, samples)),
        growth=tuple(_growth(subject, samples)),
        switches=switches,
        comparisons=tuple(comparisons),
        startup=startup,
        other_work=others,
    )


def _warm_up(tasks: Mapping[Key, Call]) -> None:
    for call in tasks.values():
        for _ in range(WARM_UP):
            call()


def steps(subject: Subject, rounds: int) -> int:
    """How often `measure` calls `advance`."""
    return rounds + (rounds if len(subject.cores) > 1 else 0) + 1


class Eager:
    """The checkpoint in PyTorch: nothing but the forward pass, so that the comparison favours PyTorch."""

    def __init__(self, checkpoint: Checkpoint, threads: int) -> None:
        torch.set_num_threads(threads)
        self._model = checkpoint.build()
        values = (torch.tensor(checkpoint.preprocessing[name]) for name in ("mean", "std"))
        self._mean, self._std = (value[:, None, None] for value in values)

    def normalise(self, image: NDArray[np.uint8]) -> Any:
        """uint8 (H, W, 3) to the model's input (1, 3, H, W), contiguous."""
        pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
        return ((pixels - self._mean) / self._std)[None].contiguous()

    def forward(self, tensor: Any, cores: int) -> Any:
        """The model's output for a batch from `normalise`."""
        with torch.inference_mode():
            return self._model(tensor, cores)


def take_turns(tasks: Mapping[Key, Call], rounds: int, advance: Advance = lambda: None) -> Samples:
    """Time every task once per round, in seconds, each after an untimed call of itself.

    Every second round runs backwards, so that a slow drift of the machine favours no task.
    """
    samples: dict[Key, list[float]] = {key: [] for key in tasks}
    order = list(tasks.items())
    for index in range(rounds):
        for key, call in order if index % 2 == 0 else reversed(order):
            call()
            samples[key].append(_timed(call))
        advance()
    return samples


def _timed(call: Call) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _tasks(subject: Subject, model: veca_edge.Model, eager: Eager | None) -> dict[Key, Call]:
    tasks: dict[Key, Call] = {}
    for case in subject.cases:
        tensor = None if eager is None else eager.normalise(case.fitted)
        for cores in subject.cores:
            size = case.image_size
            tasks["encode", cores, size] = partial(model.engine.encode, case.fitted, cores)
            tasks["call", cores, size] = partial(model, case.picture, cores=cores, image_size=size)
            if eager is not None:
                tasks["torch", cores, size] = partial(eager.forward, tensor, cores)
    return tasks


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
            first[count].append(_timed(partial(encode, count)))
            steady[count].append(_timed(partial(encode, count)))
        advance()
    return tuple(Switch(count, median_extra_ms(first[count], steady[count])) for count in cores)


def _rows(subject: Subject, samples: Samples) -> list[Row]:
    return [
        Row(
            cores,
            case.image_size,
            case.patches,
            latency(samples["encode", cores, case.image_size]),
            latency(samples["call", cores, case.image_size]),
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


def _comparisons(subject: Subject, model: veca_edge.Model, eager: Eager, samples: Samples) -> list[Comparison]:
    found = []
    for case in subject.cases:
        tensor = eager.normalise(case.fitted)
        for cores in subject.cores:
            ours, theirs = (samples[kind, cores, case.image_size] for kind in ("encode", "torch"))
            encoded, reference = model.engine.encode(case.fitted, cores), eager.forward(tensor, cores)
            found.append(
                Comparison(
                    cores,
                    case.image_size,
                    torch=latency(theirs),
                    encode=latency(ours),
                    speedup=median_ratio(theirs, ours),
                    embedding_cosine=cosine(encoded.embedding, reference.embedding[0].numpy()),
                    feature_cosine=cosine(encoded.features, reference.features[0].numpy()),
                )
            )
    return found


def _startup(subject: Subject, threads: int, rounds: int) -> Startup:
    shapes = [(case.fitted.shape[0], case.fitted.shape[1]) for case in subject.cases]
    budgets, weights = subject.manifest.budgets, subject.manifest.weight_bytes
    processes = FRESH_PROCESSES if rounds >= MANY_ROUNDS else 1
    return measure_startup(subject.path, threads, budgets, shapes, weights, processes)
