"""What the camera side asks of a model and of its results. Any object with these members will do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from veca_edge.sensors.state import DeviceState


class Prediction(Protocol):
    """A label and how likely it is."""

    @property
    def label(self) -> str: ...

    @property
    def probability(self) -> float:
        """0 … 1."""


class Point(Protocol):
    """How a frame is run."""

    @property
    def cores(self) -> int: ...

    @property
    def image_size(self) -> int: ...

    @property
    def patch_budget(self) -> int | None: ...

    @property
    def rate(self) -> float:
        """Frames per second."""


class Result(Protocol):
    """What a model says about one frame."""

    @property
    def features(self) -> NDArray[np.float32]:
        """(rows, columns, D): one vector per patch."""

    @property
    def core_attention(self) -> NDArray[np.float32] | None:
        """(rows, columns, cores): how much each patch attends to each core; sums to 1 over the cores. None if the
        model does not tell."""

    @property
    def logits(self) -> NDArray[np.float32] | None:
        """(K,), or None for a model without a head."""

    @property
    def cores(self) -> int: ...

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the model's input in pixels."""

    @property
    def latency(self) -> float:
        """Seconds."""

    @property
    def crop(self) -> tuple[int, int, int, int]:
        """(x, y, width, height) of what the model saw, in pixels of the frame."""

    @property
    def computed(self) -> NDArray[np.bool_] | None:
        """(rows, columns): which patches were computed for this frame; None if all were, outside of a stream."""

    @property
    def keyframe(self) -> bool:
        """Whether all patches were computed."""

    @property
    def oldest(self) -> int:
        """Frames since the least recently computed patch was computed."""

    @property
    def point(self) -> Point | None:
        """The operating point that a governor chose, or None."""

    @property
    def reason(self) -> str:
        """Why, in one line."""

    @property
    def state(self) -> DeviceState | None:
        """What the device said about itself then."""

    def top(self, k: int) -> Sequence[Prediction]:
        """The k most likely labels, best first."""


class Model(Protocol):
    """A model that a player can run on frames."""

    @property
    def name(self) -> str: ...

    @property
    def budgets(self) -> tuple[int, ...]:
        """The core counts the model offers, ascending."""

    @property
    def patch_size(self) -> int:
        """Pixels."""

    def __call__(self, image: NDArray[np.uint8], *, cores: int | None, image_size: int | None = None) -> Result:
        """The result for a frame; `cores` None leaves the choice to the model, if it makes one."""
