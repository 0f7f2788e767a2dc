"""The window: shows pictures, and turns keys into what the next frame should be."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from veca_edge.arrays import Image
from veca_edge.errors import VecaError, require, shown
from veca_edge.gallery.gallery import LONGEST_LABEL
from veca_edge.playback.teaching import PLACES, Command
from veca_edge.playback.views import views_for

TITLE = "veca-edge"
ESCAPE = 27
TAB, ENTER, BACKSPACE = 9, (10, 13), (8, 127)
HELP = (
    ("+  -", "more or fewer cores"),
    ("a", "cores chosen by the device's state"),
    ("v", "next view"),
    ("n", "masks of the next head"),
    ("space", "pause"),
    ("s", "save a snapshot"),
    ("1 … 9", "add the picture to this name"),
    ("r", "type a name, Tab for the next one"),
    ("u", "undo the last change of names"),
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
        teaches: whether names can be taught.
        place: the number of the name that was taught last.
        typing: what has been typed of its new name; None if nobody types.
        commands: what is to be taught with the picture on show (whoever does it sets this back).
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
    teaches: bool = False
    place: int = 1
    typing: str | None = None
    commands: tuple[Command, ...] = ()

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

    @property
    def held(self) -> bool:
        """Whether the frame on show stays: in a pause, and while a name for it is typed."""
        return self.paused or self.typing is not None


def apply_key(state: ViewState, key: int) -> ViewState:
    """The state after a key (its character's code; -1 for none). Unknown keys change nothing."""
    if state.typing is not None:
        return _type(state, state.typing, key)
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
    return _teach(state, key) if state.teaches else state


def _teach(state: ViewState, key: int) -> ViewState:
    """The state after a key for names."""
    if ord("1") <= key <= ord("9"):
        place = key - ord("0")
        return replace(state, place=place, commands=(*state.commands, Command("add", place)))
    if key == ord("u"):
        return replace(state, commands=(*state.commands, Command("undo")))
    return replace(state, typing="") if key == ord("r") else state


def _type(state: ViewState, typed: str, key: int) -> ViewState:
    """The state after a key of a name; an empty one changes nothing."""
    if key == ESCAPE:
        return replace(state, typing=None)
    if key in ENTER:
        named = (Command("rename", state.place, typed.strip()),) if typed.strip() else ()
        return replace(state, typing=None, commands=(*state.commands, *named))
    if key in BACKSPACE:
        return replace(state, typing=typed[:-1])
    if key == TAB:
        return replace(state, place=state.place % PLACES + 1)
    if key >= 0 and chr(key).isprintable() and len(typed) < LONGEST_LABEL:
        return replace(state, typing=typed + chr(key))
    return state


def help_lines(state: ViewState) -> list[tuple[str, str]]:
    """Keys and what they do: those that do something here."""
    idle = {"n"} if len(state.heads) < 2 else set()
    idle |= set() if state.teaches else {"1 … 9", "r", "u"}
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

        key = int(cv2.waitKeyEx(max(1, round(wait * 1000))))
        if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            return ESCAPE
        return character(key)

    def close(self) -> None:
        import cv2

        with suppress(cv2.error):  # the user may have closed it already
            cv2.destroyWindow(self._title)


def character(code: int) -> int:
    """The character of a code of OpenCV's `waitKeyEx`; -1 for a key without one, and for none.

    Where codes are those of X11, special keys are 0xff00 and more: an arrow's lower byte would be a letter.
    """
    if code < 0:
        return -1
    code &= 0xFFFF  # above are the keys that are held, such as Shift or the lock of the numbers
    if code < 0x100:
        return code
    special, low = code >> 8 == 0xFF, code & 0xFF
    if special and low in (ESCAPE, TAB, *ENTER, *BACKSPACE[:1]):
        return low
    if special and (low == 0x8D or 0xAA <= low <= 0xB9):  # of the block of numbers: Enter, and from * to 9
        return low - 0x80
    return -1


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
