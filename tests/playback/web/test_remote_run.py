"""A run that is watched and steered from elsewhere."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import FakeModel, film
from tests.known import known
from veca_edge.camera.frames import Source
from veca_edge.camera.sources import open_source
from veca_edge.playback.player import Player
from veca_edge.playback.protocols import Shown
from veca_edge.playback.request import RunRequest
from veca_edge.playback.summary import Summary
from veca_edge.playback.viewer import ViewState
from veca_edge.playback.web.board import Board

BUDGETS = FakeModel.budgets


class FakeRemote:
    """Wishes for something at given frames, and keeps what it was shown."""

    def __init__(self, wishes: dict[int, dict[str, Any]], watched: bool = True) -> None:
        self.wishes, self.watched = wishes, watched
        self.shown: list[Shown] = []
        self.waited = 0

    def show(self, shown: Shown) -> None:
        self.shown.append(shown)

    def steer(self, state: ViewState, wait: float) -> ViewState:
        if wait:
            self.waited += 1
            return replace(state, paused=self.waited < 4)
        return replace(state, **self.wishes.get(len(self.shown), {}))


def play(
    remote: FakeRemote,
    source: Source | None = None,
    options: RunRequest | None = None,
    model: FakeModel | None = None,
) -> Summary:
    player = Player(
        model or FakeModel(), source or film(), ViewState(64, BUDGETS), options or RunRequest(), remote=remote
    )
    return player.run()


def test_every_frame_is_shown_with_its_numbers() -> None:
    remote = FakeRemote({})
    assert play(remote).frames == 6
    assert [shown.frame.index for shown in remote.shown] == list(range(6))
    last = remote.shown[-1]
    assert known(last.picture).shape == (120, 160, 3)
    assert (last.hud.cores, last.hud.latency, last.labels[0].label) == (64, 0.01, "Äpfel")


def test_nothing_is_drawn_for_nobody(tmp_path: Path) -> None:
    remote = FakeRemote({}, watched=False)
    play(remote)
    assert [shown.picture for shown in remote.shown] == [None] * 6
    remote = FakeRemote({}, watched=False)
    play(remote, options=RunRequest(save=tmp_path / "a.mp4", log=tmp_path / "a.jsonl"))
    assert all(shown.picture is not None for shown in remote.shown)  # saved anyway
    with open_source(str(tmp_path / "a.mp4")) as saved:
        assert len(list(saved)) == 6
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 6


def test_wishes_count_from_the_next_frame_on() -> None:
    model, remote = FakeModel(), FakeRemote({2: {"cores": 8}, 3: {"view": "features"}})
    play(remote, model=model)
    assert model.calls == [64, 64, 8, 8, 8, 8]
    assert [shown.state.view for shown in remote.shown] == ["labels"] * 3 + ["features"] * 3


def test_a_pause_stays_on_its_frame_and_draws_only_what_is_new(tmp_path: Path) -> None:
    remote = FakeRemote({2: {"paused": True}})
    summary = play(remote, options=RunRequest(save=tmp_path / "a.mp4"))
    assert summary.frames == 6
    assert [shown.frame.index for shown in remote.shown] == [0, 1, 1, 2, 3, 4, 5]
    assert remote.waited == 4
    with open_source(str(tmp_path / "a.mp4")) as saved:
        assert len(list(saved)) == 6


def test_a_watched_film_plays_at_its_own_pace() -> None:
    begin = time.monotonic()
    play(FakeRemote({}), film(6, fps=50))
    assert time.monotonic() - begin > 4 / 50


def test_stop_ends_a_pause() -> None:
    board = Board()
    player = Player(FakeModel(), film(), ViewState(64, BUDGETS), RunRequest(), remote=board)
    board.wish({"paused": True})
    threading.Timer(0.2, player.stop, ["test"]).start()
    begin = time.monotonic()
    assert player.run().stopped == "test"
    assert 0.15 < time.monotonic() - begin < 3


def test_who_comes_while_it_is_paused_gets_a_picture() -> None:
    board = Board()
    player = Player(FakeModel(), film(), ViewState(64, BUDGETS), RunRequest(), remote=board)
    board.wish({"paused": True})
    thread = threading.Thread(target=player.run)
    thread.start()
    time.sleep(0.2)
    assert board.picture is None
    with board.looking():
        deadline = time.monotonic() + 5
        while board.picture is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    number = board.picture.number
    time.sleep(0.2)
    assert board.picture.number == number  # and no more than one
    board.wish({"view": "features"})
    while board.picture.number == number:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    player.stop("test")
    thread.join(5)


@pytest.mark.parametrize("view", ["labels", "features", "attention", "change", "plain"])
def test_the_page_has_its_own_place_for_the_numbers(view: str, tmp_path: Path) -> None:
    """Without a file to save, the panel of numbers is left out of the picture."""
    remote, saving = FakeRemote({1: {"view": view}}), FakeRemote({1: {"view": view}})
    play(remote, film(2))
    play(saving, film(2), RunRequest(save=tmp_path / "a.mp4"))
    assert not np.array_equal(known(remote.shown[-1].picture), known(saving.shown[-1].picture))
