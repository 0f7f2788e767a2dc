"""What a player asks of the object that it runs on frames, and of whoever watches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from veca_edge.arrays import Image
from veca_edge.camera.frames import Frame
from veca_edge.gallery.gallery import Match
from veca_edge.playback.overlay import Hud
from veca_edge.playback.teaching import Taught
from veca_edge.playback.viewer import ViewState
from veca_edge.runtime.result import Prediction, Result
from veca_edge.session import SessionStatistics


class Runner(Protocol):
    """Runs on one frame after another: a model, a stream of one, a session, or any object with these members."""

    @property
    def name(self) -> str: ...

    @property
    def budgets(self) -> tuple[int, ...]:
        """The core counts on offer, ascending."""

    @property
    def statistics(self) -> SessionStatistics | None:
        """What a governor has done so far; None if none chooses."""

    def __call__(self, image: Image, *, cores: int | None, image_size: int | None = None) -> Result:
        """The result for the next frame, uint8 (H, W, 3), RGB; `cores` None leaves the choice to the runner."""


class Screen(Protocol):
    """The part of `viewer.Window` that a player uses."""

    def show(self, image: Image) -> None: ...

    def key(self, wait: float = 0.001) -> int: ...


@dataclass(frozen=True, eq=False)
class Shown:
    """One frame of a run and what came of it.

    Attributes:
        picture: (H, W, 3) uint8 RGB as it is shown, or None if it was not drawn because nobody looked.
        hud: the numbers; of a frame that was left out, those of the one whose result it shows.
        labels: the most likely ones, best first; empty for a model without a head.
        state: what is chosen: cores, view, pause.
        match: what a gallery says of it; None without one.
        taught: the names of the gallery and what came of the last command; None without one.
    """

    picture: Image | None
    frame: Frame
    result: Result
    hud: Hud
    labels: Sequence[Prediction]
    state: ViewState
    match: Match | None = None
    taught: Taught | None = None


class Remote(Protocol):
    """Shows a run elsewhere. All of it is called from the run's own thread, which must not be held up."""

    @property
    def watched(self) -> bool:
        """Whether anyone looks; if not, nothing needs to be drawn."""

    def show(self, shown: Shown) -> None:
        """Take the newest frame; the last one is forgotten, sent or not."""

    def steer(self, state: ViewState, wait: float) -> ViewState:
        """`state` with what the viewers have chosen since the last call; waits up to `wait` seconds for it."""
