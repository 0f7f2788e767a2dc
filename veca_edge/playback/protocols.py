"""What a player needs of the object that it runs on frames."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from veca_edge.runtime.result import Result
from veca_edge.session import SessionStatistics


class Runner(Protocol):
    """Runs on one frame after another: a model, a stream of one, a session, or any object with these members."""

    @property
    def name(self) -> str: ...

    @property
    def budgets(self) -> tuple[int, ...]:
        """The core counts on offer, ascending."""

    @property
    def patch_size(self) -> int:
        """Pixels."""

    @property
    def statistics(self) -> SessionStatistics | None:
        """What a governor has done so far; None if none chooses."""

    def __call__(self, image: NDArray[np.uint8], *, cores: int | None, image_size: int | None = None) -> Result:
        """The result for the next frame, uint8 (H, W, 3), RGB; `cores` None leaves the choice to the runner."""
