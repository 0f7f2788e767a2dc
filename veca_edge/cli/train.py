"""`veca-edge train`: a model with nested core budgets from labelled photos, a teacher, or both."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any, get_args

import click

from veca_edge.cli.options import InputPath, Number, path_option
from veca_edge.cli.progress import Stages, command_line, next_step, say
from veca_edge.errors import VecaError, require, shown
from veca_edge.files import existing
from veca_edge.numbers import counted
from veca_edge.photos.folders import HOLD_OUT
from veca_edge.reminder import INTERVAL
from veca_edge.training.request import Resume, TrainRequest
from veca_edge.training.settings import Recipe, load_recipe
from veca_edge.training.tables import render

if TYPE_CHECKING:
    from veca_edge.training.run import Outcome
    from veca_edge.training.trainer import Progress

EPILOG = f"""\b
The folder of --data holds train/LABEL/*.jpg and val/LABEL/*.jpg, or just LABEL/*.jpg: then one photo in {HOLD_OUT}
is held out for validation. It may also hold unlabelled/, photos that only a teacher describes.

\b
Examples:
  veca-edge train --data photos --output model.pt
  veca-edge train --data photos --output model.pt --teacher mobilenetv2.npz
  veca-edge train --data photos --masks people --output people.pt --init model.pt --set epochs=10
  veca-edge train --data photos --output tuned.pt --init model.pt --set epochs=10 --set optimizer.lr=1e-4
  veca-edge train --print-config --config everyday   # every setting with its explanation
  torchrun --nproc-per-node 2 -m veca_edge.cli.main train --data photos --output model.pt

\b
The run keeps its state in model.state.pt and its log in model.log.jsonl, beside --output. After an interruption of
any kind the same command continues it. Ctrl-C and SIGTERM finish the current step, save the state and write the
checkpoint so far. A tuned teacher and its answers are kept as soon as they are complete.

\b
With --minutes some steps are timed first. Then the number of steps is planned so that the schedule, down to its
lowest learning rate and the last validation, ends in that time; it is planned anew if the machine becomes slower or
faster. An interrupted run continues by the same plan: the time that it had spent on training counts.
"""

EARLY = 0.05  # of the steps


@click.command("train", epilog=EPILOG)
@click.option("--data", type=InputPath(), metavar="DIR", help="Train on the photos in this folder.")
@path_option("--output", "-o", help="Write the checkpoint here.")
@click.option(
    "--config",
    metavar="FILE|NAME",
    show_default="default settings",
    help="Use a recipe: a TOML file, or the name of a packaged recipe.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting, such as epochs=10. Can be given several times.",
)
@click.option(
    "--teacher",
    metavar="SOURCE",
    help="Learn from a teacher, too: the weights of a MobileNetV2 (.npz), an exported program (.pt2) or "
    "module:callable. The last two are code: use only teachers that you trust.",
)
@path_option(
    "--masks",
    is_input=True,
    metavar="DIR",
    help="Train a dense head along with the model, on photos with masks or values as for `veca-edge fit-head`.",
)
@click.option(
    "--trust-teacher",
    is_flag=True,
    help="Run a teacher that is code although the recipe of --config names it, not this command line.",
)
@click.option("--init", type=InputPath(), metavar="FILE", help="Start from this checkpoint.")
@click.option(
    "--resume",
    type=click.Choice(get_args(Resume)),
    default=TrainRequest.resume,
    show_default=True,
    help="Continue the run that wrote --output if there is one (auto), start over (never), or continue although "
    "settings, photos or masks have changed (changed).",
)
@click.option(
    "--minutes",
    type=Number(min=0, min_open=True),
    show_default="as long as the epochs take",
    help="Stretch or shorten the training so that it ends in this many minutes; the recipe's epochs do not count.",
)
@click.option(
    "--device",
    metavar="NAME",
    default=TrainRequest.device,
    show_default=True,
    help="Train on this device: cpu, cuda or cuda:1, for example; auto uses a GPU if there is one.",
)
@path_option("--plot", help="Draw loss and accuracy (.png, .svg, .pdf).")
@click.option("--print-config", is_flag=True, help="Print the recipe with every setting explained, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(
    config: str | None,
    assignments: tuple[str, ...],
    teacher: str | None,
    trust_teacher: bool,
    print_config: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a model that works at every core budget, or continue to train a checkpoint.

    The model learns from labels, from a teacher's features, or from both. The result is a checkpoint for
    `veca-edge convert`.
    """
    for name, named in (("config", config), ("teacher", teacher)):
        if named == "":
            raise VecaError(f"--{name} has an empty value: name one, or leave it out")
    if teacher is not None and teacher.endswith((".npz", ".pt2")):
        existing(teacher)
    source = [f"teacher.source={json.dumps(teacher)}"] if teacher else []
    recipe = load_recipe(config, [*assignments, *source])
    if print_config and as_json:
        raise VecaError("--print-config prints a recipe in TOML: leave --json out")
    if print_config:
        click.echo(render(recipe), nl=False)
        return
    for name in ("data", "output"):
        if given[name] is None:
            raise click.UsageError(f"Missing option '--{name}'.")
    if config is not None and load_recipe(config).teacher.source == recipe.teacher.source and not teacher:
        _ask_for_trust(recipe, trust_teacher)
    for module in ("torch", "cv2"):
        require(module, "train")
    from veca_edge.training.preparation import Listener
    from veca_edge.training.run import train

    listener = Listener(say, Stages(), _Screen())
    outcome = train(TrainRequest(recipe=recipe, **given), listener)
    if outcome is None:
        return
    click.echo(json.dumps(outcome.to_dict(), indent=2) if as_json else "\n".join(_lines(outcome)))
    if given["plot"] is not None:
        say(f"wrote {given['plot']}")
    if not as_json and outcome.stopped not in signal.Signals.__members__:
        next_step(command_line("convert", given["output"]))
    if outcome.stopped in signal.Signals.__members__:
        click.get_current_context().exit(128 + signal.Signals[outcome.stopped])


def _dense(figures: dict[str, float]) -> str:
    if "rmse" in figures:
        return f"RMSE {figures['rmse']:.4g}, within 1.25x {100 * figures['delta1']:.1f} %"
    return f"mIoU {100 * figures['miou']:.1f} %, all but class 0 as one {100 * figures['foreground']:.1f} %"


def _ask_for_trust(recipe: Recipe, trusted: bool) -> None:
    """Before a teacher runs that a recipe names: it is code, and recipes come from anywhere.

    Raises:
        VecaError: the answer is no, or there is nobody to ask.
    """
    if trusted or not recipe.teacher.is_code:
        return
    what = f"the recipe names the teacher {shown(recipe.teacher.source)}, which is code"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise VecaError(f"{what}: read it, and give --trust-teacher if you trust it")
    if not click.confirm(f"{what} that this program would run. Do you trust it?", err=True):
        raise VecaError("the teacher was not run, and nothing was trained: choose another with --teacher")


class _Screen:
    """A line on standard error for each validation; and one for progress: rewritten where someone is
    watching, else every 10 seconds."""

    def __init__(self) -> None:
        self._watched, self._told = sys.stderr.isatty(), perf_counter()

    def __call__(self, news: Progress | dict[str, Any]) -> None:
        clear = "\r\033[K" if self._watched else ""
        if isinstance(news, dict):
            click.echo(f"{clear}  {'  '.join(_figures(news))}", err=True)
        elif self._watched:
            click.echo(f"{clear}  {_progress(news)}", err=True, nl=False)
        elif perf_counter() - self._told >= INTERVAL:
            self._told = perf_counter()
            click.echo(f"  {_progress(news)}", err=True)


def _progress(at: Progress) -> str:
    return (
        f"step {at.step}/{at.steps}  epoch {at.epoch:.1f}  {at.size} px  loss {at.figures['loss']:.3f}"
        f"  lr {at.lr:.2g}  {_rates(at)}  {at.seconds_left / 60:.0f} min left"
    )


def _rates(at: Progress | Outcome) -> str:
    masks = f" + {_rate(at.masks_per_second)} with masks/s" if at.masks_per_second else ""
    return f"{_rate(at.photos_per_second)} photos/s{masks}"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.1f}"


def _figures(validation: dict[str, Any]) -> Iterator[str]:
    yield "top-1"
    for size, budgets in validation.items():
        accuracies = " ".join(f"{cores}: {_main(figures)}" for cores, figures in budgets.items())
        yield f"{size} px ({accuracies})"


def _main(figures: dict[str, float]) -> str:
    """The figure that says most."""
    if "rmse" in figures:
        return f"RMSE {figures['rmse']:.3g}"
    name, word = ("miou", "mIoU ") if "miou" in figures else ("top1", "")
    return f"{word}{100 * figures[name]:.1f} %"


def _lines(outcome: Outcome) -> Iterator[str]:
    yield ""
    yield "pixels  cores   top-1  cross entropy"
    dense = {}
    for size, budgets in outcome.validation.items():
        for cores, figures in budgets.items():
            if "top1" in figures:
                yield f"{size:>6}  {cores:>5}  {100 * figures['top1']:4.1f} %  {figures['loss']:13.3f}"
            else:
                dense[size, cores] = figures
    if dense:
        yield ""
        yield from (f"{size} px, {cores} cores: {_dense(figures)}" for (size, cores), figures in dense.items())
    yield ""
    what = "finished" if outcome.finished else "stopped; the same command continues"
    if not outcome.finished and outcome.step < EARLY * outcome.steps:
        what += "; a model this early in its training is of no use yet"
    steps = f"{outcome.step} of {counted(outcome.steps, 'step')} in {outcome.seconds / 60:.1f} min"
    yield f"{steps}, {_rates(outcome)}: {what}"
    if outcome.planned:
        first, *more = outcome.planned
        anew = f", then {counted(len(more), 'other plan')}, the last {more[-1]}" if more else ""
        yield f"planned for {outcome.minutes:g} min: {counted(first, 'step')}{anew}"
    yield f"{outcome.output}: {outcome.parameters / 1e6:.2f} M parameters, {outcome.bytes / 1e6:.2f} MB"
