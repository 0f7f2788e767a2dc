from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from tests.known import known
from tests.playback.web.web_fixtures import CHOICES, Answer, Client, shown
from veca_edge.errors import StreamError, VecaError
from veca_edge.playback.viewer import ViewState
from veca_edge.playback.web import guard, server, site
from veca_edge.playback.web.address import Address
from veca_edge.playback.web.board import Board
from veca_edge.playback.web.server import WebView

STATE = ViewState(None, CHOICES.budgets, auto=True)
LARGE = np.random.default_rng(0).integers(0, 255, (960, 1280, 3), np.uint8)  # about a megabyte as a JPEG


def once(view: WebView, path: str, **headers: Any) -> Answer:
    """A question on a connection of its own."""
    client = Client(view)
    try:
        return client.ask(path, **headers)
    finally:
        client.close()


def control(client: Client, wishes: object, **more: Any) -> Answer:
    return client.ask("/control", "POST", json.dumps(wishes).encode(), **more)


def test_the_page_and_all_it_needs(web: WebView, connect: Callable[..., Any]) -> None:
    page = connect(web).ask("/")
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    text = page.body.decode()
    for path, kind in (
        ("page.js", "text/javascript"),
        ("teach.js", "text/javascript"),
        ("page.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ):
        assert path in text
        found = connect(web).ask(f"/{path}")
        assert found.headers["content-type"].startswith(kind)
        assert found.headers["x-content-type-options"] == "nosniff"
        assert "http://" not in found.body.decode().replace("http://www.w3.org/", "")
    assert "<script>" not in text
    assert " style=" not in text


def test_state_and_picture(web: WebView, connect: Callable[..., Any]) -> None:
    client = connect(web)
    told = client.ask("/state").json()
    assert (told["phase"], told["run"]["model"], told["now"]["index"]) == ("running", "tiny", 7)
    frame = client.ask("/frame")
    assert frame.headers["content-type"] == "image/jpeg"
    assert int(frame.headers["x-picture"]) == told["picture"]
    assert known(cv2.imdecode(np.frombuffer(frame.body, np.uint8), 1)).shape == (48, 64, 3)
    snapshot = client.ask("/snapshot")
    assert snapshot.headers["content-type"] == "image/png"
    assert (known(cv2.imdecode(np.frombuffer(snapshot.body, np.uint8), 1)) == 7).all()


def test_questions_wait_for_news(web: WebView, connect: Callable[..., Any]) -> None:
    client = connect(web)
    version = client.ask("/state").json()["version"]
    threading.Timer(0.2, web.board.show, [shown(8)]).start()
    begin = time.monotonic()
    frame = client.ask(f"/frame?after={version}")
    assert 0.15 < time.monotonic() - begin < 3
    assert int(frame.headers["x-picture"]) == version + 1
    assert client.ask(f"/state?after={version}").json()["now"]["index"] == 8


def test_without_news_there_is_no_answer_but_the_connection_lasts(
    web: WebView, connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "HOLD", 0.1)
    client = connect(web)
    for path in ("/state?after=999999", "/frame?after=999999"):
        assert client.ask(path).status == 204
    assert client.ask("/state").status == 200


def test_a_viewer_makes_the_run_draw(
    web: WebView, connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "HOLD", 1.0)
    assert not web.board.watched
    client = connect(web)
    threading.Thread(target=client.ask, args=["/frame?after=999999"], daemon=True).start()
    deadline = time.monotonic() + 3
    while not web.board.watched:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_controls_reach_the_run(web: WebView, connect: Callable[..., Any]) -> None:
    client = connect(web)
    for wishes, expected in (
        ({"cores": 16}, (16, "labels", False)),
        ({"cores": "auto", "view": "features"}, (None, "features", False)),
        ({"paused": True}, (None, "labels", True)),
    ):
        assert control(client, wishes).status == 204
        steered = web.board.steer(STATE, 1)
        assert (steered.cores, steered.view, steered.paused) == expected


@pytest.mark.parametrize(
    "wishes",
    [
        {}, [], None, 3, "x", {"cores": 9}, {"cores": True}, {"cores": 16.0}, {"cores": None}, {"cores": [8]},
        {"view": "x"}, {"view": ["labels"]}, {"view": None}, {"paused": 1}, {"paused": None}, {"quit": True},
        {"cores": 8, "snapshot": True}, {"budgets": [1]}, {"view": "masks"}, {"head": "people"}, {"head": ""},
    ],
)  # fmt: skip
def test_controls_out_of_range(web: WebView, connect: Callable[..., Any], wishes: Any) -> None:
    assert control(connect(web), wishes).status == 400
    assert web.board.steer(STATE, 0) == STATE


def test_controls_that_this_run_does_not_offer(connect: Callable[..., Any]) -> None:
    with WebView(Address("127.0.0.1", 0)) as web:
        assert control(connect(web), {"paused": True}).status == 409  # nothing runs yet
        web.board.begin(type(CHOICES)("m", "s", (8, 16), False, True, ("labels",)))
        assert control(connect(web), {"cores": 8}).status == 409
        assert control(connect(web), {"view": "plain"}).status == 400
        assert control(connect(web), {"paused": True}).status == 204


def test_masks_are_offered_by_models_with_heads_only(web: WebView, connect: Callable[..., Any]) -> None:
    client = connect(web)
    assert "masks" not in json.loads(client.ask("/state").body)["run"]["views"]
    chosen = ViewState(8, (8,), heads=("people", "rooms"), head="people")
    web.board.begin(type(CHOICES)("m", "s", (8,), False, False, chosen.views, chosen.heads))
    assert "masks" in json.loads(client.ask("/state").body)["run"]["views"]
    assert control(client, {"view": "masks", "head": "rooms"}).status == 204
    steered = web.board.steer(chosen, 1)
    assert (steered.view, steered.head) == ("masks", "rooms")


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 1000, b"\xff\xfe", b'{"cores": 1e999}', b"9" * 1000])
def test_controls_that_are_no_json(web: WebView, connect: Callable[..., Any], body: bytes) -> None:
    assert connect(web).ask("/control", "POST", body, Content_Type="application/json").status == 400


def test_other_sites_get_nothing(web: WebView, connect: Callable[..., Any]) -> None:
    """What a page of another site can make a browser send."""
    body = b'{"cores": 8}'
    assert connect(web).ask("/control", "POST", body, Content_Type="text/plain").status == 415
    assert connect(web).ask("/control", "POST", body, ("X-Veca-Edge",)).status == 403
    for path in ("/state", "/frame", "/snapshot"):
        assert connect(web).ask(path, without=("X-Veca-Edge",)).status == 403
        assert connect(web).ask(path, Origin="http://evil.example").status == 403
        assert connect(web).ask(path, Origin="null").status == 403
        assert connect(web).ask(path, Sec_Fetch_Site="cross-site").status == 403
        assert connect(web).ask(path, Sec_Fetch_Site="same-site").status == 403
        assert connect(web).ask(path, Host="evil.example").status == 421
    preflight = connect(web).ask("/control", "OPTIONS", Origin="http://evil.example")
    assert preflight.status == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    assert connect(web).ask("/", Host="evil.example").status == 421
    assert connect(web).ask("/", without=("Host",)).status == 421
    assert web.board.steer(STATE, 0) == STATE
    port = web.url.split(":")[-1].strip("/")
    assert connect(web).ask("/state", Origin=f"http://127.0.0.1:{port}", Sec_Fetch_Site="same-origin").status == 200


def test_cookies_of_other_programs_and_a_proxy_with_its_own_name(connect: Callable[..., Any]) -> None:
    with WebView(Address("127.0.0.1", 0), "a-token-for-the-tests", hosts=["board.lan"]) as web:
        for host in ("board.lan", "board.lan:8443"):
            origin = {"Host": host, "Origin": f"https://{host}", "Cookie": "a=" + "b" * 30_000}
            assert connect(web).ask("/state", **origin).status == 200
        assert connect(web).ask("/state", Host="other.lan").status == 421
        assert connect(web).ask("/state", Host="board.lan", Origin="https://other.lan").status == 403
    with WebView(Address("127.0.0.1", 0), hosts=["board.lan"]) as open_one:
        assert open_one.token  # whoever has another name for this machine is on another one


def test_nothing_without_the_token(locked: WebView, connect: Callable[..., Any]) -> None:
    assert locked.url.endswith("/#a-token-for-the-tests")
    for path in ("/state", "/frame", "/snapshot"):
        assert connect(locked).ask(path, without=("Authorization",)).status == 401
        assert connect(locked).ask(f"{path}?token=a-token-for-the-tests", without=("Authorization",)).status == 401
    assert control(connect(locked), {"cores": 8}, Authorization="Bearer x").status == 401
    assert locked.board.steer(STATE, 0) == STATE
    assert connect(locked).ask("/", without=("Authorization",)).status == 200  # the page asks for it
    assert connect(locked).ask("/state").status == 200


def test_guessing_stops_soon(locked: WebView) -> None:
    answers = [once(locked, "/state", Authorization=f"Bearer {number:024}").status for number in range(30)]
    assert answers.count(401) in (10, 11)
    assert answers[-1] == 429
    assert once(locked, "/state").status == 429  # the right one too: else guessing would go on


def test_a_network_needs_a_token_and_this_machine_does_not() -> None:
    with WebView(Address("0.0.0.0", 0)) as open_one:
        assert open_one.token
        assert len(open_one.token) == 24
    with WebView(Address("127.0.0.1", 0)) as local:
        assert local.token is None
    with pytest.raises(VecaError, match="use 16 to 128 of the characters"):
        WebView(Address("127.0.0.1", 0), "weak")


def test_too_many_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "REQUESTS", 20.0)
    monkeypatch.setattr(guard, "REQUESTS_PER_SECOND", 10.0)
    with WebView(Address("127.0.0.1", 0)) as web:
        answers = [once(web, "/state?after=-1") for _ in range(60)]
        statuses = [answer.status for answer in answers]
        assert statuses[:20] == [200] * 20
        assert statuses.count(429) > 10
        assert {answer.headers["connection"] for answer in answers if answer.status == 429} == {"close"}
        time.sleep(0.5)
        assert once(web, "/state").status == 200


def test_snapshots_are_dear(web: WebView, connect: Callable[..., Any]) -> None:
    statuses = [connect(web).ask("/snapshot").status for _ in range(10)]
    assert statuses[0] == 200
    assert 429 in statuses


def test_too_many_connections(web: WebView, connect: Callable[..., Any]) -> None:
    held = [connect(web) for _ in range(guard.CONNECTIONS_PER_ADDRESS)]
    for client in held:
        assert client.ask("/state").status == 200
    one_more = connect(web)
    assert one_more.answer().status == 503
    assert one_more.ended()
    held[0].close()
    deadline = time.monotonic() + 3
    while connect(web).ask("/state").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_client_that_sends_slowly_is_let_go(
    web: WebView, connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_WAIT", 0.3)
    silent, slow = connect(web), connect(web)
    begin = time.monotonic()
    for byte in b"GET / HT":
        slow.send(bytes([byte]))
        time.sleep(0.02)
    assert slow.ended()
    assert silent.ended()
    assert time.monotonic() - begin < 2


def test_a_client_that_reads_nothing_holds_nobody_up(
    web: WebView, connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SEND_WAIT", 1.0)
    stuck = connect(web)
    stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    web.board.show(shown(1, LARGE))
    for _ in range(8):  # pipelined, more than the system buffers; none is read
        stuck.send(b"GET /frame HTTP/1.1\r\nHost: localhost\r\nX-Veca-Edge: 1\r\n\r\n")
    slowest = 0.0
    watcher = connect(web)
    for index in range(50):
        begin = time.monotonic()
        web.board.show(shown(index, LARGE))
        slowest = max(slowest, time.monotonic() - begin)
        assert watcher.ask("/state").json()["now"]["index"] == index
    assert slowest < 0.5  # the run's own thread never waits for a client
    deadline = time.monotonic() + 5
    while web._guard._open != {"127.0.0.1": 1}:
        assert time.monotonic() < deadline, "the stuck client was never let go"
        time.sleep(0.05)


def test_two_clients_see_the_same(web: WebView, connect: Callable[..., Any]) -> None:
    first, second = connect(web), connect(web)
    assert control(first, {"paused": True}).status == 204
    paused = web.board.steer(STATE, 1)
    web.board.show(shown(9, chosen=paused))
    for client in (first, second):
        assert client.ask("/state").json()["now"]["chosen"]["paused"]
    assert first.ask("/frame").body == second.ask("/frame").body


def test_viewers_learn_that_the_run_has_ended(web: WebView, connect: Callable[..., Any]) -> None:
    client, answers = connect(web), []
    version = client.ask("/state").json()["version"]
    waiting = threading.Thread(target=lambda: answers.append(client.ask(f"/state?after={version}").json()))
    waiting.start()
    web.board.end("", {"frames": 8, "stopped": "end"})
    begin = time.monotonic()
    web.__exit__(None, None, None)
    assert time.monotonic() - begin < 3
    waiting.join(5)
    assert (answers[0]["phase"], answers[0]["summary"]["frames"]) == ("ended", 8)
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the system likes
        Client(web).ask("/state")


def test_an_error_of_the_run_is_told(connect: Callable[..., Any]) -> None:
    answers = []

    def follow(web: WebView) -> None:
        client = connect(web)
        answers.append(client.ask("/state?after=1").json())

    with WebView(Address("127.0.0.1", 0)) as web:
        web.board.begin(CHOICES)
        viewer = threading.Thread(target=follow, args=[web])
        viewer.start()
        time.sleep(0.3)
        web.__exit__(StreamError, StreamError("camera 0 went away"), None)
    viewer.join(5)
    assert (answers[0]["phase"], answers[0]["message"]) == ("ended", "camera 0 went away")


def test_a_fault_in_the_server_is_told_once(connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with WebView(Address("127.0.0.1", 0), say=said.append) as web:
        monkeypatch.setattr(Board, "status", lambda board, after: 1 / 0)
        for _ in range(3):
            assert connect(web).ask("/state?after=-1").status == 500
    assert said == ["the web view failed: ZeroDivisionError: division by zero"]


def test_nothing_is_left_behind() -> None:
    before = threading.active_count()
    for _ in range(3):
        with WebView(Address("127.0.0.1", 0)) as web:
            client = Client(web)
            assert client.ask("/").status == 200
            client.close()
    assert threading.active_count() == before
