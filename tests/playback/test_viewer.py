from __future__ import annotations

import cv2
import pytest

from veca_edge.errors import VecaError
from veca_edge.playback import viewer
from veca_edge.playback.viewer import ViewState, apply_key, check_window, help_lines

START = ViewState(16, (8, 16, 32))


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


@pytest.mark.parametrize("key", [-1, 0, 255, ord("z")])
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
