"""The small part of HTTP/1.1 that is needed here, read strictly: what is unusual is refused, not guessed at."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl

# Bytes. Browsers send with every request the cookies that other programs of this host have set, on any port.
HEAD_LIMIT, BODY_LIMIT, TARGET_LIMIT = 65536, 1024, 512
REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.([01])")
HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):([\t -~\x80-\xff]*)")
POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
# For what a browser shows by itself; elsewhere they would be a quarter of the bytes.
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


class RequestError(Exception):
    """A request that is not served: the status and one line that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        path: without the query, as it was sent.
        query: the last value of each name.
        headers: by lower-case name.
        lasting: whether the client keeps the connection for more.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    lasting: bool = True
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """One answer.

    Attributes:
        kind: the body's media type.
        lasting: whether the client has earned to ask again on this connection.
    """

    status: int = 200
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    lasting: bool = False

    @classmethod
    def refusal(cls, status: int, message: str) -> Response:
        """One line that says why not."""
        return cls(status, f"{message}\n".encode())

    def encoded(self, lasting: bool) -> bytes:
        """The bytes to send; `lasting` tells the client that this connection stays open."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        if self.status != 204:
            lines += [f"Content-Type: {self.kind}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in (HEADERS | self.headers).items()]
        lines += [f"Connection: {'keep-alive' if lasting else 'close'}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None if the client has gone. The reader's limit must be HEAD_LIMIT.

    Raises:
        RequestError: it is too large, or is not HTTP as browsers speak it.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise RequestError(431, "the request's head is too large") from None
    request = parse_head(head)
    length = _body_length(request)
    try:
        body = await reader.readexactly(length) if length else b""
    except asyncio.IncompleteReadError:
        return None
    return Request(request.method, request.path, request.query, request.headers, request.lasting, body)


def parse_head(head: bytes) -> Request:
    """A request from its line and headers, up to and with the empty line.

    Raises:
        RequestError: something in it is not as it should be.
    """
    first, *rest = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    line = REQUEST_LINE.fullmatch(first)
    if line is None:
        raise RequestError(400, "not an HTTP request")
    method, target, minor = line.groups()
    if len(target) > TARGET_LIMIT:
        raise RequestError(414, "the address is too long")
    headers: dict[str, str] = {}
    for text in rest:
        match = HEADER.fullmatch(text)
        if match is None or match[1].lower() in headers:
            raise RequestError(400, "a header is malformed or repeated")
        headers[match[1].lower()] = match[2].strip(" \t")
    path, _, query = target.partition("?")
    try:
        fields = dict(parse_qsl(query, max_num_fields=8))
    except ValueError:
        raise RequestError(400, "the address has too many fields") from None
    lasting = minor == "1" and headers.get("connection", "").lower() != "close"
    return Request(method, path, fields, headers, lasting)


def _body_length(request: Request) -> int:
    """Bytes of the body, which are read even where nobody wants them: what follows is the next request."""
    if "transfer-encoding" in request.headers:
        raise RequestError(411, "the body needs a Content-Length")
    text = request.headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise RequestError(400, "the body's length is not a number")
    if int(text) > BODY_LIMIT:
        raise RequestError(413, "the body is too large")
    return int(text)
