"""What streaming saves, and what it costs in fidelity, against computing every frame in full.

Frames in full and streamed, at all budgets, are interleaved in one process, so that what disturbs the machine
disturbs all of them. They are interleaved in blocks of some frames: on a device one of them runs alone, with its
weights and its cache at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import partial
from itertools import count
from time import perf_counter, sleep
from typing import Any, cast

import numpy as np

from veca_edge.arrays import Image
from veca_edge.calibration.benchmark.clips import Clip, Frames
from veca_edge.calibration.benchmark.request import BenchRequest
from veca_edge.calibration.benchmark.stream_rows import Key, Sample, StreamBenchmark, pooled, stream_rows
from veca_edge.calibration.benchmark.target import Target
from veca_edge.converters.verification import cosines
from veca_edge.runtime.engines.engine import Engine
from veca_edge.runtime.machine import Machine, OthersClock
from veca_edge.runtime.measuring import Advance
from veca_edge.runtime.model import Model, load
from veca_edge.runtime.result import Result
from veca_edge.runtime.streaming.change import ChangeSettings

CHUNK_BYTES = 100_000_000  # of decoded frames held at a time
BLOCK_FRAMES = 16  # then the next budgets follow
SETTLE = 0.2  # seconds in which a decoder that reads ahead comes to rest
WARM_SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # of the picture changed, to load what runs at each patch count

Progress = Callable[[float], None]


def measure_streams(
    target: Target,
    request: BenchRequest,
    machine: Machine,
    clips: Sequence[Clip],
    progress: Progress = lambda _: None,
) -> StreamBenchmark:
    """Measure clips one after another.

    Args:
        target: from `veca_edge.calibration.benchmark.target.prepare`, with one image size.
        request: patch budgets and threads.
        machine: read before any work.
        clips: from `find_clips`, one or more.
        progress: called with how much is measured, 0..1, if all clips tell how long they are.

    Raises:
        VecaError: the model cannot be loaded or run, or a clip not be decoded.
    """
    settings = [ChangeSettings(patch_budget=budget) for budget in request.patch_budget or (None,)]
    size, budgets = target.plan.inputs[-1].image_size, target.plan.cores
    model = load(target.path, threads=request.threads)
    threads, clock = model.engine.threads, OthersClock()
    advance = _advance(clips, len(budgets) * len(settings), progress)
    samples: dict[Key, list[Sample]] = {}
    for clip in clips:
        lanes = [Lane(model, cores, change, size) for cores in budgets for change in settings]
        with clip.open() as frames:
            run_clip(model, lanes, frames, size, advance)
        samples.update({(clip.name, lane.cores, lane.patch_budget): lane.samples for lane in lanes})
    others = clock.cores()
    model.close()
    pool, together = _pool(clips)
    everything = samples if pool is None else pooled(samples, together, pool)
    facts = target.facts(machine, threads, others)
    # The streams' frames were looked at, not the target's picture.
    facts["digests"] = {name: value for name, value in facts["digests"].items() if name != "pictures"}
    facts["digests"] |= {clip.name: clip.digest for clip in clips if clip.digest}
    return StreamBenchmark(
        **facts,
        image_size=size,
        patches=lanes[-1].samples[-1].total,
        pool=pool,
        rows=tuple(stream_rows(everything)),
    )


def _advance(clips: Sequence[Clip], lanes: int, progress: Progress) -> Advance:
    """What is called after each frame and lane."""
    known = [clip.frames for clip in clips if clip.frames is not None]
    if len(known) < len(clips):
        return lambda: None
    done, total = count(1), lanes * sum(known)
    return lambda: progress(min(1.0, next(done) / total))


def _pool(clips: Sequence[Clip]) -> tuple[str | None, list[str]]:
    """What to look at together, and a name for it: recordings, or synthetic streams if there are no recordings."""
    recorded = [clip.name for clip in clips if not clip.synthetic]
    names, kind = (recorded, "recordings") if recorded else ([clip.name for clip in clips], "synthetic streams")
    return (f"all {len(names)} {kind}" if len(names) > 1 else None), names


class TimedEngine:
    """An engine that adds up the seconds spent in it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds = 0.0
        self.step = partial(self._timed, cast(Any, engine).step)
        self.encode = partial(self._timed, engine.encode)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def _timed(self, call: Callable[..., object], *arguments: object, **named: object) -> object:
        start = perf_counter()
        try:
            return call(*arguments, **named)
        finally:
            self.seconds += perf_counter() - start


class Lane:
    """One core budget and patch budget on one clip, and what was measured there."""

    def __init__(self, model: Model, cores: int, change: ChangeSettings, image_size: int) -> None:
        self.cores, self.patch_budget = cores, change.patch_budget
        self.samples: list[Sample] = []
        self._full = partial(model, cores=cores, image_size=image_size)
        self._engine = TimedEngine(model.engine)
        inner = copy(model)
        inner.engine = cast(Engine, self._engine)
        self._stream = inner.stream(cores, image_size, change)

    def take(self, frames: Sequence[Image], stream_first: bool = False) -> None:
        """The next frames in full and streamed, one after the other."""
        streamed = [self._update(frame) for frame in frames] if stream_first else []
        full = [self._full(frame) for frame in frames]
        streamed = streamed or [self._update(frame) for frame in frames]
        self.samples += [_sample(*both, one) for both, one in zip(streamed, full, strict=True)]

    def _update(self, frame: Image) -> tuple[Result, float]:
        """The stream's result, and the seconds of it in the engine."""
        before = self._engine.seconds
        result = self._stream.update(frame)
        return result, self._engine.seconds - before


def _sample(streamed: Result, engine: float, full: Result) -> Sample:
    agrees = None
    if full.logits is not None and streamed.logits is not None:
        agrees = bool(full.logits.argmax() == streamed.logits.argmax())
    computed = streamed.computed
    assert computed is not None
    return Sample(
        full=full.latency,
        streamed=streamed.latency,
        engine=engine,
        total=computed.size,
        patches=int(computed.sum()),
        keyframe=streamed.keyframe,
        cosine=float(cosines(streamed.features, full.features).mean()),
        agrees=agrees,
    )


def run_clip(
    model: Model, lanes: Sequence[Lane], frames: Frames, size: int, advance: Advance = lambda: None
) -> None:
    """All frames through all lanes, block by block; every second block all of it in reverse.

    A lane has several frames in a row, as a stream has: lanes interleaved frame by frame would find each other's
    rows in the processor's caches instead of their own.
    """
    for index, block in enumerate(blocks(frames)):
        if index == 0:
            warm_up(model, block[0], dict.fromkeys(lane.cores for lane in lanes), size)
        for lane in lanes if index % 2 == 0 else reversed(lanes):
            model(block[0], cores=lane.cores, image_size=size)
            lane.take(block, stream_first=index % 2 == 1)
            for _ in block:
                advance()


def warm_up(model: Model, frame: Image, budgets: Iterable[int], size: int) -> None:
    """Load everything that a stream of such frames may run, which the first call of each kind pays for."""
    for cores in budgets:
        model(frame, cores=cores, image_size=size)
        stream = model.stream(cores, size)
        stream.update(frame)
        for share in WARM_SHARES:
            changed = frame.copy()
            changed[: round(share * len(frame))] += np.uint8(128)
            stream.update(changed)
            stream.update(frame)


def blocks(frames: Frames, most_bytes: int = CHUNK_BYTES) -> Iterator[list[Image]]:
    """Lists of up to `BLOCK_FRAMES` frames; more are decoded at once, so that decoding does not disturb them."""
    chunk: list[Image] = []
    held = 0
    for frame in frames:
        chunk.append(frame)
        held += frame.nbytes
        if held >= most_bytes:
            yield from _split(chunk)
            chunk, held = [], 0
    yield from _split(chunk)


def _split(chunk: list[Image]) -> Iterator[list[Image]]:
    if chunk:
        sleep(SETTLE)
    for start in range(0, len(chunk), BLOCK_FRAMES):
        yield chunk[start : start + BLOCK_FRAMES]
