"""The training loop: nested budgets, labels, a teacher, phases of image sizes; a run continues exactly.

A step is a function of the recipe, the step's number and the weights: its photos, views, image size, budget and
position shifts are drawn from the seed and the number alone (see `schedule`). So the state holds no random
generators and no position in the data, and a run that was interrupted ends with the same weights as one that was
not: bit for bit where the arithmetic is deterministic, as it is on a CPU. With a time limit that holds as long as
the plan of the run does (see `pace`).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from veca_edge.errors import VecaError
from veca_edge.image.skipping import Say
from veca_edge.model.checkpoint import Checkpoint, write_checkpoint
from veca_edge.numbers import counted
from veca_edge.training.gradients import LOSSES, Gradients, Task
from veca_edge.training.learner import Average, Classifier, Learner, make_optimizer
from veca_edge.training.losses import Distillation
from veca_edge.training.pace import CHECKS, Clock, Plan, step_costs
from veca_edge.training.schedule import Schedule, StepPlan
from veca_edge.training.settings import Recipe, differences
from veca_edge.training.state import RunFiles, RunLog, read_state, write_state
from veca_edge.training.tables import plain, read_table
from veca_edge.training.teachers import checked_labels
from veca_edge.training.validation import Figures, Validation
from veca_edge.training.world import World

Stop = Callable[[], bool]
Report = Callable[["Progress | Figures"], None]
FEW = 20  # steps, fewer than which a user should be told
FIGURES = (*LOSSES, "gradient")  # per step, averaged in each line of the log


class TrainingError(VecaError):
    """Training failed, although its input was valid. Exit status 1."""

    exit_status = 1


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: steps taken.
        steps: steps in all.
        epoch: passes over the photos so far.
        size: of the last step's images, pixels.
        lr: of the last step.
        photos_per_second: throughput since the last line, all processes together; without validations.
        masks_per_second: the same of photos with masks, 0 without.
        seconds: spent training, in this run and those that it continues.
        seconds_left: expected until the end.
        figures: mean of each term of the loss ("loss" is the weighted sum) and of the gradient's norm.
    """

    step: int
    steps: int
    epoch: float
    size: int
    lr: float
    photos_per_second: float
    masks_per_second: float
    seconds: float
    seconds_left: float
    figures: dict[str, float]


class Trainer:
    """One run: make it, `restore` its state if there is one, `run` it, `export` the checkpoint."""

    def __init__(self, task: Task, files: RunFiles, world: World, limit: Plan | None = None) -> None:
        """Build the model and everything around it.

        Args:
            task: what to learn.
            files: where the run writes.
            world: the processes.
            limit: a plan without steps: how long the run may take; None for the epochs of the recipe.

        Raises:
            VecaError: sizes or budgets that the model cannot take, or a teacher that does not fit.
        """
        self._task, self._files, self._world = task, files, world
        recipe = task.recipe
        torch.manual_seed(recipe.seed)
        config = recipe.model_config() if task.start is None else task.start.config
        recipe.check_model(config)
        self._digests = {"data": task.train.digest, "masks": task.masks and task.masks.train.digest()}
        self.schedule = Schedule(recipe, config, len(task.train))
        if task.start is None:
            classifier = Classifier(config, len(task.labels), task.masks)
        else:
            classifier = Classifier.from_checkpoint(task.start, task.labels, task.masks)
        classifier.veca.stochastic_depth = recipe.model.stochastic_depth
        self._learner = Learner(classifier, _distillation(task, config.feature_dim), recipe.loss).to(world.device)
        self._gradients = Gradients(task, self._learner, self.schedule, world)
        self._validation = Validation(task, world)
        self._optimizer = make_optimizer(self._learner, recipe.optimizer, recipe.masks.rate)
        decay = recipe.optimizer.ema
        self._average = Average(self._learner.classifier, decay) if decay else None
        self._window = torch.zeros(len(FIGURES) + 1, device=world.device)  # sums since the last line, and steps
        self._log = RunLog(files.log)
        self._clock = Clock()
        self._lined = self._paced = 0.0  # when the last line was written, and the plan last checked
        self._expected = 0.0  # seconds of the steps since, by the plan
        self.plan = limit
        self.taken = 0  # steps, by this process
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
        say: Say = lambda _: None,
    ) -> bool:
        """Take steps until the last one, or until `stop` returns True; the state is saved in either case.

        With a limit the number of steps is planned first; without time for that no step is taken.

        Args:
            stop: called before every step (with several processes, once per line of the log).
            report: called with the progress after every line of the log, and with figures after every validation.
            say: receives a line about every plan.

        Returns:
            Whether the last step is done.

        Raises:
            TrainingError: the loss is not a number, or there is not enough memory; the last good state is kept.
        """
        recipe, before = self._task.recipe, self.seconds
        began = saved = monotonic()
        if self._world.first:
            self._log.rewind(self.step)
        planned = self.plan is None or bool(self.plan.steps) or self._make_plan(stop, say)
        self._clock = Clock()
        self._lined = self._paced = self._expected = 0.0
        while planned and self.step < self.schedule.steps:
            if (self._world.size == 1 or self.step % recipe.log_every == 0) and self._world.any(stop()):
                break
            plan = self.schedule.at(self.step)
            self._take_step(plan)
            self.seconds = before + monotonic() - began
            last = self.step == self.schedule.steps
            if self.step % recipe.log_every == 0 or last:
                report(self._write_line(plan))
            if self.schedule.validates_after(self.step - 1):
                report(self._validate())
            self.seconds = before + monotonic() - began
            if last:
                break
            if self._keep_pace(plan.size, say) or monotonic() - saved >= 60 * recipe.save_minutes:
                with self._clock.held():
                    self._save()
                saved = monotonic()
        self._save()
        return self.step == self.schedule.steps

    def _take_step(self, plan: StepPlan) -> None:
        figures = self._update(plan)
        if self._average is not None:
            self._average.update(self._learner.classifier, self.step)
        self._window += torch.cat((figures, torch.ones(1, device=figures.device)))
        self.step += 1
        self.taken += 1

    def _update(self, plan: StepPlan) -> Tensor:
        """Change the weights as the next step does; returns its FIGURES."""
        try:
            losses = self._gradients(self.step, plan)
            most = self._task.recipe.optimizer.clip or float("inf")
            norm = torch.nn.utils.clip_grad_norm_(self._learner.parameters(), most)
            for group in self._optimizer.param_groups:
                group["lr"] = plan.lr * group["rate"]
            self._optimizer.step()
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise self._out_of_memory(plan) from error
        except RuntimeError as error:
            # On a CPU the allocator raises no error of its own.
            if "allocate memory" in str(error) or "out of memory" in str(error):
                raise self._out_of_memory(plan) from error
            raise
        return torch.cat((losses, norm.detach().view(1)))

    def _make_plan(self, stop: Stop, say: Say) -> bool:
        """Time some steps and a validation, and plan; False if it is stopped, or there is no time for it."""
        assert self.plan is not None
        began, before, limit = monotonic(), self.seconds, self.plan.seconds
        kept = deepcopy(self._optimizer.state_dict())

        def over() -> bool:
            return self._world.any(stop() or before + monotonic() - began >= limit)

        costs = step_costs(self.schedule, lambda step: self._update(step).tolist(), limit, over)
        self._optimizer.load_state_dict(kept)  # the trials have changed no more than that
        if costs is None:
            return False
        self.plan = replace(self.plan, costs=costs, validation=self._validation.seconds(self.best_weights))
        self._learner.train()
        self.seconds = before + monotonic() - began
        self._revise(say)
        self._save()
        return True

    def _revise(self, say: Say) -> bool:
        """Plan another number of steps if the end would be off; returns whether it is another one."""
        assert self.plan is not None
        steps = self._world.agreed(self.plan.fitting(self.schedule, self.step, self.seconds))
        if self.plan.steps[-1:] == (steps,):
            return False
        self.plan = replace(self.plan, steps=(*self.plan.steps, steps))
        self.schedule.steps = steps
        epochs = f"{self.schedule.epoch_at(steps):.3g} epochs"
        anew = "" if self.plan.steps == (steps,) else "anew "
        few = "; too few to learn much: give more --minutes, or a smaller batch_size" if steps < FEW else ""
        say(f"planned {anew}for {self.plan.minutes:g} min: {counted(steps, 'step')}, {epochs}{few}")
        if self._world.first:
            self._log.add({"step": self.step, "planned": steps, "minutes": self.plan.minutes})
        return True

    def _keep_pace(self, size: int, say: Say) -> bool:
        """Compare the pace with the plan now and then; returns whether there is another plan.

        Args:
            size: of the last step's images, pixels.
            say: receives a line about another plan.
        """
        if self.plan is None:
            return False
        phase = self.schedule.phase(self.step - 1)
        self._expected += self.plan.costs[phase][self._task.recipe.phases[phase].sizes.index(size)]
        if self.step % max(1, min(self._task.recipe.log_every, self.schedule.steps // CHECKS)):
            return False
        self._check()  # on a GPU this waits until the steps are done
        self.plan = self.plan.paced(self._expected, self._clock() - self._paced)
        self._expected, self._paced = 0.0, self._clock()
        return self._revise(say)

    def _write_line(self, plan: StepPlan) -> Progress:
        """Log the mean of the steps since the last line."""
        self._check()
        spent, self._lined = self._clock() - self._lined, self._clock()
        *sums, count = self._window.tolist()
        self._window.zero_()
        wanted = {"loss", "gradient", *(name for name, value in zip(FIGURES, sums, strict=True) if value)}
        figures = {name: value / count for name, value in zip(FIGURES, sums, strict=True) if name in wanted}
        steps, epoch = self.schedule.steps, self.schedule.epoch_at(self.step)
        left = (steps - self.step) / self.step * self.seconds
        if self.plan is not None:
            left = self.plan.left(self.schedule, self.step, steps)
        photos, masks = self._rates(count, spent)
        progress = Progress(self.step, steps, epoch, plan.size, plan.lr, photos, masks, self.seconds, left, figures)
        if self._world.first:
            place = {"step": self.step, "epoch": round(progress.epoch, 4), "size": plan.size, "lr": plan.lr}
            self._log.add(place | figures | {"seconds": round(self.seconds, 2)})
        return progress

    @property
    def rates(self) -> tuple[float, float]:
        """Photos, and photos with masks, per second of this process's steps so far; without validations."""
        return self._rates(self.taken, self._clock())

    def _rates(self, steps: float, seconds: float) -> tuple[float, float]:
        recipe, rate = self._task.recipe, steps / seconds if steps else 0.0
        return recipe.batch_size * rate, 0.0 if self._task.masks is None else recipe.masks.batch_size * rate

    def _validate(self) -> Figures:
        with self._clock.held():
            began = monotonic()
            self.figures = self._validation(self.best_weights)
            self._learner.train()
            if self.plan is not None:
                self.plan = replace(self.plan, validation=monotonic() - began)
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
            "plan": None if self.plan is None else plain(self.plan),
        }
        write_state(self._files.state, state)

    def restore(self, changed: bool = False) -> bool:
        """Continue from the state of an earlier run, if there is one.

        Args:
            changed: continue although the recipe, the limit, the photos or the masks have changed.

        Returns:
            Whether there was one.

        Raises:
            VecaError: the state is damaged, or belongs to other photos or masks, or another recipe or limit.
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
        """Raise a VecaError if a state belongs to another run, unless that may be; else go by its plan."""
        other = differences(read_table(Recipe, state["recipe"]), self._task.recipe)
        names = {"data": "the photos", "masks": "the masks"}
        other += [name for key, name in names.items() if state.get(key) != self._digests[key]]
        plan = None if state.get("plan") is None else read_table(Plan, state["plan"])
        same_limit = (plan and plan.minutes) == (self.plan and self.plan.minutes)
        if state["step"] and not same_limit:
            other.append("--minutes")
        if other and not changed:
            raise VecaError(
                f"{self._files.state} belongs to a run with other settings ({', '.join(other[:5])}): start over "
                "with --resume never, or continue with --resume changed"
            )
        if same_limit and not other and plan is not None and plan.steps:
            self.plan, self.schedule.steps = plan, plan.steps[-1]

    def export(self) -> Checkpoint:
        """Write the best weights as a checkpoint in the published format, in half precision; returns it."""
        self._check()
        size = self._task.recipe.image_size or self._task.recipe.train_sizes[-1]
        checkpoint = self.best_weights.to_checkpoint(self._task.labels, size)
        if self._world.first:
            write_checkpoint(checkpoint, self._files.output)
        return checkpoint


def _distillation(task: Task, width: int) -> Distillation | None:
    """Projections to the teacher, fitted to a sample of its answers."""
    if task.teacher is None:
        return None
    return Distillation(width, checked_labels(task.teacher.sample(), len(task.labels)))
