"""The server: one thread, one event loop, a task per connection, and a time limit on every wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from types import TracebackType

from veca_edge.errors import VecaError
from veca_edge.playback.web.address import Address, HostNames, is_local, listen, page_url
from veca_edge.playback.web.board import Board
from veca_edge.playback.web.guard import Guard, address_key, check_token, new_token
from veca_edge.playback.web.messages import HEAD_LIMIT, Request, RequestError, Response, read_request
from veca_edge.playback.web.site import Site

REQUEST_WAIT = 5.0  # seconds in which a stranger's whole request must have come
IDLE_WAIT = 30.0  # seconds that a client who was let in may stay silent
SEND_WAIT = 20.0  # seconds in which one answer must have been taken
PART_WAIT, PART_BYTES, PART_READS = 0.5, 8192, 32  # of what a refused client is still sending when it is told so
LINGER = 0.8  # seconds in which viewers can still learn that the run has ended
Say = Callable[[str], object]


class WebView:
    """Serves a page that shows a run; use it in a `with` statement, which listens from its start to its end.

    The run gets `board`, the viewers `url`.

    Args:
        address: where to listen. One that other machines can reach has a token, a new one if none is given.
        token: what viewers must know.
        hosts: names by which browsers may call this machine beside its own, see `parse_host`. They are for other
            machines, so there is a token with them.
        say: told if the server itself fails.

    Raises:
        VecaError: the port is taken or forbidden, the host is not one of this machine, or the token is too weak.
    """

    def __init__(
        self,
        address: Address,
        token: str | None = None,
        say: Say = lambda message: None,
        hosts: Collection[str] = (),
    ) -> None:
        token = None if token is None else check_token(token)
        self._socket = listen(address)
        self.token = token if token is not None or (is_local(self._socket) and not hosts) else new_token()
        self.url = page_url(self._socket, self.token)
        self.board = Board()
        self._guard = Guard(self.token)
        self._site = Site(self.board, self._guard, HostNames(address, hosts))
        self._say = say
        self._failed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="veca-web", daemon=True)

    def __enter__(self) -> WebView:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.board.ended:
            self.board.end(str(error) if isinstance(error, VecaError) else "interrupted", None)
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            self._fail(error)
        finally:
            self.board.listen(lambda: None)
            self._socket.close()
            self._site.close()
            self._loop.close()

    async def _serve(self) -> None:
        self.board.listen(self._wake)
        self._loop.set_exception_handler(lambda loop, context: None)  # connections that broke off
        server = await asyncio.start_server(self._connected, sock=self._socket, limit=HEAD_LIMIT)
        await self._closing.wait()
        self._site.close_soon()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LINGER)
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _wake(self) -> None:
        with suppress(RuntimeError):  # closed in the meantime
            self._loop.call_soon_threadsafe(self._site.wake)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        writer.transport.set_write_buffer_limits(high=0)  # `drain` returns when the system has taken everything
        peer = writer.get_extra_info("peername")
        address = address_key(str(peer[0])) if peer else ""
        entered = self._guard.enter(address)
        try:
            if entered:
                await self._converse(address, reader, writer)
            else:
                await _send(writer, Response.refusal(503, "too many connections: close other viewers"), False)
        except (OSError, asyncio.TimeoutError):
            pass  # the client has gone, or is too slow
        finally:
            writer.transport.abort()
            if entered:
                self._guard.leave(address)

    async def _converse(self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after another."""
        wait, lasting = REQUEST_WAIT, True
        while lasting:
            try:
                request = await asyncio.wait_for(read_request(reader), wait)
                if request is None:
                    return
                response = await self._answer(address, request)
                lasting = response.lasting and request.lasting and not self._closing.is_set()
            except RequestError as refusal:
                response, lasting = Response.refusal(refusal.status, refusal.message), False
            await _send(writer, response, lasting)
            wait = IDLE_WAIT
        await _part(reader, writer)

    async def _answer(self, address: str, request: Request) -> Response:
        try:
            return await self._site.answer(address, request)
        except (RequestError, OSError):
            raise
        except Exception as error:
            self._fail(error)
            raise RequestError(500, "something failed in the server: see the terminal") from error

    def _fail(self, error: Exception) -> None:
        """Tell of a fault, of the first one only: a viewer could cause many."""
        if not self._failed:
            self._failed = True
            self._say(f"the web view failed: {type(error).__name__}: {error}")


async def _send(writer: asyncio.StreamWriter, response: Response, lasting: bool) -> None:
    writer.write(response.encoded(lasting))
    await asyncio.wait_for(writer.drain(), SEND_WAIT)


async def _part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a conversation so that the last answer arrives: to close while the client still sends would drop it."""
    writer.write_eof()
    with suppress(asyncio.TimeoutError):
        for _ in range(PART_READS):
            if not await asyncio.wait_for(reader.read(PART_BYTES), PART_WAIT):
                return
