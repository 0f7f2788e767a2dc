"""What viewers may ask to be taught, what they may not, and what they are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.playback.web.web_fixtures import CHOICES, Answer, Client, shown
from veca_edge.gallery.gallery import Gallery, Match
from veca_edge.playback.teaching import Command, Lesson, Taught
from veca_edge.playback.viewer import ViewState
from veca_edge.playback.web.board import WAITING, Board
from veca_edge.playback.web.server import WebView

STATE = ViewState(None, CHOICES.budgets, auto=True)


def teach(client: Client, told: object, **more: Any) -> Answer:
    return client.ask("/control", "POST", json.dumps({"teach": told, **more}).encode())


@pytest.fixture
def teaching(web: WebView) -> WebView:
    web.board.begin(replace(CHOICES, teaches=True))
    return web


def test_commands_reach_the_run_in_order(teaching: WebView, connect: Callable[..., Any]) -> None:
    client = connect(teaching)
    for told in ({"deed": "add", "place": 3}, {"deed": "rename", "place": 3, "name": "mug <b>"}, {"deed": "undo"}):
        assert teach(client, told).status == 204
    assert teach(client, {"deed": "remove", "place": 9}, paused=True).status == 204
    commands = (Command("add", 3), Command("rename", 3, "mug <b>"), Command("undo"), Command("remove", 9))
    assert teaching.board.steer(STATE, 1) == replace(STATE, commands=commands, paused=True)
    assert teaching.board.steer(STATE, 0) == STATE


DEEDS: tuple[Any, ...] = (
    *(None, [], "add", {}, {"deed": "save"}, {"deed": ["add"]}, {"deed": "add", "path": "/etc/passwd"}),
)
NAMES = {
    "is no text": (None, ["a"], 3),
    "cannot be shown": ("", "a\nb", " a", "\x1b[2J"),
    "is 101 characters long: use at most 100": ("x" * 101,),
}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        *((told, "unknown deed: use add, rename, remove, undo") for told in DEEDS),
        *(
            ({"deed": "add", "place": place}, "place must be a number from 1 to 9")
            for place in (0, 10, True, 1.0, "1", None, [1])
        ),
        *(
            ({"deed": "rename", "place": 1, "name": name}, words)
            for words, wrong in NAMES.items()
            for name in wrong
        ),
        ({"deed": "rename", "place": 1}, "is no text"),
    ],
)
def test_out_of_range(teaching: WebView, connect: Callable[..., Any], told: Any, words: str) -> None:
    answer = teach(connect(teaching), told)
    assert answer.status == 400
    assert words in answer.body.decode()
    assert teaching.board.steer(STATE, 0) == STATE


def test_the_longest_names_fit_and_far_longer_ones_are_too_large(
    teaching: WebView, connect: Callable[..., Any]
) -> None:
    for character in ("x", '"', "苹", "😀"):
        told = {"deed": "rename", "place": 1, "name": character * 100}
        body = json.dumps({"teach": told}, ensure_ascii=False).encode()  # as browsers write it
        assert connect(teaching).ask("/control", "POST", body).status == 204
    answer = teach(connect(teaching), {"deed": "rename", "place": 1, "name": "x" * 10_000})
    assert (answer.status, answer.body) == (413, b"the body is too large\n")


def test_without_a_gallery_nothing_is_taught(web: WebView, connect: Callable[..., Any]) -> None:
    refused = teach(connect(web), {"deed": "add", "place": 1})
    assert (refused.status, b"start it with --teach" in refused.body) == (409, True)
    assert web.board.steer(STATE, 0) == STATE


def test_nobody_teaches_faster_than_the_run(teaching: WebView, connect: Callable[..., Any]) -> None:
    client = connect(teaching)
    assert [teach(client, {"deed": "undo"}).status for _ in range(WAITING)] == [204] * WAITING
    assert teach(client, {"deed": "undo"}).status == 429
    assert len(teaching.board.steer(STATE, 0).commands) == WAITING


def test_the_state_says_what_is_taught() -> None:
    board = Board()
    places = Lesson(Gallery()).rename(2, "mug <b>").places
    board.show(shown(match=Match("mug <b>", 0.5, True), taught=Taught(places, 3, "thing 2 is now mug <b>")))
    now = json.loads(json.dumps(board.status(-1), allow_nan=False))["now"]
    assert now["gallery"] == {"label": "mug <b>", "similarity": 0.5, "sure": True, "ties": []}
    free, named = {"number": 1, "name": "thing 1", "examples": 0}, {"number": 2, "name": "mug <b>", "examples": 0}
    assert now["taught"] == {"places": [free, named], "steps": 3, "told": "thing 2 is now mug <b>"}
