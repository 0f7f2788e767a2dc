from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np
import pytest

from tests.fakes import Clock
from tests.known import known
from tests.playback.web.web_fixtures import BUDGETS, CHOICES, shown
from veca_edge.playback.viewer import ViewState
from veca_edge.playback.web import board as boards
from veca_edge.playback.web.board import Board


def test_status_says_everything() -> None:
    board = Board()
    assert board.status(-1) == {
        "version": 0, "phase": "starting", "message": "", "picture": None, "run": None, "trail": [],
        "summary": None, "now": None,
    }  # fmt: skip
    board.begin(CHOICES)
    board.show(shown(3))
    told = json.loads(json.dumps(board.status(-1), allow_nan=False))
    assert (told["phase"], told["version"], told["picture"]) == ("running", 2, 2)
    assert told["run"]["budgets"] == list(BUDGETS)
    now = told["now"]
    assert (now["index"], now["cores"], now["latency_ms"], now["fps"]) == (3, 32, 10.0, 14.9)
    assert (now["patches"], now["patches_total"], now["patch_budget"], now["rate"]) == (4, 16, 96, 15.0)
    assert (now["reason"], now["image_size"]) == ("battery 50 %", [64, 64])
    assert now["labels"] == [{"label": "Äpfel <b>", "probability": 0.75}]
    assert now["sure"] is True
    assert now["device"]["battery"] == 0.5
    assert now["device"]["thermal"] == "fair"
    assert now["chosen"] == {"cores": None, "view": "labels", "paused": False, "head": ""}


def test_status_without_a_governor_and_with_odd_numbers() -> None:
    board = Board()
    board.show(shown(point=None, state=None, reason="", latency=float("inf")))
    now = json.loads(json.dumps(board.status(-1), allow_nan=False))["now"]
    assert (now["rate"], now["patch_budget"], now["latency_ms"], now["device"]["battery"]) == (None,) * 4


def test_only_the_newest_picture_is_kept() -> None:
    board = Board()
    for index in range(3):
        board.show(shown(index))
    assert board.picture is not None
    assert (board.picture.number, board.picture.image[0, 0, 0]) == (3, 2)
    unseen = shown(9)
    board.show(type(unseen)(None, unseen.frame, unseen.result, unseen.hud, unseen.labels, unseen.state))
    assert board.picture.number == 3  # of a frame that was not drawn
    assert board.status(-1)["now"]["index"] == 9


def test_curves_keep_the_slowest_frame_of_each_step() -> None:
    clock = Clock(0.0)
    board = Board(clock)
    for step in range(1, 9):
        clock.now = step / 10
        board.show(shown(latency=step / 1000))
    trail = board.status(-1)["trail"]
    assert trail == [[0.1, 1.0, 32], [0.4, 4.0, 32], [0.7, 7.0, 32]]
    after = [board.status(version)["trail"] for version in (1, 7, 8)]
    assert after == [trail[1:], [], []]
    for step in range(1000):
        clock.now += 1
        board.show(shown(step))
    assert len(board.status(-1)["trail"]) == boards.TRAIL


def test_wishes_reach_the_run_once_and_the_last_one_wins() -> None:
    board, state = Board(), ViewState(64, BUDGETS, auto=True)
    assert board.steer(state, 0) == state
    board.wish({"cores": 8, "view": "plain"})
    board.wish({"cores": None})
    steered = board.steer(state, 0)
    assert (steered.cores, steered.view, steered.paused) == (None, "plain", False)
    assert board.steer(state, 0) == state


def test_a_wish_ends_the_wait_for_one() -> None:
    board, state = Board(), ViewState(64, BUDGETS)
    threading.Timer(0.05, board.wish, [{"paused": True}]).start()
    begin = time.monotonic()
    assert board.steer(state, 5).paused
    assert time.monotonic() - begin < 2
    begin = time.monotonic()
    assert board.steer(state, 0.05) == state
    assert 0.04 < time.monotonic() - begin < 1


def test_nobody_looks_until_someone_asks() -> None:
    clock = Clock(0.0)
    board = Board(clock)
    assert not board.watched
    with board.looking():
        clock.now += 100
        assert board.watched
    assert board.watched
    clock.now += boards.WATCHED
    assert not board.watched


def test_messages_are_one_line_and_short() -> None:
    board = Board()
    board.tell("a\n b" + "x" * 1000)
    assert board.status(-1)["message"].startswith("a bx")
    assert len(board.status(-1)["message"]) == boards.MESSAGE_LENGTH
    board.end("went away", {"frames": 3})
    told = board.status(-1)
    assert (told["phase"], told["message"], told["summary"]) == ("ended", "went away", {"frames": 3})


def test_listener_hears_of_every_change() -> None:
    board, heard = Board(), []
    board.listen(lambda: heard.append(board.version))
    board.begin(CHOICES)
    board.show(shown())
    board.tell("x")
    assert heard == [1, 2, 3]


@pytest.mark.parametrize(
    ("shape", "size", "sides"), [((48, 64, 3), 480, (64, 48)), ((2000, 1000, 3), 800, (400, 800))]
)
def test_pictures_keep_their_shape(shape: tuple[Any, ...], size: int, sides: tuple[Any, ...]) -> None:
    import cv2

    from veca_edge.playback.web.board import Picture
    from veca_edge.playback.web.pictures import WHOLE, Encoder

    image = np.zeros(shape, np.uint8)
    image[:, : shape[1] // 2, 0] = 255  # red on the left
    encoder = Encoder()
    data = encoder.encode(Picture(1, image), size)
    decoded = known(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    assert decoded.shape[1::-1] == sides
    assert decoded[0, 0, 2] > 200 > 50 > decoded[0, -1, 2]
    assert encoder.encode(Picture(1, image), size) is data  # encoded once
    whole = known(cv2.imdecode(np.frombuffer(encoder.encode(Picture(1, image), WHOLE), np.uint8), 1))
    assert (whole[..., ::-1] == image).all()
    assert encoder.encode(Picture(2, image), size) is not data
