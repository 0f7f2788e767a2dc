"""change/*.jsonl: what the change detector chooses, frame after frame, one file for each of its rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from tests.golden.frames import Frame, Step, lines, steps
from veca_edge.image.patches import cut_bytes
from veca_edge.runtime.streaming.change import ChangeDetector, ChangeSettings

PATCH = 4
STILL = Frame(32, 24, "plaid", noise=2, cell=PATCH)  # 48 patches
Json = dict[str, Any]
ORDINARY = ChangeSettings()


@dataclass(frozen=True)
class Trace:
    """A file: what it shows, the detector's settings, the frames."""

    what: str
    frames: tuple[Step, ...]
    settings: ChangeSettings = ORDINARY
    patch: int = PATCH


def _faint() -> Iterator[Frame]:
    """A faint change that waits, one that is gone in between, faint ones beside a strong one, a strong one."""
    for index in range(34):
        add = []
        if 9 <= index < 14:
            add.append((5, 6, 7))
        if 18 <= index < 20 or index >= 21:
            add.append((30, 30, 7))
        if index >= 26:
            add.append((40, 42, -8))
        if index >= 28:
            add.append((9, 9, 40))
        if index >= 30:
            add.append((20, 20, -60))
        yield replace(STILL, add=tuple(add))


def _crowd() -> Iterator[Frame]:
    """More changes than the budget allows: equal ones, a strongest one in the midst, for many frames."""
    for index in range(36):
        up = index % 2
        add = [(12, 31, 30 * up), (20, 20, 15 * up), (26, 27, 40 * up)] if index > 4 else []
        yield replace(STILL, add=tuple((a, b, level) for a, b, level in add if level))


def _shares() -> Iterator[Step]:
    """Just under the share, above it, all on demand, forgetting, another grid, other settings."""
    most, more = replace(STILL, add=((0, 27, 30),)), replace(STILL, add=((0, 28, 30),))  # 28 and 29 of 48
    yield from map(Step, (*[STILL] * 4, most, STILL, more, more))
    yield from (Step(more, all=True), Step(more, reset=True), Step(more))
    tall = replace(STILL, width=24, height=28)
    yield from map(Step, (tall, replace(tall, add=((3, 3, 30),)), STILL, STILL))
    strict = ChangeSettings(sensitivity=2, patience=0, refresh_frames=8, keyframe_share=1)
    yield Step(replace(STILL, add=((0, 1, 5),)), settings=strict)
    yield from (Step(replace(STILL, add=((0, 1, 5 + 5 * i),))) for i in range(6))
    yield Step(replace(STILL, light=40))  # all of them changed, and a share of 1 has no "more"


def _trace(what: str, frames: Iterable[Frame | Step], seed: int = 1000, **given: Any) -> Trace:
    return Trace(what, steps(frames, seed), **given)


TRACES = {
    "still": _trace(
        "noise alone: learnt, and never taken for change; the rotation computes the oldest eight frames' worth",
        [STILL] * 36,
        settings=ChangeSettings(refresh_frames=32),
    ),
    "darkening": _trace(
        "the noise doubles, and halves: followed slowly, one frame in eight",
        [STILL] * 10 + [replace(STILL, noise=4)] * 20 + [STILL] * 12,
    ),
    "faint": _trace("faint changes wait for one another, strong ones do not", _faint()),
    "budget": _trace(
        "the most changed within a budget, a quarter of it for the rotation",
        _crowd(),
        settings=ChangeSettings(patch_budget=10, refresh_frames=16),
    ),
    "shares": _trace("what makes a keyframe; settings that change on the way", _shares(), seed=0),
    "pan": _trace(
        "all of it moves smoothly: motion is not noise",
        (replace(STILL, pan=2 * index) for index in range(24)),
        settings=ChangeSettings(patch_budget=12, keyframe_share=1),
    ),
    "fade": _trace(
        "light that grows by a level a frame is no noise and cannot hide: compared is with what was computed",
        (replace(STILL, light=index) for index in range(40)),
        settings=ChangeSettings(keyframe_share=1, patience=1),
    ),
    "small": _trace(
        "patches of 2 x 2 pixels are too small to tell noise from motion",
        (replace(STILL, width=12, height=8, cell=2, add=((3, 3, 60),) * (i > 9)) for i in range(16)),
        patch=2,
    ),
}


def play(frames: Iterable[Step], settings: ChangeSettings, patch: int) -> Iterator[Json]:
    """What the detector says to each of them."""
    detector = ChangeDetector(settings)
    for step in frames:
        if step.reset:
            detector.reset()
        if step.settings is not None:
            detector.settings = step.settings
        plan = detector.plan(cut_bytes(step.frame.image(), patch), step.all)
        yield {
            "plan": {"patches": plan.patches.tolist(), "keyframe": plan.keyframe, "changed": plan.changed},
            "noise": detector.noise,
            "age": detector.age.tolist(),
        }


def change_trace(trace: Trace) -> list[Json]:
    """The lines of a file."""
    first = {"what": trace.what, "settings": asdict(trace.settings), "patch": trace.patch}
    return lines(first, trace.frames, play(trace.frames, trace.settings, trace.patch))
