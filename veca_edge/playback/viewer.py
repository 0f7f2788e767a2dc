"""The window: shows pictures, and turns keys into what the next frame should be."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from veca_edge.arrays import Image
from veca_edge.errors import VecaError, require, shown
from veca_edge.playback.views import views_for

TITLE = "veca-edge"
ESCAPE = 27
HELP = (
    ("+  -", "more or fewer cores"),
    ("a", "cores chosen by the device's state"),
    ("v", "next view"),
    ("n", "masks of the next head"),
    ("space", "pause"),
    ("s", "save a snapshot"),
    ("h", "this help"),
    ("q  Esc", "quit"),
)


@dataclass(frozen=True)
class ViewState:
    """What the keys have set.

    Attributes:
        cores: one of `budgets`, or None if the model chooses.
        budgets: core counts on offer, ascending.
        view: one of `views`.
        auto: whether the model can choose.
        heads: the dense heads that "masks" can show.
        head: the one that it shows; "" without any.
        snapshot: the picture on show is to be saved (whoever saves it sets this back).
    """

    cores: int | None
    budgets: tuple[int, ...]
    view: str = "labels"
    paused: bool = False
    help: bool = False
    snapshot: bool = False
    quit: bool = False
    auto: bool = False
    heads: tuple[str, ...] = ()
    head: str = ""

    def __post_init__(self) -> None:
        if self.view not in self.views:
            raise VecaError(f"unknown view {shown(self.view)}: use {', '.join(self.views)}")
        if self.head not in (self.heads or ("",)):
            raise VecaError(f"unknown head {shown(self.head)}: this model has {', '.join(self.heads) or 'none'}")
        if self.cores not in self.budgets and not (self.auto and self.cores is None):
            offered = ", ".join(map(str, self.budgets))
            raise VecaError(f"{self.cores} cores: this model offers {offered}")

    @property
    def views(self) -> tuple[str, ...]:
        """The views that this model has something for."""
        return views_for(self.heads)


def apply_key(state: ViewState, key: int) -> ViewState:
    """The state after a key (its character's code; -1 for none). Unknown keys change nothing."""
    if key == ESCAPE or key == ord("q"):
        return replace(state, quit=True)
    if key in (ord("+"), ord("=")):
        return _step(state, 1)
    if key in (ord("-"), ord("_")):
        return _step(state, -1)
    if key == ord("a") and state.auto:
        return replace(state, cores=None)
    if key == ord("v"):
        return replace(state, view=_next(state.views, state.view))
    if key == ord("n") and state.heads:
        return replace(state, view="masks", head=_next(state.heads, state.head))
    if key == ord(" "):
        return replace(state, paused=not state.paused)
    if key == ord("h"):
        return replace(state, help=not state.help)
    if key == ord("s"):
        return replace(state, snapshot=True)
    return state


def help_lines(state: ViewState) -> list[tuple[str, str]]:
    """Keys and what they do: those that do something here."""
    idle = {"n"} if len(state.heads) < 2 else set()
    return [line for line in HELP if line[0] not in idle]


def _next(choices: tuple[str, ...], now: str) -> str:
    return choices[(choices.index(now) + 1) % len(choices)]


def _step(state: ViewState, by: int) -> ViewState:
    if state.cores is None:
        return replace(state, cores=state.budgets[-1 if by > 0 else 0])
    place = state.budgets.index(state.cores) + by
    return replace(state, cores=state.budgets[min(max(place, 0), len(state.budgets) - 1)])


class Window:
    """A resizable window on the screen.

    Raises:
        VecaError: this OpenCV has no windows, or there is no screen.
    """

    def __init__(self, title: str = TITLE) -> None:
        check_window()
        # The wheel's Qt warns of fonts that only its tool bar would need.
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
        import cv2

        self._title = title
        try:
            # Without OpenCV's tool bar, which takes its place from the picture.
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise VecaError(f"cannot open a window ({error.err}): use --headless or --serve") from None
        self._shape: tuple[int, ...] | None = None

    def show(self, image: Image) -> None:
        """Show (H, W, 3) uint8 RGB; the window takes the size of the first picture."""
        import cv2

        if self._shape is None:
            cv2.resizeWindow(self._title, image.shape[1], image.shape[0])
            self._shape = image.shape
        cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def key(self, wait: float = 0.001) -> int:
        """The key pressed within `wait` seconds, -1 for none; Esc if the window has been closed."""
        import cv2

        key = int(cv2.waitKey(max(1, round(wait * 1000))))
        if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            return ESCAPE
        return key & 0xFF if key >= 0 else -1

    def close(self) -> None:
        import cv2

        with suppress(cv2.error):  # the user may have closed it already
            cv2.destroyWindow(self._title)


def check_window(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> None:
    """Raise a one-line VecaError if no window can be shown here."""
    require("cv2", "window")
    import cv2

    if not cv2.currentUIFramework():
        raise VecaError(
            "this OpenCV has no windows: pip install 'veca-edge[window]' (after pip uninstall "
            "opencv-python-headless), or use --headless or --serve"
        )
    environment = os.environ if environment is None else environment
    # The window toolkit would end the whole process when it finds no screen.
    if platform.startswith("linux") and not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        raise VecaError("there is no screen (DISPLAY is not set): use --headless or --serve")
