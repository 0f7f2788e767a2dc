"""change/*.jsonl: what the change detector chooses, frame after frame, one file for each of its rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from tests.golden.frames import Frame
from veca_edge.image.patches import cut_bytes
from veca_edge.runtime.streaming.change import ChangeDetector, ChangeSettings

PATCH = 4
STILL = Frame(32, 24, "plaid", noise=2, cell=PATCH)  # 48 patches
Json = dict[str, Any]
ORDINARY = ChangeSettings()
BUDGET = ChangeSettings(patch_budget=10, refresh_frames=16)


@dataclass(frozen=True)
class Look:
    """One frame for the detector, and what is done before it."""

    frame: Frame
    all: bool = False
    reset: bool = False
    settings: ChangeSettings | None = None

    def told(self) -> Json:
        told: Json = {"frame": self.frame.told()}
        told |= {name: True for name in ("all", "reset") if getattr(self, name)}
        return told if self.settings is None else told | {"settings": asdict(self.settings)}

    @classmethod
    def read(cls, line: Json) -> Look:
        settings = ChangeSettings(**line["settings"]) if "settings" in line else None
        return cls(Frame.read(line["frame"]), line.get("all", False), line.get("reset", False), settings)


@dataclass(frozen=True)
class Trace:
    """A file: what it shows, the detector's settings, the frames."""

    what: str
    frames: tuple[Look, ...]
    settings: ChangeSettings = ORDINARY
    patch: int = PATCH


def _looks(frames: Iterable[Frame]) -> tuple[Look, ...]:
    """Frames with a noise of their own each."""
    return tuple(Look(replace(frame, seed=1000 + index)) for index, frame in enumerate(frames))


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


def _shares() -> tuple[Look, ...]:
    """Just under the share, above it, all on demand, forgetting, another grid, other settings."""
    looks = [Look(replace(STILL, seed=i)) for i in range(4)]
    looks.append(Look(replace(STILL, seed=4, add=((0, 27, 30),))))  # 28 of 48: not more than 0.6
    looks.append(Look(replace(STILL, seed=5)))
    looks.append(Look(replace(STILL, seed=6, add=((0, 28, 30),))))  # 29 of 48
    looks.append(Look(replace(STILL, seed=7, add=((0, 28, 30),))))
    looks.append(Look(replace(STILL, seed=8, add=((0, 28, 30),)), all=True))
    looks.append(Look(replace(STILL, seed=9, add=((0, 28, 30),)), reset=True))
    looks.append(Look(replace(STILL, seed=10, add=((0, 28, 30),))))
    tall = replace(STILL, width=24, height=28)
    looks += [Look(replace(tall, seed=11)), Look(replace(tall, seed=12, add=((3, 3, 30),)))]
    looks += [Look(replace(STILL, seed=13)), Look(replace(STILL, seed=14))]
    strict = ChangeSettings(sensitivity=2, patience=0, refresh_frames=8, keyframe_share=1)
    looks.append(Look(replace(STILL, seed=15, add=((0, 1, 5),)), settings=strict))
    looks += [Look(replace(STILL, seed=16 + i, add=((0, 1, 5 + 5 * i),))) for i in range(6)]
    looks.append(Look(replace(STILL, seed=30, light=40)))  # all of them changed, and a share of 1 has no "more"
    return tuple(looks)


TRACES = {
    "still": Trace(
        "noise alone: learnt, and never taken for change; the rotation computes the oldest eight frames' worth",
        _looks([STILL] * 36),
        ChangeSettings(refresh_frames=32),
    ),
    "darkening": Trace(
        "the noise doubles, and halves: followed slowly, one frame in eight",
        _looks([STILL] * 10 + [replace(STILL, noise=4)] * 20 + [STILL] * 12),
    ),
    "faint": Trace("faint changes wait for one another, strong ones do not", _looks(_faint())),
    "budget": Trace("the most changed within a budget, a quarter of it for the rotation", _looks(_crowd()), BUDGET),
    "shares": Trace("what makes a keyframe; settings that change on the way", _shares()),
    "pan": Trace(
        "all of it moves smoothly: motion is not noise",
        _looks([replace(STILL, pan=2 * index) for index in range(24)]),
        ChangeSettings(patch_budget=12, keyframe_share=1),
    ),
    "fade": Trace(
        "light that grows by a level a frame is no noise and cannot hide: compared is with what was computed",
        _looks([replace(STILL, light=index) for index in range(40)]),
        ChangeSettings(keyframe_share=1, patience=1),
    ),
    "small": Trace(
        "patches of 2 x 2 pixels are too small to tell noise from motion",
        _looks([replace(STILL, width=12, height=8, cell=2, add=((3, 3, 60),) * (i > 9)) for i in range(16)]),
        patch=2,
    ),
}


def play(looks: Iterable[Look], settings: ChangeSettings, patch: int) -> Iterator[Json]:
    """What the detector says to each of them."""
    detector = ChangeDetector(settings)
    for look in looks:
        if look.reset:
            detector.reset()
        if look.settings is not None:
            detector.settings = look.settings
        plan = detector.plan(cut_bytes(look.frame.image(), patch), look.all)
        yield {
            "plan": {"patches": plan.patches.tolist(), "keyframe": plan.keyframe, "changed": plan.changed},
            "noise": detector.noise,
            "age": detector.age.tolist(),
        }


def change_trace(trace: Trace) -> list[Json]:
    """The lines of a file."""
    lines = [{"what": trace.what, "settings": asdict(trace.settings), "patch": trace.patch}]
    said = play(trace.frames, trace.settings, trace.patch)
    return lines + [look.told() | answer for look, answer in zip(trace.frames, said, strict=True)]
