"""A training run from a folder of photos to a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veca_edge.errors import VecaError
from veca_edge.files import is_there
from veca_edge.model.checkpoint import read_checkpoint
from veca_edge.model.config import parameter_count
from veca_edge.training.answers import Answers, KeptAnswers, LiveAnswers, keep_answers
from veca_edge.training.dataset import read_folder
from veca_edge.training.photos import PhotoStore, load_photos
from veca_edge.training.settings import Recipe
from veca_edge.training.state import RunFiles
from veca_edge.training.teachers import MobileNetV2, Teacher, load_teacher
from veca_edge.training.trainer import Report, Stop, Task, Trainer, autocast_for
from veca_edge.training.tuning import accuracy, tune
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
class Listener:
    """Where a run reports to.

    Attributes:
        say: a line about the photos or the run.
        stage: a stage of the preparation and how much of it is done, 0..1.
        report: progress, and figures from the `val` photos.
    """

    say: Callable[[str], None] = lambda _: None
    stage: Callable[[str, float], None] = lambda *_: None
    report: Report = lambda _: None


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
    teacher = _answers(order, learn, judge, labels, world, told)
    trainer = Trainer(Task(order.recipe, learn, judge, labels, teacher, start), RunFiles(order.output), world)
    if _goes_on(order) and trainer.restore(changed=order.resume == "changed"):
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


def _goes_on(order: Order) -> bool:
    return order.resume != "never" and is_there(RunFiles(order.output).state)


def _answers(
    order: Order, learn: PhotoStore, judge: PhotoStore, labels: tuple[str, ...], world: World, told: Listener
) -> Answers | None:
    """What the recipe's teacher says: live, or kept beside the state, where it is written once per run."""
    recipe, files = order.recipe, RunFiles(order.output)
    kept = recipe.teacher.views > 0 and _goes_on(order) and is_there(files.answers)
    if world.any(world.first and kept):  # what the first one sees counts, since it writes
        return KeptAnswers(files.answers, len(learn), recipe, world.device)
    teacher, autocast = _teacher(order, learn, judge, labels, world, told), autocast_for(recipe, world.device)
    if teacher is None:
        return None
    if not recipe.teacher.views:
        return LiveAnswers(teacher, learn, recipe, autocast, world.device)
    if world.first:

        def report(done: float) -> None:
            told.stage("asking the teacher", done)

        keep_answers(files.answers, teacher, learn, recipe, autocast, world.device, report)
    world.wait()
    return KeptAnswers(files.answers, len(learn), recipe, world.device)


def _teacher(
    order: Order, learn: PhotoStore, judge: PhotoStore, labels: tuple[str, ...], world: World, told: Listener
) -> Teacher | None:
    """The recipe's teacher; one that is to be tuned is tuned once per run and kept beside the state."""
    recipe, files = order.recipe, RunFiles(order.output)
    settings = recipe.teacher
    if not settings.source:
        return None
    if not settings.tune_epochs:
        return load_teacher(settings.source, world.device, labels)
    if not settings.source.endswith(".npz"):
        raise VecaError("teacher.tune_epochs is for teachers in .npz files: tune others yourself")
    if world.first and not (_goes_on(order) and is_there(files.teacher)):
        teacher = MobileNetV2.from_npz(Path(settings.source)).to(world.device)
        autocast = autocast_for(recipe, world.device)

        def report(epoch: int, epochs: int, loss: float) -> None:
            told.stage("tuning the teacher", epoch / epochs)

        tune(teacher, learn, len(labels), recipe, autocast, report)
        told.say(f"the tuned teacher: {100 * accuracy(teacher, judge, recipe, autocast):.1f} % top-1 on val")
        teacher.to_npz(files.teacher, labels)
    world.wait()
    return load_teacher(str(files.teacher), world.device, labels)
