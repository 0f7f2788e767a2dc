"""Requests that break the rules of HTTP, sent to a server."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from veca_edge.playback.web.server import WebView


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 600 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"POST /control HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1025\r\n\r\n" + b"a" * 1025, 413),
        (b"POST /control HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n", 400),
        (b"POST /control HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /control HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5, 5\r\n\r\n", 400),
        (b"POST /control HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: local\0host\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: localhost\r\n\r\n", 400),
        (b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /page%2ejs HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET //evil.example HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"DELETE /state HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET /state?after=x HTTP/1.1\r\nHost: localhost\r\nX-Veca-Edge: 1\r\n\r\n", 400),
        (b"GET /frame?size=99999 HTTP/1.1\r\nHost: localhost\r\nX-Veca-Edge: 1\r\n\r\n", 400),
        (b"GET /state?" + b"a=1&" * 9 + b"a=1 HTTP/1.1\r\nHost: localhost\r\nX-Veca-Edge: 1\r\n\r\n", 400),
    ],
)
def test_bad_requests(web: WebView, connect: Callable[..., Any], request_bytes: bytes, status: int) -> None:
    client = connect(web)
    client.send(request_bytes)
    answer = client.answer()
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert client.ended()
    assert answer.body == b"" or answer.body.count(b"\n") >= 1


def test_any_bytes_at_all(web: WebView, connect: Callable[..., Any]) -> None:
    """Damaged requests: every answer is one of HTTP's or none, and the server goes on."""
    numbers = random.Random(5)
    good = b"GET /state?after=-1 HTTP/1.1\r\nHost: localhost\r\nX-Veca-Edge: 1\r\nContent-Length: 0\r\n\r\n"
    for _ in range(150):
        data = bytearray(good)
        for _ in range(numbers.randrange(1, 6)):
            place = numbers.randrange(len(data))
            data[place : place + numbers.randrange(3)] = numbers.randbytes(numbers.randrange(4))
        client = connect(web)
        client.send(bytes(data))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.answer().status in (0, 200, 204, 400, 403, 404, 405, 411, 413, 421, 429, 431)
        client.close()
        time.sleep(0.002)  # below the limit of requests
    time.sleep(0.2)
    assert connect(web).ask("/state").status == 200
    assert web._thread.is_alive()
    assert not web._failed
