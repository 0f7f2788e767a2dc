"""A run from end to end: a source, a model, a screen and files, as one request names them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING

from veca_edge.camera.sources import Source, open_source
from veca_edge.errors import require
from veca_edge.playback.player import DEFAULT_FPS, Player, Say, stop_on_signals
from veca_edge.playback.protocols import Runner
from veca_edge.playback.request import RunRequest
from veca_edge.playback.runners import ModelRunner, SessionRunner, StreamRunner
from veca_edge.playback.summary import Summary
from veca_edge.playback.viewer import ViewState, Window, check_window
from veca_edge.playback.views import VIEWS
from veca_edge.playback.web.status import Choices
from veca_edge.runtime.model import Model

if TYPE_CHECKING:
    from veca_edge.playback.web.server import WebView
    from veca_edge.session import Session

Advance = Callable[[], object]
Meter = Callable[[str, int | None], AbstractContextManager[Advance]]


def run(
    request: RunRequest,
    load: Callable[[Say], Model],
    say: Say,
    meter: Meter = lambda name, total: nullcontext(lambda: None),
) -> Summary:
    """Play a request to its end.

    Args:
        load: opens the model, once the source is known to be there.
        say: prints a line for the user.
        meter: shows progress, given a name and the number of frames (None: unknown); what it gives is called after
            each frame.

    Raises:
        VecaError: something in the request cannot be had.
        StreamError: the source went away, or a file could not be written.
    """
    require("cv2", "run")
    request.check_outputs()
    if not request.headless and request.serve is None:
        check_window()
    with ExitStack() as stack:
        web = _web_view(request, say, stack)
        tell = say if web is None else _both(say, web.board.tell)
        spec = request.source if request.source is not None else request.camera or 0
        source = stack.enter_context(open_source(spec, retry=request.retry, loop=request.loop, notify=tell))
        model = load(tell)
        summary = _play(request, model, source, tell, meter, web, stack)
        if web is not None:
            web.board.end("", summary.to_dict())
    return summary


def _web_view(request: RunRequest, say: Say, stack: ExitStack) -> WebView | None:
    """The page in a browser, from now to the end of the run."""
    if request.serve is None:
        return None
    from veca_edge.playback.web.server import WebView

    web = stack.enter_context(WebView(request.serve, request.token, say))
    say(f"watch at {web.url}")
    return web


def _both(first: Say, second: Say) -> Say:
    """Says everything twice."""

    def say(message: str) -> None:
        first(message)
        second(message)

    return say


def _play(
    request: RunRequest, model: Model, source: Source, say: Say, meter: Meter, web: WebView | None, stack: ExitStack
) -> Summary:
    streams = request.stream and source.continuous
    auto = request.governs(model, streams)
    chosen = request.cores if isinstance(request.cores, tuple) else (max(model.budgets),)
    for cores in chosen:
        model.check_budget(cores)
    runner: Runner
    if auto:
        runner = SessionRunner(stack.enter_context(_session(request, model, source, say)))
    elif streams and model.streams:
        runner = StreamRunner(model, request.image_size, request.change)
    else:
        runner = ModelRunner(model)
    window = None
    if not request.headless and web is None:
        window = Window()
        stack.callback(window.close)
    if web is not None:
        web.board.begin(Choices(model.name, source.name, model.budgets, auto, bool(request.alternating), VIEWS))
    total = min((n for n in (source.frames_total, request.frames) if n is not None), default=None)
    advance = stack.enter_context(meter(source.name, total if window is None else None))
    state = ViewState(None if auto else chosen[0], model.budgets, request.view, auto=auto)
    player = Player(runner, source, state, request, window, say, advance, None if web is None else web.board)
    with stop_on_signals(player.stop):
        return player.run()


def _session(request: RunRequest, model: Model, source: Source, say: Say) -> Session:
    """The model as a session on this device, with what the request assumes of it."""
    from veca_edge.runtime.profile import front_of
    from veca_edge.sensors.monitor import Monitor
    from veca_edge.sensors.platforms import detect
    from veca_edge.session import OverriddenSensors, Session

    rate = request.target_fps or source.fps or DEFAULT_FPS
    front = front_of(model, rate, request.image_size, say=say)
    sensors = OverriddenSensors(
        Monitor(detect(), notify=say), request.battery, request.thermal, request.low_power or None
    )
    return Session(model, request.governor, rate, front=front, sensors=sensors)
