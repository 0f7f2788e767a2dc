"""What is served: the page, the run's state and picture as soon as they are new, and the controls."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any

from veca_edge.encoding import encoded
from veca_edge.errors import VecaError
from veca_edge.gallery.gallery import checked_label
from veca_edge.playback.teaching import DEEDS, PLACES, Command
from veca_edge.playback.web.address import HostNames
from veca_edge.playback.web.board import Board, Picture
from veca_edge.playback.web.guard import Guard
from veca_edge.playback.web.messages import PAGE_HEADERS, Request, RequestError, Response
from veca_edge.playback.web.pictures import SIZES, WHOLE, Encoder
from veca_edge.playback.web.status import Choices

HOLD = 15.0  # seconds that a question waits for something new
FRESH = 1.0  # seconds that a snapshot waits for a picture newer than one that may be old
SNAPSHOT_COST = 150.0  # requests
CONTROLS = frozenset({"cores", "view", "head", "paused", "teach"})
HEADER = "x-veca-edge"  # other sites cannot send it without asking first, which is never granted
NUMBER = re.compile(r"-?[0-9]{1,12}")
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/teach.js": ("teach.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
Handler = Callable[[str, Request], Awaitable[Response]]


class Site:
    """Answers requests. Belongs to the server's event loop; only `close` is for elsewhere.

    Args:
        names: what the server may be called.
    """

    def __init__(self, board: Board, guard: Guard, names: HostNames) -> None:
        self._board, self._guard, self._names = board, guard, names
        self._news = asyncio.Event()
        self._closing = False
        self._encoder = Encoder()
        # One thread: viewers can never take more than one core from the model.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="veca-web-pictures")
        folder = resources.files("veca_edge.playback.web") / "page"
        self._files = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in FILES.items()}
        self._handlers: dict[tuple[str, str], Handler] = {
            ("GET", "/state"): self._state,
            ("GET", "/frame"): self._frame,
            ("GET", "/snapshot"): self._snapshot,
            ("POST", "/control"): self._control,
        }

    def wake(self) -> None:
        """Something is new: let everyone who waits look."""
        self._news.set()
        self._news = asyncio.Event()

    def close_soon(self) -> None:
        """Keep nobody waiting from now on."""
        self._closing = True
        self.wake()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def answer(self, address: str, request: Request) -> Response:
        """The answer to a request from an address.

        Raises:
            RequestError: it may not have one.
        """
        if not self._guard.may_ask(address):
            raise RequestError(429, "too many requests: slow down")
        if not self._names.allow(request.headers.get("host", "")):
            raise RequestError(
                421,
                "open this page by the address that was printed at the device, or run it with --allow-host",
            )
        if request.path in self._files:
            if request.method != "GET":
                raise RequestError(405, "use GET")
            body, kind = self._files[request.path]
            return Response(200, body, kind, PAGE_HEADERS)
        handler = self._handlers.get((request.method, request.path))
        if handler is None:
            known = any(path == request.path for _, path in self._handlers)
            raise (
                RequestError(405, "this method is not allowed here")
                if known
                else RequestError(404, "there is no such page")
            )
        self._admit(address, request)
        return await handler(address, request)

    def _admit(self, address: str, request: Request) -> None:
        """Let the page itself in, and with the token only; other sites' pages are told apart by three signs."""
        host, origin = request.headers["host"], request.headers.get("origin")
        strange = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        if (
            HEADER not in request.headers
            or strange
            or (origin is not None and origin not in (f"http://{host}", f"https://{host}"))
        ):
            raise RequestError(403, "only the page of this server may ask for this")
        if not self._guard.may_guess(address):
            raise RequestError(429, "too many wrong tokens: wait a minute")
        if not self._guard.knows(address, request.headers.get("authorization")):
            raise RequestError(
                401, "the token is missing or wrong: open the address that was printed at the device"
            )

    async def _state(self, address: str, request: Request) -> Response:
        after = _number(request, "after", -1)
        await self._until(lambda: self._board.version > after, HOLD)
        if self._board.version <= after and not self._closing:
            return Response(204, lasting=True)
        body = encoded(json.dumps(self._board.status(after), ensure_ascii=False, allow_nan=False))
        return Response(200, body, "application/json", lasting=True)

    async def _frame(self, address: str, request: Request) -> Response:
        after, size = _number(request, "after", -1), _number(request, "size", SIZES[-1])
        if size not in SIZES:
            raise RequestError(400, f"unknown size: use {', '.join(map(str, SIZES))}")
        picture = await self._picture(after, HOLD)
        if picture is None or picture.number <= after:
            return Response(204, lasting=True)
        return await self._encoded(picture, size, "image/jpeg")

    async def _snapshot(self, address: str, request: Request) -> Response:
        if not self._guard.may_ask(address, SNAPSHOT_COST):
            raise RequestError(429, "too many snapshots: wait a second")
        # With nobody looking nothing is drawn, and the last picture may be an old one.
        last = self._board.picture
        after = -1 if last is None or self._board.watched else last.number
        picture = await self._picture(after, FRESH)
        if picture is None:
            raise RequestError(409, "there is no picture yet")
        return await self._encoded(picture, WHOLE, "image/png")

    async def _control(self, address: str, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RequestError(415, "controls must be JSON")
        try:
            wishes = json.loads(request.body)
        except (ValueError, RecursionError):
            raise RequestError(400, "the body is not JSON") from None
        choices = self._board.choices
        if choices is None or self._board.ended:
            raise RequestError(409, "nothing is running")
        if not self._board.wish(checked(wishes, choices)):
            raise RequestError(429, "the run has not kept up with what is taught: wait for its next frame")
        return Response(204, lasting=True)

    async def _picture(self, after: int, wait: float) -> Picture | None:
        """The newest picture, if possible one with a number above `after`."""

        def is_new() -> bool:
            picture = self._board.picture
            return (picture is not None and picture.number > after) or self._board.ended

        with self._board.looking():
            await self._until(is_new, wait)
        return self._board.picture

    async def _encoded(self, picture: Picture, size: int, kind: str) -> Response:
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(self._pool, self._encoder.encode, picture, size)
        return Response(200, data, kind, {"X-Picture": str(picture.number)}, lasting=True)

    async def _until(self, is_so: Callable[[], bool], wait: float) -> None:
        """Wait for something to be so, for `wait` seconds at most."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        while not (self._closing or is_so()) and (left := end - loop.time()) > 0:
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except asyncio.TimeoutError:
                return


def checked(wishes: Any, choices: Choices) -> dict[str, Any]:
    """Fields of a `ViewState` from a viewer's JSON: {"cores": N or "auto", "view": NAME, "head": NAME,
    "paused": BOOL, "teach": {"deed": "add", "rename", "remove" or "undo", "place": 1 to 9, "name": NAME}}.

    Raises:
        RequestError: it is something else, or not on offer.
    """
    if not isinstance(wishes, dict) or not wishes or not wishes.keys() <= CONTROLS:
        raise RequestError(400, "unknown control: use cores, view, head, paused or teach")
    if "cores" in wishes:
        cores = wishes["cores"]
        if choices.alternating:
            raise RequestError(409, "the cores alternate in this run and cannot be chosen")
        if not (type(cores) is int and cores in choices.budgets) and not (cores == "auto" and choices.auto):
            raise RequestError(
                400, f"this run does not offer these cores: use {', '.join(map(str, choices.budgets))}"
            )
    if "view" in wishes and wishes["view"] not in choices.views:
        raise RequestError(400, f"unknown view: use {', '.join(choices.views)}")
    if "head" in wishes and wishes["head"] not in choices.heads:
        raise RequestError(400, f"unknown head: use {', '.join(choices.heads) or 'none, there are none'}")
    if type(wishes.get("paused", False)) is not bool:
        raise RequestError(400, "paused must be true or false")
    fields = {key: None if value == "auto" else value for key, value in wishes.items() if key != "teach"}
    return fields | ({"commands": (_command(wishes["teach"], choices),)} if "teach" in wishes else {})


def _command(told: Any, choices: Choices) -> Command:
    """What is to be taught, or RequestError."""
    if not choices.teaches:
        raise RequestError(409, "nothing can be taught in this run: start it with --teach my-things.npz")
    if not isinstance(told, dict) or not told.keys() <= {"deed", "place", "name"} or told.get("deed") not in DEEDS:
        raise RequestError(400, f"unknown deed: use {', '.join(DEEDS)}")
    place = told.get("place", 1)
    if type(place) is not int or not 1 <= place <= PLACES:
        raise RequestError(400, f"place must be a number from 1 to {PLACES}")
    try:
        name = checked_label(told.get("name")) if told["deed"] == "rename" else ""
    except VecaError as error:
        raise RequestError(400, str(error)) from None
    return Command(told["deed"], place, name)


def _number(request: Request, name: str, otherwise: int) -> int:
    text = request.query.get(name, str(otherwise))
    if NUMBER.fullmatch(text) is None:
        raise RequestError(400, f"{name} must be a number")
    return int(text)
