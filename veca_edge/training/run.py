"""A training run from a folder of photos to a checkpoint, as one request asks for it."""

from __future__ import annotations

import signal
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from veca_edge.errors import VecaError
from veca_edge.files import check_checkpoint_target, expanded, same_file, shortened
from veca_edge.model.checkpoint import read_checkpoint
from veca_edge.model.config import parameter_count
from veca_edge.modelfile.heads import head_name, is_background
from veca_edge.numbers import counted
from veca_edge.photos.folders import read_folder
from veca_edge.photos.masks import Classes, holds_masks, read_masked_folder
from veca_edge.photos.store import load_photos
from veca_edge.playback.player import stop_on_signals
from veca_edge.plotting import check_picture
from veca_edge.runtime.threads import default_threads
from veca_edge.training.curve import draw
from veca_edge.training.dense import DenseData, new_task
from veca_edge.training.gradients import Task
from veca_edge.training.masks import load_masked
from veca_edge.training.pace import Plan
from veca_edge.training.preparation import Listener, Preparation, StoppedError
from veca_edge.training.request import TrainRequest
from veca_edge.training.settings import MaskSettings
from veca_edge.training.state import RunFiles
from veca_edge.training.trainer import Trainer
from veca_edge.training.validation import Figures
from veca_edge.training.world import World, joined_world


@dataclass(frozen=True)
class Outcome:
    """What a run has led to.

    Attributes:
        output: the checkpoint.
        finished: whether the last step is done.
        stopped: why no further step was taken: "end", "minutes" or the name of a signal.
        step: steps taken.
        steps: steps in all.
        seconds: spent training, in this run and those that it continues.
        minutes: the limit that was asked for, or None.
        planned: steps in all by each plan that was made to keep the limit, the last one holds; empty without.
        photos_per_second: throughput of this run's steps, without validations; 0 if it took none.
        masks_per_second: the same of photos with masks, 0 without.
        parameters: of the model, with its head.
        bytes: size of the checkpoint.
        validation: figures after the last validation, see `validation.validate`.
    """

    output: str
    finished: bool
    stopped: str
    step: int
    steps: int
    seconds: float
    minutes: float | None
    planned: tuple[int, ...]
    photos_per_second: float
    masks_per_second: float
    parameters: int
    bytes: int
    validation: Figures

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


class _Stop:
    """Whether it is time to stop: the minutes are over, or a signal has come."""

    def __init__(self, minutes: float | None) -> None:
        self._end = None if minutes is None else monotonic() + 60 * minutes
        self._signal = ""

    @property
    def left(self) -> float | None:
        """Seconds until the minutes are over, None without a limit."""
        return None if self._end is None else self._end - monotonic()

    def __call__(self) -> bool:
        return self.reason != "end"

    def ask(self, name: str) -> None:
        """A signal has come."""
        self._signal = name

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return bool(self._signal)

    @property
    def reason(self) -> str:
        """As in `Outcome.stopped`."""
        over = self._end is not None and monotonic() >= self._end
        return self._signal or ("minutes" if over else "end")


def train(request: TrainRequest, listener: Listener | None = None) -> Outcome | None:
    """Train, or continue to train, and write the checkpoint; also when the run is stopped early.

    Args:
        request: what to train.
        listener: hears of the progress, in the first of several processes.

    Returns:
        What became of it; None in every process of torchrun but the first.

    Raises:
        StoppedError: stopped before the first step, while the teacher was being prepared.
        TrainingError: the loss is not a number, or there is not enough memory.
        VecaError: one line about what is wrong with the photos, the recipe, the teacher, the state or a file.
    """
    files, stop = RunFiles(check_checkpoint_target(request.output)), _Stop(request.minutes)
    if request.init is not None and same_file(files.output, request.init):
        raise VecaError(f"--output {files.output} would overwrite --init: choose another name")
    plot = None if request.plot is None else check_picture(request.plot)
    with stop_on_signals(stop.ask), joined_world(request.device) as world:
        heard = listener if listener is not None and world.first else Listener()
        try:
            outcome = _train(request, files, world, stop, heard)
        except StoppedError as error:
            if stop.reason in signal.Signals.__members__:
                error.exit_status = 128 + signal.Signals[stop.reason]
            raise
        if not world.first:
            return None
    if plot is not None:
        draw(plot, files.log)
    return outcome


def _train(request: TrainRequest, files: RunFiles, world: World, stop: _Stop, listener: Listener) -> Outcome:
    splits = read_folder(request.data, listener.say, request.recipe.seed)
    start = None if request.init is None else read_checkpoint(request.init)
    side = request.recipe.photo_size
    photos, began = [splits.train, splits.unlabelled], monotonic()
    train = load_photos(photos, side, listener.say, lambda done: listener.stage("photos", done)).to(world.device)
    val = load_photos([splits.val], side, listener.say).to(world.device)
    _say_rate(listener, len(train) + len(val), monotonic() - began)
    labels, resumes = splits.train.labels, request.resume != "never"
    preparation = Preparation(request.recipe, files, train, val, labels, resumes, listener, stop)
    masks = None if request.masks is None else _masks(request.masks, request.recipe.masks, world.device, listener)
    task = Task(request.recipe, train, val, labels, preparation.answers(world), start, masks)
    limit = None if request.minutes is None else Plan(request.minutes, max(0.0, stop.left or 0.0))
    trainer = Trainer(task, files, world, limit)
    if resumes and trainer.restore(changed=request.resume == "changed"):
        listener.say(f"continuing after step {trainer.step} of {trainer.schedule.steps}")
    if trainer.step < trainer.schedule.steps:
        listener.say(f"training on {world.device}: {_extent(trainer)} of {request.recipe.batch_size} photos")
    finished = trainer.run(lambda: stop.asked, listener.report, listener.say)
    if not finished:
        listener.say("stopping: the state is saved, the checkpoint so far is written")
    checkpoint = trainer.export()
    head = sum(value.numel() for value in (checkpoint.head or {}).values())
    head += sum(dense.weight.size + dense.bias.size for dense in checkpoint.dense)
    world.wait()
    return Outcome(
        output=str(files.output),
        finished=finished,
        stopped="end" if finished else stop.reason,
        step=trainer.step,
        steps=trainer.schedule.steps,
        seconds=trainer.seconds,
        minutes=request.minutes,
        planned=() if trainer.plan is None else trainer.plan.steps,
        photos_per_second=trainer.rates[0],
        masks_per_second=trainer.rates[1],
        parameters=parameter_count(checkpoint.config) + head,
        bytes=files.output.stat().st_size,
        validation=trainer.figures,
    )


def _extent(trainer: Trainer) -> str:
    """How many steps there will be, as far as that is known."""
    plan = trainer.plan
    if plan is None or plan.steps:
        return counted(trainer.schedule.steps, "step")
    return f"as many steps as {plan.minutes:g} min have time for, each"


def _say_rate(listener: Listener, photos: int, seconds: float) -> None:
    threads = counted(default_threads(), "thread")
    listener.say(f"read {counted(photos, 'photo')} in {seconds:.1f} s: {photos / seconds:,.0f} a second, {threads}")


def _masks(folder: Path, settings: MaskSettings, device: torch.device, listener: Listener) -> DenseData:
    """What a dense head learns from a folder."""
    kind = holds_masks(expanded(folder))
    if kind is None:
        raise VecaError(f"{shortened(folder)} has no folder of masks or values: see `veca-edge fit-head --help`")
    photos = read_masked_folder(folder, kind, listener.say)
    meaning = photos.meaning
    if settings.paste and not (isinstance(meaning, Classes) and is_background(meaning.labels[0])):
        raise VecaError("masks.paste puts things on other photos: it needs masks whose class 0 is background")
    began = monotonic()
    train, val = (
        load_masked(pairs, meaning, settings.photo_size, listener.say, partial(listener.stage, "masks"))
        for pairs in (photos.train, photos.val)
    )
    _say_rate(listener, len(train) + len(val), monotonic() - began)
    name = settings.name or head_name(expanded(folder).resolve().name)
    task = new_task(name, settings.cells, meaning, train)
    return DenseData(task, train.to(device), val.to(device))
