"""A server for a run on a free port, and connections to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.playback.web.web_fixtures import CHOICES, Client, shown
from veca_edge.playback.web.address import Address
from veca_edge.playback.web.server import WebView


@pytest.fixture
def web() -> Iterator[WebView]:
    """Without a token, and with one frame of a run."""
    with WebView(Address("127.0.0.1", 0)) as view:
        view.board.begin(CHOICES)
        view.board.show(shown(7))
        yield view


@pytest.fixture
def locked() -> Iterator[WebView]:
    """With a token, as on a network."""
    with WebView(Address("127.0.0.1", 0), "a-token-for-the-tests") as view:
        view.board.begin(CHOICES)
        view.board.show(shown(7))
        yield view


@pytest.fixture
def connect() -> Iterator[Callable[[WebView], Client]]:
    """Makes connections that are closed in the end."""
    made: list[Client] = []

    def make(view: WebView) -> Client:
        made.append(Client(view))
        return made[-1]

    yield make
    for client in made:
        client.close()
