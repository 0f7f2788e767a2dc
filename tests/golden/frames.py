"""Frames that are never stored: a formula of whole numbers that is the same in every language. See README.md.

A `Step` is a line of a trace: such a frame, and what is done before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.runtime.streaming.change import ChangeSettings

PATTERNS = ("flat", "plaid")
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """What makes a frame.

    Attributes:
        width, height: pixels.
        pattern: "flat" (grey 128) or "plaid" (slopes along x and y, another phase per channel).
        pan: pixels that the plaid has moved to the left.
        light: grey levels added to everything.
        noise: every value moves by up to so many grey levels, drawn from a linear congruential generator.
        seed: the generator's first state.
        cell: side in pixels of the cells that `add` counts, row by row; 0 for none.
        add: (first cell, last cell, grey levels added to them).
    """

    width: int
    height: int
    pattern: str = "flat"
    pan: int = 0
    light: int = 0
    noise: int = 0
    seed: int = 0
    cell: int = 0
    add: tuple[tuple[int, int, int], ...] = ()

    def told(self) -> dict[str, Any]:
        """As it stands in a golden file: what is at its default is left out."""
        told = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return told | ({"add": [list(change) for change in self.add]} if self.add else {})

    @classmethod
    def read(cls, told: dict[str, Any]) -> Frame:
        return cls(**told | {"add": tuple((first, last, level) for first, last, level in told.get("add", ()))})

    def image(self) -> Image:
        """uint8 (height, width, 3)."""
        y, x, channel = np.indices((self.height, self.width, 3))
        values = np.full(y.shape, 128)
        if self.pattern == "plaid":
            along, down = 3 * (x + self.pan) + 20 * channel, 5 * y
            values = 40 + 2 * abs(along % 64 - 32) + 2 * abs(down % 64 - 32)
        values = values + self.light + self._noise().reshape(values.shape)
        if self.cell:
            cells = y // self.cell * (self.width // self.cell) + x // self.cell
            for first, last, level in self.add:
                values += level * ((first <= cells) & (cells <= last))
        image: NDArray[np.uint8] = np.clip(values, 0, 255).astype(np.uint8)
        return image

    def _noise(self) -> NDArray[np.int64]:
        count = self.width * self.height * 3
        if not self.noise:
            return np.zeros(count, np.int64)
        state, drawn = self.seed, []
        for _ in range(count):
            state = (state * 1664525 + 1013904223) % 2**32
            drawn.append((state >> 16) % (2 * self.noise + 1) - self.noise)
        return np.array(drawn)


@dataclass(frozen=True)
class Step:
    """A frame for a change detector or a stream.

    Attributes:
        all: whether it must be a keyframe.
        cores, settings: set before it, None for as they are.
        reset: whether everything is forgotten before it.
    """

    frame: Frame
    all: bool = False
    cores: int | None = None
    settings: ChangeSettings | None = None
    reset: bool = False

    def told(self) -> dict[str, Any]:
        """As it stands in a golden file."""
        told = {"frame": self.frame.told()}
        told |= {name: value for name in ("all", "cores", "reset") if (value := getattr(self, name))}
        return told if self.settings is None else told | {"settings": asdict(self.settings)}

    @classmethod
    def read(cls, line: dict[str, Any]) -> Step:
        told = {name: line[name] for name in ("all", "cores", "reset") if name in line}
        settings = ChangeSettings(**line["settings"]) if "settings" in line else None
        return cls(Frame.read(line["frame"]), settings=settings, **told)


def steps(frames: Iterable[Frame | Step], seed: int) -> tuple[Step, ...]:
    """Frames with a noise of their own each."""
    given = [frame if isinstance(frame, Step) else Step(frame) for frame in frames]
    return tuple(replace(step, frame=replace(step.frame, seed=seed + index)) for index, step in enumerate(given))


def lines(first: dict[str, Any], frames: Iterable[Step], answers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A trace: how it begins, then of each frame what is given and what is answered."""
    return [first, *(step.told() | answer for step, answer in zip(frames, answers, strict=True))]
