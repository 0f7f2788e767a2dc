"""`veca-edge run`: a model on a camera, a video, or images."""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from veca_edge.camera.images import ImageSource
from veca_edge.camera.sources import Source, open_source
from veca_edge.cli.parsing import parse_budgets
from veca_edge.cli.progress import say as _say
from veca_edge.errors import VecaError, VecaWarning, require
from veca_edge.files import check_target, same_file
from veca_edge.governor.settings import PRESETS
from veca_edge.playback.player import Options, Player, stop_on_signals
from veca_edge.playback.protocols import Model
from veca_edge.playback.summary import Summary
from veca_edge.playback.viewer import ViewState, Window, check_window
from veca_edge.playback.views import VIEWS
from veca_edge.playback.web.status import Choices
from veca_edge.playback.writers import check_video_path
from veca_edge.sensors.state import ThermalLevel

if TYPE_CHECKING:
    from veca_edge.playback.web.server import WebView

Say = Callable[[str], None]
DEFAULT_FPS = 30.0  # of a source that does not tell its rate
FOR_AUTO = ("target_fps", "battery", "thermal", "low_power")
FOR_FIXED = ("sensitivity", "patch_budget")

EPILOG = """\b
Examples:
  veca-edge run                                     # camera 0 in a window
  veca-edge run model.pte --source clip.mp4 --view features
  veca-edge run --source photos/ --headless --log labels.jsonl
  veca-edge run --source clip.mp4 --headless --cores 8 --save out.mp4 --json
  veca-edge run --view change --sensitivity 12      # largest budget; see which patches are computed
  veca-edge run --battery 0.08 --thermal serious    # see the governor react
  veca-edge run --source rtsp://camera.local/stream --headless --fps-limit 5 --log out.jsonl
  veca-edge run --serve 8080                        # in a browser on this machine, no window
  veca-edge run --serve 0.0.0.0:8080                # from other machines, with the token that is printed

\b
Keys in the window: + and - cores, v view, space pause, s snapshot, h help, q or Esc quit.
Ctrl-C or SIGTERM ends a run cleanly: files are finished and the summary is printed; the exit status is then
130 or 143. It is 2 for bad input, 1 if the camera or a disk fails on the way, else 0.
"""


def parse_cores(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> str | tuple[int, ...] | None:
    """The word auto, or budgets as numbers; None if nothing was said."""
    return text if text == "auto" else parse_budgets(context, parameter, text)


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", required=False)
@click.option("--camera", type=click.IntRange(min=0), help="Index of a camera; 0 if nothing else is named.")
@click.option("--source", metavar="SPEC", help="A video, an image, a folder of images, or a URL (rtsp, http).")
@click.option(
    "--cores",
    callback=parse_cores,
    metavar="auto|N[,N…]",
    help="Core budget. auto, for video and camera the default: the governor chooses cores, image size, patches and "
    "rate by battery, heat and frame times. Several numbers take turns, a second of film each.",
)
@click.option("--governor", type=click.Choice(sorted(PRESETS)), default="balanced", show_default=True)
@click.option(
    "--target-fps",
    type=click.FloatRange(min=1, max=240),
    help="Frames per second that auto aims at; the source's own by default.",
)
@click.option("--battery", type=click.FloatRange(0, 1), help="Pretend this charge, 0…1: see how auto reacts.")
@click.option("--thermal", type=click.Choice([str(level) for level in ThermalLevel]), help="Pretend this heat.")
@click.option("--low-power", is_flag=True, help="Pretend low-power mode.")
@click.option("--image-size", type=click.IntRange(min=1), help="Model input in pixels; the model's own by default.")
@click.option("--view", type=click.Choice(VIEWS), default="labels", show_default=True, help="What to draw.")
@click.option("--headless", is_flag=True, help="No window.")
@click.option(
    "--serve",
    metavar="[HOST:]PORT",
    help="Show the run in a browser instead of a window. Without HOST on this machine only; others need a token.",
)
@click.option(
    "--token",
    envvar="VECA_EDGE_TOKEN",
    show_envvar=True,
    help="What a browser must know for --serve; other users of this machine can read a command line. "
    "By default a new one where other machines can connect.",
)
@click.option(
    "--save", type=click.Path(path_type=Path), metavar="VIDEO", help="Save what is shown (.mp4, .webm, .avi)."
)
@click.option("--log", type=click.Path(path_type=Path), metavar="FILE", help="Write one JSON line per frame.")
@click.option("--frames", type=click.IntRange(min=1), help="Stop after so many frames.")
@click.option("--fps-limit", type=click.FloatRange(min=0, min_open=True), help="At most so many frames per second.")
@click.option(
    "--stream/--no-stream",
    default=True,
    show_default=True,
    help="Video and camera: compute only the patches that changed, remember the others.",
)
@click.option(
    "--sensitivity",
    type=click.FloatRange(min=0, min_open=True),
    help="Change of a patch, in grey levels beyond the camera's noise, that is computed; 8 by default.",
)
@click.option(
    "--patch-budget", type=click.IntRange(min=2), help="Most patches computed per frame; no limit by default."
)
@click.option("--loop", is_flag=True, help="Start files over at their end.")
@click.option(
    "--retry",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds to wait for a camera that went away.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads for the model.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(**given: Any) -> None:
    """Run a model on a camera, a video, or images.

    MODEL is a .pte file, an .mlpackage or a checkpoint; without it the demo model that comes with the package is
    used.
    """
    if given["camera"] is not None and given["source"] is not None:
        raise VecaError("give --camera or --source, not both")
    require("cv2", "run")
    _check_outputs(given)
    if not given["headless"] and given["serve"] is None:
        check_window()
    with ExitStack() as stack:
        web = _web_view(given["serve"], given["token"], stack)
        say = _say if web is None else _both(_say, web.board.tell)
        source = stack.enter_context(_source(given, say))
        model = _load(given["model"], given["threads"], say)
        summary = _play(model, source, given, stack, say, web)
        if web is not None:
            web.board.end("", summary.to_dict())
    _report(summary, given["as_json"])
    if summary.stopped in signal.Signals.__members__:
        click.get_current_context().exit(128 + signal.Signals[summary.stopped])


def _check_outputs(given: dict[str, Any]) -> None:
    """Refuse, before anything is opened, outputs that cannot be written or would overwrite an input."""
    if given["save"] is not None:
        check_video_path(given["save"])
    outputs = {name: check_target(given[name]) for name in ("save", "log") if given[name] is not None}
    if len(outputs) == 2 and same_file(*outputs.values()):
        raise VecaError(f"--save and --log both name {outputs['save']}")
    inputs = [Path(given[name]) for name in ("model", "source") if given[name] is not None]
    for name, target in outputs.items():
        taken = target.exists()
        if any(same_file(target, path) or (taken and same_file(target.parent, path)) for path in inputs):
            raise VecaError(f"--{name} {target} would overwrite an input: choose another name")


def _web_view(serve: str | None, token: str | None, stack: ExitStack) -> WebView | None:
    """The page in a browser, from now to the end of the run."""
    if serve is None:
        if click.get_current_context().get_parameter_source("token") == ParameterSource.COMMANDLINE:
            raise VecaError("--token is for --serve")
        return None
    from veca_edge.playback.web.address import parse_address
    from veca_edge.playback.web.server import WebView

    web = stack.enter_context(WebView(parse_address(serve), token, _say))
    _say(f"watch at {web.url}")
    return web


def _both(first: Say, second: Say) -> Say:
    """Says everything twice."""

    def say(message: str) -> None:
        first(message)
        second(message)

    return say


def _source(given: dict[str, Any], say: Say) -> Source:
    spec = given["source"] if given["source"] is not None else given["camera"] or 0
    return open_source(spec, retry=given["retry"], loop=given["loop"], notify=say)


def _load(path: str | None, threads: int | None, say: Say) -> Model:
    from veca_edge.runtime.model import load

    if path is None:
        from veca_edge.conversion.default import default_model_path

        path = str(default_model_path(say))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", VecaWarning)
        model: Model = load(path) if threads is None else load(path, threads=threads)
    for warning in told:
        if issubclass(warning.category, VecaWarning):
            say(str(warning.message))
    return model


def _play(
    model: Model, source: Source, given: dict[str, Any], stack: ExitStack, say: Say, web: WebView | None
) -> Summary:
    streams = given["stream"] and not isinstance(source, ImageSource)
    auto = _governable(model, given, streams)
    chosen = _fixed(given["cores"]) or (max(model.budgets),)
    budgets = tuple(sorted(model.budgets))
    states = [ViewState(None if auto else cores, budgets, given["view"], auto=auto) for cores in chosen]
    options = Options(
        image_size=given["image_size"],
        frames=given["frames"],
        fps_limit=given["fps_limit"],
        save=given["save"],
        log=given["log"],
        turns=chosen if len(chosen) > 1 else (),
    )
    options.check(model)
    if auto:
        model = _session(model, source, given, stack, say)
    elif streams:
        model = _streamed(model, given["image_size"], given["sensitivity"], given["patch_budget"])
    window = None
    if not given["headless"] and web is None:
        window = Window()
        stack.callback(window.close)
    progress = _progress(source, options, stack) if window is None else lambda: None
    if web is not None:
        web.board.begin(Choices(model.name, source.name, budgets, auto, bool(options.turns), VIEWS))
    remote = None if web is None else web.board
    player = Player(model, source, states[0], options, window, say, progress, remote)
    with stop_on_signals(player.stop):
        summary = player.run()
    return replace(summary, governor=_governor_facts(model) if auto else None)


def _fixed(cores: str | tuple[int, ...] | None) -> tuple[int, ...]:
    """The budgets that the user named; none for auto."""
    return cores if isinstance(cores, tuple) else ()


def _governable(model: Model, given: dict[str, Any], streams: bool) -> bool:
    """Whether the governor chooses: by default if the model file says what its operating points are worth.

    Raises:
        VecaError: auto is asked for and impossible, or an option has no use beside the others.
    """
    can = streams and bool(getattr(model, "quality", None))
    if given["cores"] == "auto" and not streams:
        raise VecaError("--cores auto is for streams of video or a camera")
    if given["cores"] == "auto" and not can:
        raise VecaError("--cores auto needs a model file with a quality table: convert the checkpoint anew")
    fixed = [name for name in FOR_FIXED if given[name] is not None]
    if given["cores"] == "auto" and fixed:
        raise VecaError(f"--{fixed[0].replace('_', '-')} is for a fixed --cores: auto chooses it")
    auto = can and not fixed and not isinstance(given["cores"], tuple)
    useless = [name for name in FOR_AUTO if given[name]]
    if useless and not auto:
        raise VecaError(f"--{useless[0].replace('_', '-')} is for --cores auto")
    return auto


def _session(model: Model, source: Source, given: dict[str, Any], stack: ExitStack, say: Say) -> Model:
    """The model as a session on this device, with what the user pretends."""
    from veca_edge.runtime.model import Model
    from veca_edge.runtime.profile import front_of
    from veca_edge.sensors.monitor import Monitor
    from veca_edge.sensors.platforms import detect
    from veca_edge.session import PretendedSensors, Session, SessionModel

    assert isinstance(model, Model)
    rate = given["target_fps"] or source.fps or DEFAULT_FPS
    front = front_of(model, rate, given["image_size"], say=say)
    thermal = None if given["thermal"] is None else ThermalLevel[given["thermal"].upper()]
    pretended = {"battery": given["battery"], "thermal": thermal, "low_power": given["low_power"] or None}
    sensors = PretendedSensors(Monitor(detect(), notify=say), pretended)
    session = Session(model, given["governor"], rate, front=front, sensors=sensors)
    return SessionModel(stack.enter_context(session))


def _governor_facts(model: Model) -> dict[str, Any]:
    """What the session did, for the summary."""
    from veca_edge.session import SessionModel

    assert isinstance(model, SessionModel)
    told = model.session.statistics
    spent = sorted(told.seconds_at.items(), key=lambda item: -item[1])
    return {
        "switches": told.switches,
        "misses": told.misses,
        "joules": told.joules,
        "seconds_at": {str(point): round(seconds, 3) for point, seconds in spent},
    }


def _streamed(model: Model, image_size: int | None, sensitivity: float | None, patch_budget: int | None) -> Model:
    """The model as a stream, if its engine can."""
    from veca_edge.runtime.model import Model
    from veca_edge.runtime.streaming.change import ChangeSettings
    from veca_edge.runtime.streaming.stream import StreamedModel

    change = ChangeSettings(patch_budget=patch_budget)
    if sensitivity is not None:
        change = replace(change, sensitivity=sensitivity)
    if isinstance(model, Model) and hasattr(model.engine, "step"):
        return StreamedModel(model, image_size, change)
    return model


def _progress(source: Source, options: Options, stack: ExitStack) -> Callable[[], object]:
    """Advances a bar on stderr if someone is watching and the number of frames is known."""
    total = min((n for n in (source.frames_total, options.frames) if n is not None), default=None)
    if total is None or not sys.stderr.isatty():
        return lambda: None
    bar = stack.enter_context(click.progressbar(length=total, label=source.name, file=sys.stderr, show_pos=True))
    return lambda: bar.update(1)


def _report(summary: Summary, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary.to_dict(), ensure_ascii=False))
        return
    for line in summary.lines():
        click.echo(line)
