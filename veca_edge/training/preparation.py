"""What comes before training: the teacher is tuned, and its answers are computed. What is complete is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veca_edge.documents import parse_json
from veca_edge.errors import VecaError
from veca_edge.files import is_there, regular_file, write_whole
from veca_edge.photos.store import PhotoStore
from veca_edge.training.answers import Answers, KeptAnswers, LiveAnswers, keep_answers
from veca_edge.training.settings import Recipe
from veca_edge.training.state import RunFiles
from veca_edge.training.tables import plain
from veca_edge.training.teachers import MobileNetV2, Teacher, load_teacher
from veca_edge.training.trainer import Report, Stop, TrainingError
from veca_edge.training.tuning import accuracy, tune
from veca_edge.training.world import World, autocast_for


class StoppedError(TrainingError):
    """Stopped before there was anything to write. Exit status 1, or 128 and the number of the signal."""


@dataclass(frozen=True)
class Listener:
    """Hears of a run.

    Attributes:
        say: called with a line about the photos or the run.
        stage: called with the name of a stage of the preparation, and how much of it is done, 0..1.
        report: called with progress, and with figures of the `val` photos.
    """

    say: Callable[[str], None] = lambda _: None
    stage: Callable[[str, float], None] = lambda *_: None
    report: Report = lambda _: None


@dataclass(frozen=True)
class Preparation:
    """Makes a teacher's answers ready, or finds those that an earlier process made for the same run.

    Attributes:
        recipe: how to train.
        files: where the run writes.
        train: photos to train on.
        val: photos on which a tuned teacher is evaluated.
        labels: K names.
        resumes: whether what is there already may be used.
        listener: hears of the progress.
        stop: asked throughout whether to stop; what is incomplete then is not kept.
    """

    recipe: Recipe
    files: RunFiles
    train: PhotoStore
    val: PhotoStore
    labels: tuple[str, ...]
    resumes: bool
    listener: Listener
    stop: Stop

    def answers(self, world: World) -> Answers | None:
        """The answers of the recipe's teacher, live or kept in a file; None without one. The first process writes.

        Raises:
            StoppedError: before they were ready.
            VecaError: no such teacher, or it fails.
        """
        recipe, files, photos = self.recipe, self.files, self.train
        kept = bool(recipe.teacher.views) and self._is_ready("answers", files.answers)
        if world.any(world.first and kept):  # the first process decides, since it writes
            return KeptAnswers(files.answers, len(photos), recipe, world.device)
        teacher, autocast = self._teacher(world), autocast_for(recipe, world.device)
        if teacher is None:
            return None
        if not recipe.teacher.views:
            return LiveAnswers(teacher, photos, recipe, autocast, world.device)
        if world.first:
            report = self._stage("running the teacher")
            keep_answers(files.answers, teacher, photos, recipe, autocast, world.device, report)
            self._note("answers")
        world.wait()
        return KeptAnswers(files.answers, len(photos), recipe, world.device)

    def _teacher(self, world: World) -> Teacher | None:
        """The recipe's teacher; one that is to be tuned is tuned once per run."""
        settings = self.recipe.teacher
        if not settings.source:
            return None
        if not settings.tune_epochs:
            return load_teacher(settings.source, world.device, self.labels)
        if not settings.source.endswith(".npz"):
            raise VecaError("teacher.tune_epochs works with teachers in .npz files only: tune others beforehand")
        if world.first and not self._is_ready("tuned", self.files.teacher):
            teacher = MobileNetV2.from_npz(Path(settings.source)).to(world.device)
            autocast = autocast_for(self.recipe, world.device)
            tune(teacher, self.train, len(self.labels), self.recipe, autocast, self._stage("tuning the teacher"))
            top1 = 100 * accuracy(teacher, self.val, self.recipe, autocast)
            self.listener.say(f"the tuned teacher: {top1:.1f} % top-1 on val")
            teacher.to_npz(self.files.teacher, self.labels)
            self._note("tuned")
        world.wait()
        return load_teacher(str(self.files.teacher), world.device, self.labels)

    def _stage(self, name: str) -> Callable[[float], None]:
        """Reports how much of a stage is done, and raises a StoppedError when it is time to stop."""

        def report(done: float) -> None:
            self.listener.stage(name, done)
            if done < 1 and self.stop():
                raise StoppedError(
                    f"stopped while {name}: nothing is trained yet; the same command starts this stage over"
                )

        return report

    def _is_ready(self, part: str, path: Path) -> bool:
        return self.resumes and is_there(path) and self._noted().get(part) == self._digest(part)

    def _note(self, part: str) -> None:
        """Write down what a finished part was made of."""
        noted = {**self._noted(), part: self._digest(part)}
        write_whole(self.files.prepared, json.dumps(noted, indent=2).encode())

    def _noted(self) -> dict[str, Any]:
        try:
            noted = parse_json(regular_file(self.files.prepared).read_bytes())
        except (OSError, VecaError):
            return {}  # then everything is computed again
        return noted if isinstance(noted, dict) else {}

    def _digest(self, part: str) -> str:
        """SHA-256 of all that a part depends on."""
        recipe = plain(self.recipe)
        teacher, sizes = recipe["teacher"], self.recipe.train_sizes
        facts = {
            "photos": self.train.digest,
            "labels": self.labels,
            "teacher": {name: value for name, value in teacher.items() if part == "answers" or name != "views"},
            "augment": recipe["augment"],
            "size": teacher["image_size"] or recipe["phases"][0]["sizes"][0],
            "grid": (sizes[-1], recipe["model"]["patch_size"]) if part == "answers" else None,
            "loss": recipe["loss"]["label_smoothing"],
            "decay": recipe["optimizer"]["weight_decay"],
            "seed": self.recipe.seed,
            "precision": self.recipe.precision,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode(errors="surrogateescape")).hexdigest()
