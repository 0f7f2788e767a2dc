"""A training run from a folder of photos to a checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veca_edge.model.checkpoint import read_checkpoint
from veca_edge.model.config import parameter_count
from veca_edge.photos.folders import read_folder
from veca_edge.photos.store import load_photos
from veca_edge.training.preparation import Listener, Preparation
from veca_edge.training.settings import Recipe
from veca_edge.training.state import RunFiles
from veca_edge.training.trainer import Stop, Task, Trainer
from veca_edge.training.validation import Figures
from veca_edge.training.world import World

RESUME = ("auto", "never", "changed")


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        data: a folder of photos, see `dataset.read_folder`.
        output: the checkpoint to write; state and log are kept beside it.
        recipe: how to train.
        init: a checkpoint to start from, or None.
        resume: "auto" goes on from a state of the same run if there is one, "never" starts anew, "changed" goes on
            although settings or photos are others.
    """

    data: Path
    output: Path
    recipe: Recipe
    init: Path | None = None
    resume: str = "auto"


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        output: the checkpoint.
        finished: whether the last step is done.
        step: steps taken.
        steps: all of them.
        seconds: spent training, all sittings together.
        parameters: of the model, with its head.
        bytes: size of the checkpoint.
        validation: figures after the last validation, see `validation.validate`.
    """

    output: str
    finished: bool
    step: int
    steps: int
    seconds: float
    parameters: int
    bytes: int
    validation: Figures

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def train(order: Order, world: World, stop: Stop = lambda: False, listener: Listener | None = None) -> Outcome:
    """Train, or go on training, and write the checkpoint; also when `stop` ends it early.

    Raises:
        StoppedError: before the first step, while the teacher was being prepared.
        VecaError: one line about what is wrong with the photos, the recipe, the teacher, the state or the memory.
    """
    told = listener if listener is not None and world.first else Listener()
    splits = read_folder(order.data, told.say, order.recipe.seed)
    start = read_checkpoint(order.init) if order.init else None
    side = order.recipe.photo_size
    learn = load_photos([splits.train, splits.unlabelled], side, told.say, lambda done: told.stage("photos", done))
    judge = load_photos([splits.val], side, told.say)
    learn, judge = learn.to(world.device), judge.to(world.device)
    labels = splits.train.labels
    files, goes_on = RunFiles(order.output), order.resume != "never"
    preparation = Preparation(order.recipe, files, learn, judge, labels, goes_on, told, stop)
    trainer = Trainer(Task(order.recipe, learn, judge, labels, preparation.answers(world), start), files, world)
    if goes_on and trainer.restore(changed=order.resume == "changed"):
        told.say(f"going on after step {trainer.step} of {trainer.schedule.steps}")
    finished = trainer.run(stop, told.report)
    checkpoint = trainer.export()
    head = sum(value.numel() for value in (checkpoint.head or {}).values())
    world.wait()
    return Outcome(
        str(order.output),
        finished,
        trainer.step,
        trainer.schedule.steps,
        trainer.seconds,
        parameter_count(checkpoint.config) + head,
        order.output.stat().st_size,
        trainer.figures,
    )
