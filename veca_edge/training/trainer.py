"""The training loop: nested budgets, labels, a teacher, phases of image sizes; a run continues exactly.

A step is a function of the recipe, the step's number and the weights: its photos, views, image size, budget and
position shifts are drawn from the seed and the number alone (see `schedule`). So the state holds no random
generators and no position in the data, and a run that was interrupted ends with the same weights as one that was
not: bit for bit where the arithmetic is deterministic, as it is on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor

from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint, write_checkpoint
from veca_edge.photos.store import PhotoStore
from veca_edge.training.answers import Answers
from veca_edge.training.dense import DenseData
from veca_edge.training.learner import Average, Classifier, Learner, make_optimizer
from veca_edge.training.losses import TERMS, Distillation, total
from veca_edge.training.schedule import MASKS, PATCHES, PICKS, POSITIONS, VIEWS, Schedule, StepPlan
from veca_edge.training.settings import Recipe, differences, plain, read_table
from veca_edge.training.state import RunFiles, RunLog, read_state, write_state
from veca_edge.training.teachers import TeacherOutput, checked_labels
from veca_edge.training.validation import Figures, validate, validate_masks
from veca_edge.training.views import Views, draw_views, mixed_labels, normalise, render
from veca_edge.training.world import World, autocast_for, hold_gradients

Stop = Callable[[], bool]
Report = Callable[["Progress | Figures"], None]
FIGURES = ("loss", *TERMS, "gradient")  # per step, averaged in each line of the log


class TrainingError(VecaError):
    """Training failed, although its input was valid. Exit status 1."""

    exit_status = 1


@dataclass(frozen=True, eq=False)
class Task:
    """What to learn.

    Attributes:
        recipe: how to train.
        train: photos to learn from, with and without labels.
        val: photos to evaluate on, all with labels.
        labels: K names.
        teacher: a teacher's answers, or None without one.
        start: a checkpoint to start from, or None for new weights.
        masks: what a dense head learns along, or None.
    """

    recipe: Recipe
    train: PhotoStore
    val: PhotoStore
    labels: tuple[str, ...]
    teacher: Answers | None = None
    start: Checkpoint | None = None
    masks: DenseData | None = None


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: steps taken.
        steps: steps in all.
        epoch: passes over the photos so far.
        size: of the last step's images, pixels.
        lr: of the last step.
        photos_per_second: throughput since the last line, all processes together.
        seconds: spent training, in this run and those that it continues.
        figures: mean of each term of the loss ("loss" is the weighted sum) and of the gradient's norm.
    """

    step: int
    steps: int
    epoch: float
    size: int
    lr: float
    photos_per_second: float
    seconds: float
    figures: dict[str, float]


class Trainer:
    """One run: make it, `restore` its state if there is one, `run` it, `export` the checkpoint."""

    def __init__(self, task: Task, files: RunFiles, world: World) -> None:
        """Build the model and everything around it.

        Raises:
            VecaError: sizes or budgets that the model cannot take, or a teacher that does not fit.
        """
        self._task, self._files, self._world = task, files, world
        recipe = task.recipe
        self.autocast = autocast_for(recipe, world.device)
        torch.manual_seed(recipe.seed)
        config = recipe.model_config() if task.start is None else task.start.config
        recipe.check_model(config)
        self._digests = {"data": task.train.digest, "masks": task.masks and task.masks.train.digest()}
        self._part = world.share(recipe.batch_size)
        self.schedule = Schedule(recipe, config, len(task.train))
        if task.start is None:
            classifier = Classifier(config, len(task.labels), task.masks)
        else:
            classifier = Classifier.from_checkpoint(task.start, task.labels, task.masks)
        self._learner = Learner(classifier, _distillation(task, config.feature_dim), recipe.loss).to(world.device)
        self._compiles = any(phase.compile for phase in recipe.phases)
        self._model = world.parallel(torch.compile(self._learner) if self._compiles else self._learner)
        self._optimizer = make_optimizer(self._learner, recipe.optimizer, recipe.masks.rate)
        decay = recipe.optimizer.ema
        self._average = Average(self._learner.classifier, decay) if decay else None
        self._window = torch.zeros(len(FIGURES) + 1, device=world.device)  # sums since the last line, and steps
        self._log = RunLog(files.log)
        self._lined = 0.0  # when the last line was written
        self.step = 0
        self.seconds = 0.0
        self.figures: Figures = {}

    @property
    def best_weights(self) -> Classifier:
        """The averaged weights, or the weights themselves without averaging."""
        best: Classifier = self._learner.classifier if self._average is None else self._average.classifier
        return best

    def run(
        self,
        stop: Stop = lambda: False,
        report: Report = lambda _: None,
    ) -> bool:
        """Take steps until the last one, or until `stop` returns True; the state is saved in either case.

        Args:
            stop: called before every step (with several processes, once per line of the log).
            report: called with the progress after every line of the log, and with figures after every validation.

        Returns:
            Whether the last step is done.

        Raises:
            TrainingError: the loss is not a number, or there is not enough memory; the last good state is kept.
        """
        recipe, before = self._task.recipe, self.seconds
        began = saved = self._lined = monotonic()
        if self._world.first:
            self._log.rewind(self.step)
        while self.step < self.schedule.steps:
            if (self._world.size == 1 or self.step % recipe.log_every == 0) and self._world.any(stop()):
                break
            plan = self.schedule.at(self.step)
            self._take_step(plan)
            self.step += 1
            self.seconds = before + monotonic() - began
            last = self.step == self.schedule.steps
            if self.step % recipe.log_every == 0 or last:
                report(self._write_line(plan))
            if self.schedule.validates_after(self.step - 1):
                report(self._validate())
            if monotonic() - saved >= 60 * recipe.save_minutes and not last:
                self._save()
                saved = monotonic()
        self._save()
        return self.step == self.schedule.steps

    def _take_step(self, plan: StepPlan) -> None:
        try:
            with self._as_planned(plan):
                figures = self._gradients(plan)
            most = self._task.recipe.optimizer.clip or float("inf")
            norm = torch.nn.utils.clip_grad_norm_(self._learner.parameters(), most)
            for group in self._optimizer.param_groups:
                group["lr"] = plan.lr * group["rate"]
            self._optimizer.step()
            if self._average is not None:
                self._average.update(self._learner.classifier, self.step)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise self._out_of_memory(plan) from error
        except RuntimeError as error:
            # On a CPU the allocator raises no error of its own.
            if "allocate memory" in str(error) or "out of memory" in str(error):
                raise self._out_of_memory(plan) from error
            raise
        self._window += torch.cat((figures, norm.detach().view(1), torch.ones(1, device=norm.device)))

    def _as_planned(self, plan: StepPlan) -> AbstractContextManager[object]:
        """Run compiled or not. Without compiled phases the compiler, slow to import, is not touched."""
        if plan.compiled or not self._compiles:
            return nullcontext()
        eager: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
        return eager

    def _gradients(self, plan: StepPlan) -> Tensor:
        """Compute the gradients of one step; returns the terms of the loss in the order of FIGURES."""
        recipe, schedule = self._task.recipe, self.schedule
        chosen = torch.from_numpy(schedule.photos_at(self.step)).to(self._task.train.pixels.device)
        views = draw_views(recipe.batch_size, recipe.augment, schedule.draws(VIEWS, self.step))
        if self._task.teacher is not None:
            views = self._task.teacher.seen(chosen, views, schedule.draws(PICKS, self.step))
        parts = self._micro_batches(plan.size)
        kept = self._kept_patches(plan)
        seeds = schedule.draws(POSITIONS, self.step).integers(2**62, size=len(parts))
        figures = torch.zeros(len(FIGURES) - 1, device=self._world.device)
        self._optimizer.zero_grad()
        for index, part in enumerate(parts):
            # The model shifts positions with torch's own generator: the same way in every process.
            torch.manual_seed(int(seeds[index]))
            images, shares = render(self._task.train, chosen, views, part, plan.size, self._world.device)
            labels = mixed_labels(self._task.train, chosen, views, part, shares, len(self._task.labels))
            more = index < len(parts) - 1 or self._task.masks is not None
            with hold_gradients(self._model, more), self.autocast():
                taught = self._taught(images, chosen, views, part)
                seen = None if kept is None else kept[part]
                terms = self._model(normalise(images), plan.cores, labels, taught, seen)
                loss = total(terms, recipe.loss)
                weight = (part.stop - part.start) / (self._part.stop - self._part.start)
                (weight * loss).backward()
            figures += weight * _figures({"loss": loss, **terms})
        if self._task.masks is not None:
            figures += self._mask_gradients(self._task.masks, plan)
        return self._world.mean(figures)

    def _mask_gradients(self, masks: DenseData, plan: StepPlan) -> Tensor:
        """Add those of the dense head's loss; returns its terms as `_gradients` does."""
        recipe, config = self._task.recipe, self._learner.classifier.veca.config
        generator, part = self.schedule.draws(MASKS, self.step), self._world.share(recipe.masks.batch_size)
        images, targets = masks.batch(part, config.patch_size, recipe.masks, recipe.augment, generator)
        images, targets = images.to(self._world.device), targets.to(self._world.device)
        with self.autocast():
            terms = self._model(normalise(images), plan.cores, None, None, None, targets)
            loss = recipe.loss.masks * terms["masks"]
            loss.backward()
        return _figures({"loss": loss, **terms})

    def _taught(self, images: Tensor, chosen: Tensor, views: Views, part: slice) -> TeacherOutput | None:
        if self._task.teacher is None:
            return None
        return checked_labels(self._task.teacher.answer(images, chosen, views, part), len(self._task.labels))

    def _kept_patches(self, plan: StepPlan) -> Tensor | None:
        """The patches of each view of the batch that the student sees: int64 (B, n), or None for all."""
        if plan.patches == 1:
            return None
        rows, columns = self._learner.classifier.veca.config.patch_grid(plan.size, plan.size)
        count = max(1, round(plan.patches * rows * columns))
        generator = self.schedule.draws(PATCHES, self.step)
        order = generator.random((self._task.recipe.batch_size, rows * columns)).argsort(1)
        return torch.from_numpy(np.sort(order[:, :count], 1)).to(self._world.device)

    def _micro_batches(self, size: int) -> list[slice]:
        """This process's part of the batch, in pieces of at most `micro_batch`."""
        most, smallest = self._task.recipe.micro_batch, self._task.recipe.train_sizes[0]
        start, stop = self._part.start, self._part.stop
        piece = max(1, int(most * (smallest / size) ** 2)) if most else stop - start
        return [slice(begin, min(begin + piece, stop)) for begin in range(start, stop, piece)]

    def _write_line(self, plan: StepPlan) -> Progress:
        """Log the mean of the steps since the last line."""
        self._check()
        spent, self._lined = monotonic() - self._lined, monotonic()
        *sums, count = self._window.tolist()
        self._window.zero_()
        wanted = {"loss", "gradient", *(name for name, value in zip(FIGURES, sums, strict=True) if value)}
        figures = {name: value / count for name, value in zip(FIGURES, sums, strict=True) if name in wanted}
        progress = Progress(
            self.step,
            self.schedule.steps,
            self.schedule.epoch_at(self.step),
            plan.size,
            plan.lr,
            self._task.recipe.batch_size * count / spent,
            self.seconds,
            figures,
        )
        if self._world.first:
            place = {"step": self.step, "epoch": round(progress.epoch, 4), "size": plan.size, "lr": plan.lr}
            self._log.add(place | figures | {"seconds": round(self.seconds, 2)})
        return progress

    def _validate(self) -> Figures:
        validation = self._task.recipe.validation
        classifier, sizes = self.best_weights, self._task.recipe.validation_sizes
        classifier.eval()
        self.figures = validate(classifier, self._task.val, sizes, validation.cores, self._world, self.autocast)
        if self._task.masks is not None:
            size = self._task.recipe.masks.size
            found = validate_masks(classifier, self._task.masks, size, validation.cores, self._world, self.autocast)
            self.figures |= found
        self._learner.train()
        if self._world.first:
            self._log.add({"step": self.step, "validation": self.figures})
        return self.figures

    def _check(self) -> None:
        """Raise a TrainingError if a loss or gradient since the last line was not a number."""
        if not bool(self._window.isfinite().all()):
            kept = (
                f"{self._files.state} holds the last good state"
                if self._files.state.exists()
                else "nothing was saved"
            )
            hint = "lower optimizer.lr or optimizer.clip and continue with --resume changed"
            raise TrainingError(f"the loss is not a number by step {self.step}: {kept}; {hint}")

    def _out_of_memory(self, plan: StepPlan) -> TrainingError:
        return TrainingError(
            f"out of memory at {plan.size} pixels with {self._task.recipe.batch_size} photos a step: set or lower "
            "micro_batch (the same steps in smaller pieces), or lower batch_size, sizes in phases, or the model"
        )

    def _save(self) -> None:
        self._check()
        if not self._world.first:
            return
        state = {
            "recipe": plain(self._task.recipe),
            **self._digests,
            "step": self.step,
            "seconds": self.seconds,
            "learner": self._learner.state_dict(),
            "average": None if self._average is None else self._average.classifier.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "window": self._window.cpu(),
            "figures": self.figures,
        }
        write_state(self._files.state, state)

    def restore(self, changed: bool = False) -> bool:
        """Continue from the state of an earlier run, if there is one.

        Args:
            changed: continue although the recipe, the photos or the masks have changed.

        Returns:
            Whether there was one.

        Raises:
            VecaError: the state is damaged, or belongs to other photos or masks, or another recipe.
        """
        state = read_state(self._files.state)
        if state is None:
            return False
        try:
            self._check_same(state, changed)
            self._learner.load_state_dict(state["learner"])
            if self._average is not None:
                self._average.classifier.load_state_dict(state["average"] or self._learner.classifier.state_dict())
            self._optimizer.load_state_dict(state["optimizer"])
            self._window.copy_(state["window"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.figures = dict(state["figures"])
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise VecaError(f"{self._files.state} does not fit: {reason}; start over with --resume never") from None
        return True

    def _check_same(self, state: dict[str, Any], changed: bool) -> None:
        other = differences(read_table(Recipe, state["recipe"]), self._task.recipe)
        names = {"data": "the photos", "masks": "the masks"}
        other += [name for key, name in names.items() if state.get(key) != self._digests[key]]
        if other and not changed:
            raise VecaError(
                f"{self._files.state} belongs to a run with other settings ({', '.join(other[:5])}): start over "
                "with --resume never, or continue with --resume changed"
            )

    def export(self) -> Checkpoint:
        """Write the best weights as a checkpoint in the published format, in half precision; returns it."""
        self._check()
        size = self._task.recipe.image_size or self._task.recipe.train_sizes[-1]
        checkpoint = self.best_weights.to_checkpoint(self._task.labels, size)
        if self._world.first:
            write_checkpoint(checkpoint, self._files.output)
        return checkpoint


def _figures(terms: dict[str, Tensor]) -> Tensor:
    """The terms of a loss in the order of FIGURES, 0 for those that there are not."""
    nothing = torch.zeros_like(terms["loss"])
    return torch.stack([terms.get(name, nothing).detach().float() for name in FIGURES[:-1]])


def _distillation(task: Task, width: int) -> Distillation | None:
    """Projections to the teacher, fitted to a sample of its answers."""
    if task.teacher is None:
        return None
    return Distillation(width, checked_labels(task.teacher.sample(), len(task.labels)))
