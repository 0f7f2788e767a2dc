"""stream/*.jsonl: what a stream asks of its engine and remembers, with a formula in place of the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.golden.dense_vectors import DEPTH, PEOPLE, task_table
from tests.golden.frames import Frame, Step, lines, steps
from tests.known import known
from veca_edge.image.patches import cell_centres, cut_patches
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.modelfile.heads import DenseHead
from veca_edge.modelfile.pte import Head
from veca_edge.runtime.dense import DenseResult
from veca_edge.runtime.engines.engine import Encoded
from veca_edge.runtime.model import Model
from veca_edge.runtime.streaming.cache import PatchCache, Stepped
from veca_edge.runtime.streaming.change import ChangeSettings

PATCH, SIDE = 8, 48
LAYERS, HEADS, HEAD_DIM, WIDTH = 2, 2, 2, 4
ORDINARY, CROPPED = ChangeSettings(), Preprocessing(SIDE)
BUDGETS = (8, 16, 64)
LABELS = ("dark", "light", "green")
HEAD = Head(
    np.array([[1, -1, 0.5, 2, -3, 0.25, 0.5, 1], [-1, 2, 0, 0, 1, 1, -1, 0.5], [0, 0, 3, -4, 0.5, 0, 0, 2]], "f4"),
    np.array([0.5, -0.25, 0.125], np.float32),
)
DENSE = (
    DenseHead(DEPTH, np.array([[1, -0.5, 2, 0.25]], np.float32), np.array([0.75], np.float32)),
    DenseHead(
        PEOPLE,
        (np.arange(32).reshape(8, 4) % 5 - 2).astype(np.float32) / np.float32(2),
        np.arange(8, dtype=np.float32) / np.float32(8) - np.float32(0.5),
    ),
)
STILL = Frame(SIDE, SIDE, "plaid", noise=2, cell=PATCH)
Json = dict[str, Any]
Float = NDArray[np.float32]


class FormulaEngine:
    """Computes a formula of each patch's mean and place; the embedding also counts what is remembered.

    Attributes:
        calls: what it was asked for, the method with the number of patches, their means and the mask.
    """

    name, threads = "formula", 1

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, Float | None]] = []

    def positions(self, rows: int, columns: int) -> Float:
        return cell_centres(rows, columns)

    def step(
        self, patches: Float, positions: Float, cores: int, mask: Float | None, cache: PatchCache | None
    ) -> Stepped:
        self.calls.append(("step", len(patches), mask))
        return self._formula(patches, positions, cores, mask, cache)

    def encode(self, image: NDArray[np.uint8], cores: int) -> Encoded:
        patches, grid = cut_patches(image, PATCH), (image.shape[0] // PATCH, image.shape[1] // PATCH)
        self.calls.append(("encode", len(patches), None))
        found = self._formula(patches, cell_centres(*grid), cores, None, None)
        return Encoded(found.embedding, found.features, found.core_attention)

    def _formula(
        self, patches: Float, positions: Float, cores: int, mask: Float | None, cache: PatchCache | None
    ) -> Stepped:
        mean = patches.mean(axis=1, dtype=np.float64) / 255
        x, y = positions.astype(np.float64).T[..., None]
        layer, head, _, channel = np.ogrid[:LAYERS, :HEADS, :1, :HEAD_DIM]
        keys = mean[:, None] * (layer + 1) + x * (head + 1) + channel
        values = mean[:, None] - 0.25 * y * (layer + 1) + 0.125 * head - channel
        read = values[0, 0, :, 0]
        if cache is not None and mask is not None:
            read = np.concatenate([read, cache.values[0][0, mask == 0, 0]])
        share = read.mean()
        core_attention = np.full((len(mean), cores), ((1 - mean) / (cores - 1))[:, None])
        core_attention[:, 0] = mean
        return Stepped(
            embedding=np.array([share, 1 - share, 0.1 * len(read) / 36, cores / 640], np.float32),
            features=np.asarray(mean[:, None] * np.arange(1, WIDTH + 1) + 0.01 * cores, np.float32),
            core_attention=np.asarray(core_attention, np.float32),
            keys=tuple(np.asarray(rows, np.float32) for rows in keys),
            values=tuple(np.asarray(rows, np.float32) for rows in values),
        )

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Trace:
    """A file: what it shows, how the stream begins, the frames."""

    what: str
    frames: tuple[Step, ...]
    settings: ChangeSettings = ORDINARY
    preprocessing: Preprocessing = CROPPED
    cores: int = 16
    dense: tuple[DenseHead, ...] = ()


def _few() -> Iterator[Frame]:
    """A patch or two change, now and then."""
    adds = {3: ((7, 7, 60),), 4: ((7, 7, 60), (20, 21, -40)), 5: ((20, 21, -40),)}
    for index in range(14):
        yield replace(STILL, add=adds.get(index, ((35, 35, 50),) if index > 8 else ()))


def _drift() -> Iterator[Frame | Step]:
    """A quarter of it grows light: too little for a keyframe, too much for the cores. Then drift is ignored."""
    light = replace(STILL, add=((0, 9, 100),))
    yield from (STILL, STILL, light, light, light, STILL, STILL, STILL)
    yield Step(light, settings=ChangeSettings(drift=-1))
    yield from (light, STILL, STILL)


def _moving() -> Iterator[Frame]:
    """Everything changes, until looking is no longer afforded; it rests, moves soon again, and rests."""
    pans = (0, 0, 0, *range(5, 55, 5), 50, 50, 50, 50, 55, 60, 60)
    return (replace(STILL, pan=pan) for pan in pans)


def _switches() -> Iterator[Frame | Step]:
    """Other cores, another shape, another budget, forgetting."""
    wide, tall = replace(STILL, width=64), replace(STILL, height=56)
    yield from (wide, Step(wide, cores=8), wide, Step(wide, cores=8), tall, tall)
    yield Step(replace(tall, add=((0, 19, 40),)), settings=ChangeSettings(patch_budget=8))
    yield from (Step(tall, reset=True), tall, Step(wide, cores=64), wide)


def _dense() -> Iterator[Frame]:
    """Nothing changes, a patch, nothing, everything, a second time in a row too; then it rests."""
    lit = replace(STILL, add=((5, 5, 60),))
    yield from (STILL, STILL, lit, lit, *(replace(STILL, pan=pan) for pan in (5, 10, 10)))


def _trace(what: str, frames: Iterable[Frame | Step], **given: Any) -> Trace:
    return Trace(what, steps(frames, 5000), **given)


TRACES = {
    "few": _trace("a few patches change; the rotation", _few(), settings=ChangeSettings(refresh_frames=16)),
    "drift": _trace(
        "cores that drift make the next frame a keyframe", _drift(), settings=ChangeSettings(drift=0.99)
    ),
    "moving": _trace(
        "what moves forgets keys and values and is hardly looked at; a look that finds rest brings them",
        _moving(),
    ),
    "switches": _trace("what makes a stream begin anew", _switches(), preprocessing=Preprocessing(SIDE, "keep")),
    "dense": _trace("dense heads follow the patches", _dense(), cores=8, dense=DENSE),
}


def play(trace: Trace, frames: Iterable[Step]) -> Iterator[Json]:
    """What the stream does and remembers, frame after frame."""
    engine = FormulaEngine()
    tasks = tuple(head.task for head in trace.dense)
    model = Model(
        "formula", engine, trace.preprocessing, PATCH, BUDGETS, LABELS, HEAD, tasks=tasks, dense=trace.dense
    )
    stream = model.stream(trace.cores, change=trace.settings)
    for step in frames:
        if step.reset:
            stream.reset()
        if step.cores is not None:
            stream.cores = step.cores
        if step.settings is not None:
            stream.change = step.settings
        engine.calls.clear()
        result = stream.update(step.frame.image())
        cache, computed = stream.cache, np.flatnonzero(known(result.computed)).tolist()
        assert cache is not None
        yield {
            "call": _call(engine, computed),
            "keyframe": result.keyframe,
            "computed": computed,
            "oldest": result.oldest,
            "noise": stream.noise,
            "embedding": result.embedding.tolist(),
            "logits": known(result.logits).tolist(),
            "features": result.features.reshape(-1, WIDTH)[:, 0].tolist(),
            "core_attention": known(result.core_attention).reshape(-1, result.cores)[:, 0].tolist(),
            "keys": cache.keys[-1, -1, :, 0].tolist(),
            "values": cache.values[-1, -1, :, 0].tolist(),
        } | ({"dense": {name: _said(found) for name, found in result.dense.items()}} if trace.dense else {})


def _said(result: DenseResult) -> Json:
    cells = np.flatnonzero(known(result.computed)).tolist()
    return {"cells": result.cells.ravel().tolist(), "computed_cells": cells}


def _call(engine: FormulaEngine, computed: list[int]) -> Json | None:
    """The one call, or None; that it was for the patches in `computed` shows in what is remembered."""
    if not engine.calls:
        return None
    ((method, count, mask),) = engine.calls
    assert count == len(computed)
    masked = None if mask is None else np.flatnonzero(mask).tolist()
    return {"method": method, "patches": computed, "masked": masked}


def stream_trace(trace: Trace) -> list[Json]:
    """The lines of a file."""
    first = {
        "what": trace.what,
        "settings": asdict(trace.settings),
        "preprocessing": trace.preprocessing.to_dict(),
        "patch_size": PATCH,
        "budgets": BUDGETS,
        "cores": trace.cores,
        "head": {"weight": HEAD.weight.tolist(), "bias": HEAD.bias.tolist()},
        "labels": LABELS,
    }
    if trace.dense:
        first["dense"] = [
            {"task": task_table(head.task), "weight": head.weight.tolist(), "bias": head.bias.tolist()}
            for head in trace.dense
        ]
    return lines(first, trace.frames, play(trace, trace.frames))
