"""A run from end to end: a source, a model, a screen and files, as one request names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from veca_edge.camera.sources import Source, open_source
from veca_edge.errors import VecaError, require
from veca_edge.gallery.gallery import Gallery
from veca_edge.governor.quality import QualityTable
from veca_edge.governor.settings import preset
from veca_edge.playback.effects import check_effects
from veca_edge.playback.player import DEFAULT_FPS, Player, Say, stop_on_signals
from veca_edge.playback.protocols import Runner
from veca_edge.playback.recording import Recording
from veca_edge.playback.request import RunRequest
from veca_edge.playback.runners import ModelRunner, SessionRunner, StreamRunner
from veca_edge.playback.summary import Summary
from veca_edge.playback.teaching import Teaching
from veca_edge.playback.viewer import ViewState, Window, check_window
from veca_edge.playback.web.status import Choices
from veca_edge.runtime.model import Model
from veca_edge.sensors.trace import read_trace

if TYPE_CHECKING:
    from veca_edge.playback.web.server import WebView
    from veca_edge.session import Session

UNHEARD = 1_000_000_000  # frames between two decisions that a governor waits for in vain
Advance = Callable[[], object]
Meter = Callable[[str, int | None], AbstractContextManager[Advance]]


def run(
    request: RunRequest,
    load: Callable[[Say], Model],
    show: Say,
    say: Say,
    meter: Meter = lambda name, total: nullcontext(lambda: None),
) -> Summary:
    """Play a request to its end.

    Args:
        load: opens the model, once the source is known to be there.
        show: prints a line of results: the label of a single image.
        say: prints a line about the run.
        meter: shows progress, given a name and the number of frames (None: unknown); what it gives is called after
            each frame.

    Raises:
        VecaError: something in the request cannot be had.
        StreamError: the source went away, or a file could not be written.
    """
    request.check_kinds()
    request.check_outputs()
    request.check_there()  # said before a package that is missing
    require("cv2", "run")
    if not request.headless and request.serve is None:
        check_window()
    with ExitStack() as stack:
        web = _web_view(request, say, stack)
        tell = say if web is None else _both(say, web.board.tell)
        source = stack.enter_context(_source(request, tell))
        check_effects(request, source)
        recording = None if request.trace is None else Recording(read_trace(request.trace), request.trace_speed)
        model = load(tell)
        if request.fit is not None:
            model.preprocessing = replace(model.preprocessing, fit=request.fit)
        request.check_sizes(model.budgets, model.patch_size)
        if request.min_confidence is not None:
            model.certainty = model.certainty.at(request.min_confidence)
        if request.cores == "all":
            request = replace(request, cores=model.budgets)
        summary = _play(request, model, source, show, tell, meter, web, stack, recording)
        if web is not None:
            web.board.end("", summary.to_dict())
    return summary


def _source(request: RunRequest, tell: Say) -> Source:
    """What the request names, opened; camera 0 if it names nothing."""
    spec = request.source if request.source is not None else request.camera or 0
    try:
        return open_source(spec, retry=request.retry, loop=request.loop, notify=tell)
    except VecaError as error:
        if request.source is not None or request.camera is not None:
            raise
        raise VecaError(
            f"{error}; or name a video, an image, a folder or an address with --source (--serve 8080 "
            "shows the run in a browser)"
        ) from None


def _web_view(request: RunRequest, say: Say, stack: ExitStack) -> WebView | None:
    """The page in a browser, from now to the end of the run."""
    if request.serve is None:
        return None
    from veca_edge.playback.web.server import WebView

    web = stack.enter_context(WebView(request.serve, request.token, say, request.allow_host))
    say(f"watch at {web.url}")
    return web


def _both(first: Say, second: Say) -> Say:
    """Says everything twice."""

    def say(message: str) -> None:
        first(message)
        second(message)

    return say


def _play(
    request: RunRequest,
    model: Model,
    source: Source,
    show: Say,
    say: Say,
    meter: Meter,
    web: WebView | None,
    stack: ExitStack,
    recording: Recording | None,
) -> Summary:
    head = request.check_heads(model.tasks) or ""
    teaching = None if request.teach is None else Teaching.open(request.teach, model)
    if teaching is not None:
        stack.callback(_finish, teaching, say)
    streams = request.stream and source.continuous
    auto = request.governs(model, streams)
    check_effects(request, source, model.streams, auto)
    if teaching is not None:
        request = at_taught_size(request, teaching.gallery, model.quality if auto else None, say)
    chosen = request.cores if isinstance(request.cores, tuple) else (max(model.budgets),)
    for line in _remarks(request, model, source, auto):
        say(line)
    runner: Runner
    if auto:
        runner = SessionRunner(stack.enter_context(_session(request, model, source, say, recording)))
    elif streams and model.streams:
        runner = StreamRunner(model, request.image_size, request.change)
    else:
        runner = ModelRunner(model)
    window = None
    if not request.headless and web is None:
        window = Window()
        stack.callback(window.close)
    heads = tuple(task.name for task in model.tasks)
    view = request.view or ("masks" if heads else "labels")
    cores = None if auto else chosen[0]
    state = ViewState(cores, model.budgets, view, auto=auto, heads=heads, head=head, teaches=request.teaches)
    if web is not None:
        facts = (model.name, source.name, model.budgets, auto, bool(request.alternating))
        web.board.begin(Choices(*facts, state.views, state.heads, state.teaches))
    total = min((n for n in (source.frames_total, request.frames) if n is not None), default=None)
    # Beside a window or lines about single images a bar would be in the way.
    barred = window is None and source.continuous
    advance = stack.enter_context(meter(source.name, total if barred else None))
    board = None if web is None else web.board
    player = Player(runner, source, state, request, window, show, say, advance, board, recording, teaching)
    with stop_on_signals(player.stop):
        return player.run()


def at_taught_size(request: RunRequest, gallery: Gallery, quality: QualityTable | None, say: Say) -> RunRequest:
    """The request at the image size of a gallery's examples; what a person may not expect of that is said.

    Args:
        quality: what the governor chooses from; None if it does not choose.
    """
    size = gallery.image_size
    if size is None:
        return request
    if request.image_size is not None:
        if remark := gallery.size_remark(request.image_size):
            say(remark)
        return request
    if quality is not None and all(row.image_size != size for row in quality.rows):
        say(f"the gallery was taught at {size} px, which the governor does not have: similarities differ")
        return request
    return replace(request, image_size=size)


def _finish(teaching: Teaching, say: Say) -> None:
    """In the end, what was taught and could not be written gets one more chance."""
    if line := teaching.finish():
        say(line)


def _remarks(request: RunRequest, model: Model, source: Source, auto: bool) -> Iterator[str]:
    """What a person may not expect of this run, a line each."""
    if model.engine.name == "torch" and source.continuous:
        yield (
            f"{model.name} is a checkpoint: it runs in PyTorch, every frame as a whole; `veca-edge convert` makes "
            "a faster file of it that computes only what changed"
        )
    assumed = request.assumed()
    if auto and assumed:
        yield f"assuming {assumed}"
    fixed = request.fixed_by()
    if fixed and model.quality is not None and source.continuous and request.stream:
        yield f"the governor is off, because {fixed} was given"
    if request.thins(source.fps):
        known = "" if source.fps is None else f" of the source's {source.fps:.3g}"
        yield f"computing about {request.target_fps:g} frames per second{known}"


def _session(request: RunRequest, model: Model, source: Source, say: Say, recording: Recording | None) -> Session:
    """The model as a session on this device, with what the request assumes of it."""
    from veca_edge.runtime.profile import front_of
    from veca_edge.sensors.monitor import Monitor
    from veca_edge.sensors.platforms import detect
    from veca_edge.session import OverriddenSensors, Session

    rate = request.target_fps or source.fps or DEFAULT_FPS
    front = front_of(model, rate, request.image_size, say=say)
    said = Monitor(detect(), notify=say) if recording is None else recording
    sensors = OverriddenSensors(said, request.battery, request.thermal, request.low_power or None)
    clock, settings = (monotonic if recording is None else recording.clock), preset(request.governor)
    if recording is not None:  # of another device: this one's frame times say nothing about that
        settings = replace(settings, least_frames=UNHEARD)
    return Session(model, settings, rate, front=front, sensors=sensors, clock=clock)
