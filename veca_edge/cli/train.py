"""`veca-edge train`: a model with nested core budgets from labelled photos, a teacher, or both."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.progress import Stages
from veca_edge.errors import require
from veca_edge.files import check_target
from veca_edge.plotting import check_picture

if TYPE_CHECKING:
    from veca_edge.training.run import Outcome
    from veca_edge.training.trainer import Progress

EPILOG = """\b
The folder of --data holds train/LABEL/*.jpg and val/LABEL/*.jpg, or LABEL/*.jpg (a tenth is held out), and
perhaps unlabelled/ for photos that only a teacher speaks of.

\b
Examples:
  veca-edge train --data photos --output model.pt
  veca-edge train --data photos --output model.pt --config everyday --teacher mobilenetv2.npz
  veca-edge train --data photos --output tuned.pt --init model.pt --set epochs=10 --set optimizer.lr=1e-4
  veca-edge train --print-config --config everyday   # every setting, explained
  torchrun --nproc-per-node 2 -m veca_edge.cli.main train --data photos --output model.pt

\b
Beside --output lie model.state.pt (go on from there with the same command, after a kill at any moment) and
model.log.jsonl. Ctrl-C, SIGTERM and --minutes end the current step, save, and write the checkpoint so far. What a
teacher is tuned and asked for ahead of the first step is kept when it is finished.
"""


@click.command("train", epilog=EPILOG)
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Photos in labelled folders.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="The checkpoint to write.")
@click.option("--config", metavar="FILE|NAME", help="A recipe: a TOML file, or one that comes with the package.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Change a setting; repeatable.")
@click.option(
    "--teacher", metavar="SOURCE", help="An .npz of MobileNetV2, a .pt2 program, or module:callable; it is code."
)
@click.option("--init", type=click.Path(path_type=Path), metavar="FILE", help="A checkpoint to start from.")
@click.option(
    "--resume",
    type=click.Choice(["auto", "never", "changed"]),
    default="auto",
    show_default=True,
    help="Go on with the run of this output, start anew, or go on with other settings.",
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Save and stop after so many.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1; auto takes a GPU.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the loss and the accuracy.")
@click.option("--print-config", is_flag=True, help="Print the recipe with every setting explained, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(as_json: bool, print_config: bool, minutes: float | None, device: str, **given: Any) -> None:
    """Train a model whose every core budget works, or train a checkpoint further.

    Learns from labels, from a teacher's features, or from both. The result is a checkpoint for `veca-edge convert`.
    """
    from veca_edge.training.settings import load_recipe, render

    teacher = [f"teacher.source={json.dumps(given['teacher'])}"] if given["teacher"] else []
    recipe = load_recipe(given["config"], [*given["assignments"], *teacher])
    if print_config:
        click.echo(render(recipe), nl=False)
        return
    output, plot = _needed(given, "output"), given["plot"] and check_picture(given["plot"])
    for module in ("torch", "cv2"):
        require(module, "train")
    from veca_edge.training.preparation import Listener, StoppedError
    from veca_edge.training.run import Order, train
    from veca_edge.training.state import RunFiles
    from veca_edge.training.world import joined_world

    order = Order(_needed(given, "data"), check_target(output), recipe, given["init"], given["resume"])
    screen = _Screen(quiet=as_json)
    with _stopping(minutes) as stop, joined_world(device) as world:
        try:
            outcome = train(order, world, stop, Listener(screen.say, screen.stage, screen.report))
        except StoppedError as error:
            if stop.signal is None:
                raise
            screen.say(str(error))
            raise SystemExit(128 + stop.signal) from None
        first = world.first
    if first:
        click.echo(json.dumps(outcome.to_dict(), indent=2) if as_json else "\n".join(_lines(outcome)))
    if first and plot is not None:
        from veca_edge.training.curve import draw

        draw(plot, RunFiles(order.output).log)
    if stop.signal is not None:
        raise SystemExit(128 + stop.signal)


def _needed(given: dict[str, Any], name: str) -> Path:
    path: Path | None = given[name]
    if path is None:
        raise click.UsageError(f"Missing option '--{name}'.")
    return path


class _Stop:
    """Whether it is time to stop: the minutes are over, or somebody has asked for it."""

    def __init__(self, minutes: float | None) -> None:
        self._end = None if minutes is None else monotonic() + 60 * minutes
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None or (self._end is not None and monotonic() >= self._end)

    def ask(self, number: int, frame: FrameType | None) -> None:
        """A signal: the first one asks, the second one does not ask again."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


@contextmanager
def _stopping(minutes: float | None) -> Iterator[_Stop]:
    """Signals end a step first: a half-taken step is worth nothing."""
    stop = _Stop(minutes)
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Screen:
    """What a run says on standard error; a moving line only where someone is watching."""

    def __init__(self, quiet: bool) -> None:
        self._stages = None if quiet else Stages()
        self._quiet = quiet
        self._moving = sys.stderr.isatty() and not quiet

    def say(self, line: str) -> None:
        click.echo(line, err=True)

    def stage(self, name: str, done: float) -> None:
        if self._stages is not None:
            self._stages(name, done)

    def report(self, news: Progress | dict[str, Any]) -> None:
        if isinstance(news, dict):
            self._line("  ".join(_figures(news)), "\n")
        elif self._moving:
            self._line(_progress(news), "")

    def _line(self, text: str, end: str) -> None:
        if not self._quiet:
            clear = "\r\033[K" if self._moving else ""
            click.echo(f"{clear}  {text}{end}", err=True, nl=False)


def _progress(at: Progress) -> str:
    left = (at.steps - at.step) / at.step * at.seconds if at.step else 0
    return (
        f"step {at.step}/{at.steps}  epoch {at.epoch:.1f}  {at.size} px  loss {at.figures['loss']:.3f}"
        f"  lr {at.lr:.2g}  {at.photos_per_second:,.0f} photos/s  {left / 60:.0f} min left"
    )


def _figures(validation: dict[str, Any]) -> Iterator[str]:
    yield "top-1"
    for size, budgets in validation.items():
        accuracies = " ".join(f"{cores}: {100 * figures['top1']:.1f} %" for cores, figures in budgets.items())
        yield f"{size} px ({accuracies})"


def _lines(outcome: Outcome) -> Iterator[str]:
    yield ""
    yield "pixels  cores   top-1  cross entropy"
    for size, budgets in outcome.validation.items():
        for cores, figures in budgets.items():
            yield f"{size:>6}  {cores:>5}  {100 * figures['top1']:4.1f} %  {figures['loss']:13.3f}"
    yield ""
    what = "trained" if outcome.finished else "stopped: the same command goes on"
    yield f"{outcome.step} of {outcome.steps} steps in {outcome.seconds / 60:.1f} min, {what}"
    yield f"{outcome.output}: {outcome.parameters / 1e6:.2f} M parameters, {outcome.bytes / 1e6:.2f} MB"
