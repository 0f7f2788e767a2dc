"""Frames that are never stored: a formula of whole numbers that is the same in every language. See README.md."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
