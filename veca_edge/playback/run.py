"""A run from end to end: a source, a model, a screen and files, as one request names them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from veca_edge.camera.sources import Source, open_source
from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, same_file
from veca_edge.playback.player import Options, Player, Say, stop_on_signals
from veca_edge.playback.protocols import Runner
from veca_edge.playback.runners import ModelRunner, SessionRunner, StreamRunner
from veca_edge.playback.summary import Summary
from veca_edge.playback.viewer import ViewState, Window, check_window
from veca_edge.playback.views import VIEWS
from veca_edge.playback.web.address import Address
from veca_edge.playback.web.status import Choices
from veca_edge.playback.writers import check_video_path
from veca_edge.runtime.model import Model
from veca_edge.runtime.streaming.change import ChangeSettings
from veca_edge.sensors.state import ThermalLevel

if TYPE_CHECKING:
    from veca_edge.playback.web.server import WebView
    from veca_edge.session import Session

DEFAULT_FPS = 30.0  # of a source that does not tell its rate
FOR_AUTO = ("target_fps", "battery", "thermal", "low_power")
FOR_FIXED = ("sensitivity", "patch_budget")
Advance = Callable[[], object]
Meter = Callable[[str, int | None], AbstractContextManager[Advance]]


@dataclass(frozen=True)
class RunRequest:
    """What to run, on what, and where to show it.

    Attributes:
        model: a model file or checkpoint; None for the demo model.
        camera, source: a camera's index, or a video, image, folder or URL; not both. Neither: camera 0.
        cores: "auto", or budgets that alternate, a second of video each; None for auto where that is possible,
            else the largest budget.
        governor: name of the governor's preset.
        target_fps: frames per second that auto aims for; None for the source's own.
        battery, thermal, low_power: what to assume instead of what the sensors say; None and False for nothing.
        image_size: model input in pixels, None for the model's own.
        view: what to draw, one of `VIEWS`.
        headless: show no window.
        serve, token: where to serve a page that shows the run, and the token that it asks for.
        save, log: a video of what is shown, and a file of JSON lines.
        frames: stop after this many, None for all.
        fps_limit: most frames per second, None for no limit.
        stream: compute only what changed, where frames follow each other.
        sensitivity, patch_budget: as in `ChangeSettings`; None for its defaults.
        loop: start files over at their end.
        retry: seconds to wait for a camera that went away.
        threads: for the model; None for the number of big cores.

    Raises:
        VecaError: both a camera and a source are named.
    """

    model: Path | None = None
    camera: int | None = None
    source: str | None = None
    cores: Literal["auto"] | tuple[int, ...] | None = None
    governor: str = "balanced"
    target_fps: float | None = None
    battery: float | None = None
    thermal: ThermalLevel | None = None
    low_power: bool = False
    image_size: int | None = None
    view: str = VIEWS[0]
    headless: bool = False
    serve: Address | None = None
    token: str | None = None
    save: Path | None = None
    log: Path | None = None
    frames: int | None = None
    fps_limit: float | None = None
    stream: bool = True
    sensitivity: float | None = None
    patch_budget: int | None = None
    loop: bool = False
    retry: float = 10.0
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.camera is not None and self.source is not None:
            raise VecaError("--camera and --source both name a source: give one of them")

    @property
    def change(self) -> ChangeSettings:
        """What counts as change in a stream."""
        sensitivity = ChangeSettings.sensitivity if self.sensitivity is None else self.sensitivity
        return ChangeSettings(sensitivity=sensitivity, patch_budget=self.patch_budget)

    def check_outputs(self) -> None:
        """Raise a VecaError for outputs that cannot be written or would overwrite an input."""
        if self.save is not None:
            check_video_path(self.save)
        named = {"save": self.save, "log": self.log}
        outputs = {name: check_target(path) for name, path in named.items() if path is not None}
        if len(outputs) == 2 and same_file(*outputs.values()):
            raise VecaError(f"--save and --log both name {outputs['save']}: choose two names")
        inputs = [Path(name) for name in (self.model, self.source) if name is not None]
        for name, target in outputs.items():
            taken = target.exists()
            if any(same_file(target, path) or (taken and same_file(target.parent, path)) for path in inputs):
                raise VecaError(f"--{name} {target} would overwrite an input: choose another name")

    def governs(self, model: Model, streams: bool) -> bool:
        """Whether the governor chooses: by default if the model file says what its operating points are worth.

        Args:
            streams: whether frames are streamed.

        Raises:
            VecaError: auto is asked for and impossible, or an option has no use beside the others.
        """
        can = streams and bool(model.quality)
        if self.cores == "auto" and not streams:
            raise VecaError("--cores auto needs a video or a camera, and --stream: give a number of cores instead")
        if self.cores == "auto" and not can:
            raise VecaError("--cores auto needs a model file with a quality table: convert the checkpoint again")
        fixed = self._given(FOR_FIXED)
        if self.cores == "auto" and fixed:
            raise VecaError(f"{fixed} needs a fixed --cores: with auto the governor chooses it")
        auto = can and not fixed and not isinstance(self.cores, tuple)
        if self._given(FOR_AUTO) and not auto:
            raise VecaError(f"{self._given(FOR_AUTO)} works with --cores auto only: leave it out")
        return auto

    def _given(self, names: tuple[str, ...]) -> str:
        """The first of these options that was given, as it is spelled; "" if none was."""
        values = ((name, getattr(self, name)) for name in names)
        given = [name for name, value in values if value is not None and value is not False]
        return f"--{given[0].replace('_', '-')}" if given else ""


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
    options = Options(
        request.image_size,
        request.frames,
        request.fps_limit,
        request.save,
        request.log,
        alternating=chosen if len(chosen) > 1 else (),
    )
    options.check(model.patch_size)
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
        web.board.begin(Choices(model.name, source.name, model.budgets, auto, bool(options.alternating), VIEWS))
    total = min((n for n in (source.frames_total, request.frames) if n is not None), default=None)
    advance = stack.enter_context(meter(source.name, total if window is None else None))
    state = ViewState(None if auto else chosen[0], model.budgets, request.view, auto=auto)
    player = Player(runner, source, state, options, window, say, advance, None if web is None else web.board)
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
