"""What streaming saves, and what it costs in fidelity, against computing every frame in full.

Both ways, and all budgets, take turns in one process, so that what disturbs the machine disturbs all of them. A
turn is some frames long: on a device one way runs alone, with its weights and its cache at hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from veca_edge.calibration.benchmark.machine import Machine, OthersClock
from veca_edge.calibration.benchmark.stream_rows import Key, Sample, StreamBenchmark, pooled, spreads, stream_rows
from veca_edge.calibration.benchmark.synthetic import FRAMES, SCENES, find_scene, synthetic_frames
from veca_edge.calibration.benchmark.target import Subject
from veca_edge.calibration.benchmark.timings import cosine
from veca_edge.camera.sources import open_source
from veca_edge.errors import VecaError
from veca_edge.files import expanded, is_there, shortened
from veca_edge.runtime.engines.engine import Engine
from veca_edge.runtime.model import Model, load
from veca_edge.runtime.result import Result
from veca_edge.runtime.streaming.change import ChangeSettings

SYNTHETIC = "synthetic"
CHUNK_BYTES = 100_000_000  # of decoded frames held at a time
TURN_FRAMES = 16  # then the next budgets have their turn
SETTLE = 0.2  # seconds in which a decoder that reads ahead comes to rest
WARM_SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # of the picture changed, to load what runs at each patch count

Image = NDArray[np.uint8]
Frames = Iterator[Image]
Advance = Callable[[], object]
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Clip:
    """A stream to measure on.

    Attributes:
        name: for people.
        synthetic: whether `veca_edge.calibration.benchmark.synthetic` makes it.
        frames: how many there will be, None if unknown.
        open: its frames, uint8 (H, W, 3), RGB.
        digest: SHA-256 of the file, hexadecimal; "" for a synthetic one, which its name and length fix.
    """

    name: str
    synthetic: bool
    frames: int | None
    open: Callable[[], AbstractContextManager[Frames]]
    digest: str = ""


def find_clips(specs: Sequence[str], frames: int | None = None, say: Say = lambda _: None) -> list[Clip]:
    """What the user named, each once.

    Args:
        specs: video files; "synthetic" for all synthetic streams, "synthetic:pan" for one.
        frames: most per clip.
        say: receives what a damaged file has to tell.

    Raises:
        VecaError: no such file or stream, or not a video.
    """
    clips: dict[str, Clip] = {}
    names = [Path(spec).name for spec in dict.fromkeys(specs)]
    for spec in specs:
        kind, _, wanted = spec.partition(":")
        if kind == SYNTHETIC:
            for name in [find_scene(wanted).name] if wanted else SCENES:
                clips[f"{SYNTHETIC}:{name}"] = _synthetic_clip(name, FRAMES if frames is None else frames)
        else:
            # Files of one name are told apart by their folders.
            name = Path(spec).name if names.count(Path(spec).name) == 1 else spec
            clips[spec] = _file_clip(spec, name, frames, say)
    return list(clips.values())


def _synthetic_clip(name: str, frames: int) -> Clip:
    @contextmanager
    def opened() -> Iterator[Frames]:
        yield synthetic_frames(name, frames)

    return Clip(f"{SYNTHETIC}:{name}", True, frames, opened)


def _file_clip(spec: str, name: str, limit: int | None, say: Say) -> Clip:
    if not is_there(expanded(spec)):
        raise VecaError(
            f"there is no file {shortened(Path(spec))}: --stream takes video files, {SYNTHETIC} or {SYNTHETIC}:NAME"
        )
    with open_source(spec) as source:
        if source.live:
            raise VecaError(f"{shortened(Path(spec))} is a camera: --stream needs a recording")
        known = [count for count in (source.frames_total, limit) if count is not None]

    @contextmanager
    def opened() -> Iterator[Frames]:
        with open_source(spec, notify=say) as source:
            yield islice((frame.image for frame in source), limit)

    return Clip(name, False, min(known, default=None), opened, digest_of(expanded(spec)))


def digest_of(path: Path) -> str:
    """SHA-256 of a file of any size, hexadecimal; VecaError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(2**20):
                digest.update(block)
    except OSError as error:
        raise VecaError(f"cannot read {shortened(path)}: {error.strerror or error}") from None
    return digest.hexdigest()


def measure_streams(
    subject: Subject,
    machine: Machine,
    clips: Sequence[Clip],
    patch_budgets: Sequence[int | None] = (None,),
    threads: int | None = None,
    advance: Advance = lambda: None,
) -> StreamBenchmark:
    """Measure clips one after another.

    Args:
        subject: from `veca_edge.calibration.benchmark.target.prepare`, with one image size.
        machine: read before any work.
        clips: from `find_clips`, one or more.
        patch_budgets: None for no limit.
        threads: of the engine; None for the number of big cores.
        advance: called after each frame, core budget and patch budget.

    Raises:
        VecaError: the model cannot be loaded or run, or a clip not be decoded.
    """
    settings = [ChangeSettings(patch_budget=budget) for budget in patch_budgets]
    size = subject.cases[-1].image_size
    model = load(subject.path, threads=threads)
    used, clock = model.engine.threads, OthersClock()
    samples: dict[Key, list[Sample]] = {}
    for clip in clips:
        lanes = [Lane(model, cores, change, size) for cores in subject.cores for change in settings]
        with clip.open() as frames:
            run_clip(model, lanes, frames, size, advance)
        samples.update({(clip.name, lane.cores, lane.patch_budget): lane.samples for lane in lanes})
    others = clock.cores()
    model.close()
    pool, together = _pool(clips)
    everything = samples if pool is None else pooled(samples, together, pool)
    facts = subject.facts
    # The streams' frames were looked at, not the subject's picture.
    facts["digests"] = {name: value for name, value in facts["digests"].items() if name != "pictures"}
    facts["digests"] |= {clip.name: clip.digest for clip in clips if clip.digest}
    return StreamBenchmark(
        **facts,
        machine=machine,
        threads=used,
        image_size=size,
        patches=lanes[-1].samples[-1].total,
        pool=pool,
        rows=tuple(stream_rows(everything)),
        spreads=tuple(spreads(everything)),
        other_work=others,
    )


def steps(clips: Sequence[Clip], ways: int) -> int | None:
    """How often `measure_streams` calls `advance` for so many pairs of budgets; None if a clip does not tell."""
    known = [clip.frames for clip in clips if clip.frames is not None]
    return ways * sum(known) if len(known) == len(clips) else None


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
        """The next frames one way, then the other."""
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
        cosine=cosine(streamed.features, full.features),
        agrees=agrees,
    )


def run_clip(
    model: Model, lanes: Sequence[Lane], frames: Frames, size: int, advance: Advance = lambda: None
) -> None:
    """All frames through all lanes; every second turn all of it in reverse.

    A lane has several frames in a row, as a stream has: lanes that took turns frame by frame would find each
    other's rows in the processor's caches instead of their own.
    """
    for index, turn in enumerate(turns(frames)):
        if index == 0:
            warm_up(model, turn[0], dict.fromkeys(lane.cores for lane in lanes), size)
        for lane in lanes if index % 2 == 0 else reversed(lanes):
            model(turn[0], cores=lane.cores, image_size=size)
            lane.take(turn, stream_first=index % 2 == 1)
            for _ in turn:
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


def turns(frames: Frames, most_bytes: int = CHUNK_BYTES) -> Iterator[list[Image]]:
    """Lists of up to `TURN_FRAMES` frames; more are decoded at once, so that decoding does not disturb them."""
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
    for start in range(0, len(chunk), TURN_FRAMES):
        yield chunk[start : start + TURN_FRAMES]
