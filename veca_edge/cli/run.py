"""`veca-edge run`: a model on a camera, a video, or images."""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

import click
from click.core import ParameterSource

from veca_edge.cli.options import Count, NamedPath, Number, path_option, threads_option
from veca_edge.cli.parsing import parse_budgets
from veca_edge.cli.progress import echo_lines, remind
from veca_edge.cli.progress import say as print_line
from veca_edge.errors import VecaError, VecaWarning
from veca_edge.files import expanded
from veca_edge.governor.settings import PRESETS
from veca_edge.image.preprocessing import FITS
from veca_edge.playback.player import Say
from veca_edge.playback.request import RunRequest
from veca_edge.playback.run import run
from veca_edge.playback.views import VIEWS
from veca_edge.playback.web.address import Address, parse_address, parse_host
from veca_edge.reminder import Reminder
from veca_edge.runtime.model import Model
from veca_edge.runtime.streaming.change import SENSITIVITIES, ChangeSettings
from veca_edge.sensors.state import ThermalLevel

SLOWEST = 1e-5  # frames per second: about one a day
EPILOG = """\b
Examples:
  veca-edge run                                     # camera 0 in a window
  veca-edge run model.pte --source clip.mp4 --view features
  veca-edge run --source photos/ --headless --log labels.jsonl
  veca-edge run --source clip.mp4 --headless --cores 8 --save out.mp4 --json
  veca-edge run people.pte --source clip.mp4 --view masks --save out.mp4 --save-masks found/
  veca-edge run --view change --sensitivity 12      # largest budget; see which patches are computed
  veca-edge run --battery 0.08 --thermal serious    # see the governor react
  veca-edge run --source clip.mp4 --save out.mp4 --trace states.jsonl   # of `veca-edge sensors --record`
  veca-edge run --source rtsp://camera.local/stream --headless --fps-limit 5 --log out.jsonl
  veca-edge run --camera 0 --teach my-things.npz    # hold a thing up and press 1 to name it
  veca-edge run --source photos/ --headless --teach my-things.npz    # say which of them each photo shows
  veca-edge run --serve 8080                        # in a browser on this machine, no window
  veca-edge run --serve 0.0.0.0:8080                # from other machines, with the token that is printed

\b
Keys in the window: + and - cores, a auto, v view, n next head, space pause, s snapshot, h help, q or Esc quit.
With --teach: 1 to 9 add the picture to this name, r types the name (Tab: the next, Enter, Esc), u undoes.
Ctrl-C or SIGTERM ends a run cleanly: files are finished and the summary is printed; the exit status is then
130 or 143. It is 2 for bad input, 1 if the camera or a disk fails during the run, else 0.
"""


def parse_cores(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> str | tuple[int, ...] | None:
    """The words auto or all, or budgets as numbers; None if nothing was said."""
    return text if text in ("auto", "all") else parse_budgets(context, parameter, text)


def parse_level(context: click.Context, parameter: click.Parameter, text: str | None) -> ThermalLevel | None:
    """A thermal level by its name."""
    return None if text is None else ThermalLevel[text.upper()]


def parse_serve(context: click.Context, parameter: click.Parameter, text: str | None) -> Address | None:
    """Where to serve, from [HOST:]PORT."""
    return None if text is None else parse_address(text)


def parse_hosts(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Names by which a browser may call this machine."""
    return tuple(map(parse_host, texts))


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", required=False, type=NamedPath())
@click.option(
    "--camera", type=Count(min=0), show_default="0 without --source", help="Use the camera of this index."
)
@click.option("--source", metavar="SPEC", help="Use a video, an image, a folder of images, or a URL (rtsp, http).")
@click.option(
    "--cores",
    callback=parse_cores,
    metavar="auto|all|N[,N…]",
    show_default="auto for video and cameras, else the largest",
    help="Set the core budget. With auto the governor chooses cores, image size, patches and frame rate by "
    "battery, heat and frame times. Several numbers, or all of them, alternate, one second of video each.",
)
@click.option(
    "--governor",
    type=click.Choice(sorted(PRESETS)),
    default=RunRequest.governor,
    show_default=True,
    help="Choose what the governor favours with --cores auto.",
)
@click.option(
    "--target-fps",
    type=Number(min=1, max=240),
    show_default="the source's own",
    help="Compute about this many frames per second: of a faster source some are left out, and auto aims for it.",
)
@click.option(
    "--battery", type=Number(0, 1), help="Assume this battery charge, such as 0.08 for 8 %, to see how auto reacts."
)
@click.option(
    "--thermal",
    type=click.Choice([str(level) for level in ThermalLevel]),
    callback=parse_level,
    help="Assume this thermal level, to see how auto reacts.",
)
@click.option("--low-power", is_flag=True, help="Assume low-power mode, to see how auto reacts.")
@path_option(
    "--trace",
    is_input=True,
    help="Take battery and heat from this recording of `veca-edge sensors`, as the film goes on, to see how auto "
    "reacts; a graph of both is drawn.",
)
@click.option(
    "--trace-speed",
    type=Number(min=0.01, max=10000),
    default=RunRequest.trace_speed,
    show_default=True,
    help="Play so many seconds of the recording per second of film.",
)
@click.option(
    "--fit",
    type=click.Choice(FITS),
    show_default="the model's own",
    help="Fit frames to the model: the centred square (crop), the whole frame in its own shape (keep), letterboxed "
    "(pad), or squeezed into a square (stretch).",
)
@click.option(
    "--image-size",
    type=Count(min=1),
    show_default="the gallery's with --teach, else the model's own",
    help="Set the size of the model's input in pixels, a multiple of the patch size.",
)
@click.option(
    "--view",
    type=click.Choice(VIEWS),
    show_default="masks if the model has a dense head, else labels",
    help="Choose what to draw.",
)
@click.option(
    "--head", metavar="NAME", show_default="the model's first", help="Choose the dense head whose masks are drawn."
)
@click.option("--headless", is_flag=True, help="Open no window.")
@click.option(
    "--serve",
    callback=parse_serve,
    metavar="[HOST:]PORT",
    help="Show the run in a browser instead of a window. Without HOST only this machine can connect; with HOST "
    "other machines can, with a token.",
)
@click.option(
    "--token",
    metavar="TOKEN",
    envvar="VECA_EDGE_TOKEN",
    show_envvar=True,
    show_default="a new one where other machines can connect",
    help="Require this token, 16 to 128 characters, from browsers that open --serve. Prefer the environment "
    "variable: other users of this machine can read a command line.",
)
@click.option(
    "--allow-host",
    multiple=True,
    callback=parse_hosts,
    metavar="NAME",
    help="Let browsers call this machine by this name with --serve, such as vm.lan or *.example.ts.net, beside its "
    "numbers and its own name. Can be given several times.",
)
@path_option(
    "--save",
    metavar="VIDEO",
    help="Save what is shown as a video (.mp4, .mov, .webm, .mkv, .avi).",
)
@path_option(
    "--log",
    help="Write one JSON line per frame. An older log is replaced, any other file is not.",
)
@path_option(
    "--teach",
    metavar="GALLERY",
    help="Recognise the things of this gallery (.npz) instead of the model's labels. In a window and in a browser "
    "teach it as well: a digit adds the picture to a name. The file is made at the first example.",
)
@path_option(
    "--save-masks",
    metavar="DIR",
    help="Save what the head says of each frame: PNGs of class numbers in DIR/masks with DIR/labels.txt, or of "
    "values in DIR/values with DIR/scale.txt, as `veca-edge fit-head` reads them.",
)
@click.option("--frames", type=Count(min=1), show_default="all", help="Stop after this many frames.")
@click.option(
    "--fps-limit",
    type=Number(min=SLOWEST),
    show_default="no limit",
    help="Process at most this many frames per second.",
)
@click.option(
    "--stream/--no-stream",
    default=RunRequest.stream,
    show_default=True,
    help="On video and cameras compute only the patches that changed, and reuse the others.",
)
@click.option(
    "--sensitivity",
    type=Number(*SENSITIVITIES),
    show_default=f"{ChangeSettings.sensitivity:g}",
    help="Recompute a patch whose pixels changed by more than this: root mean square in grey levels (0 to 255), "
    "beyond the camera's noise.",
)
@click.option(
    "--patch-budget",
    type=Count(min=2),
    show_default="no limit",
    help="Compute at most this many patches per frame.",
)
@click.option("--loop", is_flag=True, help="Start a video or folder over at its end.")
@click.option(
    "--retry",
    type=Number(min=0),
    default=RunRequest.retry,
    show_default=True,
    help="Wait this many seconds for a camera that stopped sending frames.",
)
@click.option(
    "--min-confidence",
    type=Number(0, 1),
    metavar="N",
    show_default="what the model file says",
    help='Show a label from this confidence on, such as 0.8 for 80 %, and "not sure" below it. 0 always shows one. '
    "With --teach the gallery decides, by similarity.",
)
@threads_option()
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(as_json: bool, **given: Any) -> None:
    """Run a model on a camera, a video, or images.

    MODEL is a .pte file, an .mlpackage or a checkpoint; without it the model that comes with the package is used.
    """
    request, context = RunRequest(**given), click.get_current_context()
    if request.serve is None and context.get_parameter_source("token") == ParameterSource.COMMANDLINE:
        raise VecaError("--token works with --serve only: leave it out")
    if request.serve is None and request.allow_host:
        raise VecaError("--allow-host works with --serve only: leave it out")
    show = print_line if as_json else click.echo
    summary = run(request, partial(_load, request), show, print_line, _progress_bar)
    if as_json:
        click.echo(json.dumps(summary.to_dict(), ensure_ascii=False))
    else:
        echo_lines(summary.lines())
    if summary.stopped in signal.Signals.__members__:
        context.exit(128 + signal.Signals[summary.stopped])


def _load(request: RunRequest, say: Say) -> Model:
    """The model that was asked for; warnings about it become lines."""
    from veca_edge.conversion.default import default_model_path
    from veca_edge.runtime.model import load

    path = default_model_path(say, request.check_sizes) if request.model is None else expanded(request.model)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", VecaWarning)
        model = load(path, threads=request.threads)
    for warning in told:
        if issubclass(warning.category, VecaWarning):
            say(str(warning.message))
    return model


@contextmanager
def _progress_bar(name: str, total: int | None) -> Iterator[Callable[[], object]]:
    """If the number of frames is known: a bar on stderr where someone is watching, else a line every 10 seconds."""
    if total is None:
        yield lambda: None
        return
    if not sys.stderr.isatty():
        frames = count(1)
        with Reminder(remind) as reminder:
            reminder(name, 0.0)
            yield lambda: reminder(name, next(frames) / total)
        return
    with click.progressbar(length=total, label=name, file=sys.stderr, show_pos=True) as bar:
        yield lambda: bar.update(1)
