from __future__ import annotations

from dataclasses import replace

import cv2
import pytest

from veca_edge.errors import VecaError
from veca_edge.playback import viewer
from veca_edge.playback.teaching import Command
from veca_edge.playback.viewer import ViewState, apply_key, character, check_window, help_lines

START = ViewState(16, (8, 16, 32))
TEACHES = ViewState(16, (8, 16, 32), teaches=True)


def press(keys: str, state: ViewState = START) -> ViewState:
    for key in keys:
        state = apply_key(state, ord(key))
    return state


@pytest.mark.parametrize(
    ("keys", "cores"), [("+", 32), ("=", 32), ("++", 32), ("-", 8), ("_", 8), ("---+", 16), ("x", 16)]
)
def test_cores(keys: str, cores: int) -> None:
    assert press(keys).cores == cores


def test_views_go_round() -> None:
    views = ["labels", "features", "attention", "change", "plain", "labels"]
    assert [press("v" * n).view for n in range(6)] == views


def test_a_model_with_heads_has_masks_of_each() -> None:
    start = ViewState(16, (8, 16), heads=("people", "rooms"), head="people")
    assert "masks" in start.views
    assert "masks" not in START.views
    assert (press("v", start).view, press("v", start).head) == ("masks", "people")
    assert (press("n", start).view, press("n", start).head) == ("masks", "rooms")
    assert press("nn", start).head == "people"
    assert press("n") == START
    assert [len(help_lines(state)) for state in (start, START)] == [8, 7]


@pytest.mark.parametrize(("key", "name"), [(" ", "paused"), ("h", "help")])
def test_toggles(key: str, name: str) -> None:
    assert getattr(press(key), name)
    assert press(key * 2) == START


def test_snapshot_and_quit() -> None:
    assert press("s").snapshot
    assert press("q").quit
    assert apply_key(START, 27).quit


@pytest.mark.parametrize(
    ("keys", "commands", "place"),
    [
        ("3", [Command("add", 3)], 3),
        ("15", [Command("add", 1), Command("add", 5)], 5),
        ("u", [Command("undo")], 1),
        ("0", [], 1),
        ("rmug\r", [Command("rename", 1, "mug")], 1),
        ("2rqvn 1\n", [Command("add", 2), Command("rename", 2, "qvn 1")], 2),
        ("r\t\tTää\bu \r", [Command("rename", 3, "Täu")], 3),
        ("r mug \x1b", [], 1),
        ("r  \r", [], 1),
        ("r" + "x" * 200 + "\r", [Command("rename", 1, "x" * 100)], 1),
    ],
)
def test_keys_for_names(keys: str, commands: list[Command], place: int) -> None:
    after = press(keys, TEACHES)
    assert after == replace(TEACHES, commands=tuple(commands), place=place)
    assert press(keys.replace("\x1b", "")[:1]).commands == ()  # without a gallery they do nothing


def test_the_frame_stays_while_a_name_is_typed() -> None:
    typing = press("rmug", TEACHES)
    assert (typing.typing, typing.held, typing.paused, typing.quit) == ("mug", True, False, False)
    assert apply_key(typing, -1) == typing
    assert apply_key(typing, 27) == TEACHES


def test_the_help_has_the_keys_for_names_where_they_do_something() -> None:
    keys = {key for key, _ in help_lines(TEACHES)}
    assert keys - {key for key, _ in help_lines(START)} == {"1 … 9", "r", "u"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (-1, -1), (ord("a"), ord("a")), (0xE4, 0xE4), (27, 27),
        *((0xFF00 + low, low) for low in (8, 9, 13, 27)),
        (0xFF51, -1), (0xFFE1, -1), (0xFF9B, -1), (0xFFFF, -1),  # left, Shift, page down, delete
        (0xFF8D, 13), (0xFFB7, ord("7")), (0xFFAB, ord("+")), (0x100000 + ord("x"), ord("x")), (0x6C1, -1),
        (0x250000, 0),
    ],
)  # fmt: skip
def test_codes_of_keys(code: int, expected: int) -> None:
    assert character(code) == expected


@pytest.mark.parametrize("key", [-1, 0, 255, ord("z"), ord("3"), ord("r"), ord("u")])
def test_other_keys_change_nothing(key: int) -> None:
    assert apply_key(START, key) == START


def test_bad_states() -> None:
    with pytest.raises(VecaError, match="9 cores: this model offers 8, 16"):
        ViewState(9, (8, 16))
    with pytest.raises(VecaError, match="unknown view 'x'"):
        ViewState(8, (8,), "x")
    with pytest.raises(VecaError, match="unknown view 'masks'"):
        ViewState(8, (8,), "masks")
    with pytest.raises(VecaError, match="unknown head 'x': this model has people"):
        ViewState(8, (8,), heads=("people",), head="x")


def test_opencv_without_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    with pytest.raises(VecaError, match=r"pip install 'veca-edge\[window\]'.*--headless"):
        viewer.Window()


def test_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "QT5")
    with pytest.raises(VecaError, match="no screen"):
        check_window({}, "linux")
    check_window({"DISPLAY": ":0"}, "linux")
    check_window({}, "darwin")
