"""How many steps are planned for a time limit, and that runs end with the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.training_sets import ALONE, LABELS, store, tiny_recipe
from veca_edge.errors import VecaError
from veca_edge.training import pace, trainer
from veca_edge.training.gradients import Task
from veca_edge.training.pace import Plan
from veca_edge.training.schedule import Schedule
from veca_edge.training.settings import load_recipe
from veca_edge.training.state import RunFiles, read_log
from veca_edge.training.trainer import Trainer
from veca_edge.training.validation import Validation

LIMIT = Plan(minutes=5, seconds=300)
RARELY = ("save_minutes=9", "validation.every_epochs=99")


def schedule(*changes: str) -> Schedule:
    """One photo a step and epochs of 100 steps, a quarter of all steps at another size."""
    changes = ("batch_size=1", "phases=[{share=3, sizes=[32]}, {sizes=[64, 96]}]", *changes)
    recipe = load_recipe(None, changes)
    return Schedule(recipe, recipe.model_config(), 100)


@pytest.mark.parametrize(
    ("plan", "step", "spent", "steps"),
    [
        ({}, 0, 0, 194),  # of 97 % of 300 s: a step takes 0.75 * 1 + 0.25 * 3 s
        ({"validation": 30}, 0, 0, 174),
        ({"steps": (194,)}, 97, 97, 194),
        ({"steps": (194,)}, 97, 106, 194),  # 9 s late of 194 that are left
        ({"steps": (194,)}, 97, 125, 175),
        ({"steps": (194,)}, 97, 60, 218),
        ({"steps": (194,), "factors": (1.0, 2.0, 1.9, 50.0, 2.0)}, 97, 97, 129),  # 2 is what is usual now
        ({"steps": (194,)}, 190, 299, 191),  # the end comes with the next step
        ({"steps": (194,)}, 193, 500, 194),
    ],
)
def test_as_many_steps_as_there_is_time_for(plan: dict[str, Any], step: int, spent: float, steps: int) -> None:
    found = replace(LIMIT, costs=((1.0,), (2.0, 4.0)), **plan)
    assert found.fitting(schedule(), step, spent) == steps


def test_validations_between_count() -> None:
    often = schedule("validation.every_epochs=0.25")
    often.steps = 150
    assert [often.validations(step, 150) for step in (0, 24, 25, 140, 149)] == [6, 6, 5, 1, 1]
    for step in (0, 24, 25, 149):
        assert often.validations(step, 150) == sum(often.validates_after(later) for later in range(step, 150))


class Machine:
    """Stands for the clock: every step takes as long as this says, by the number of steps so far."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float]) -> None:
        self.now, self.taken, update, validate = 0.0, 0, Trainer._update, Validation.__call__

        def slow(run: Trainer, plan: Any) -> Any:
            self.now += seconds(self.taken)
            self.taken += plan.lr > 0
            return update(run, plan)

        def validation(*given: Any) -> Any:
            self.now += 1
            return validate(*given)

        monkeypatch.setattr(Trainer, "_update", slow)
        monkeypatch.setattr(Validation, "__call__", validation)
        monkeypatch.setattr(Validation, "seconds", lambda *_: 1.0)
        for module in (pace, trainer):
            monkeypatch.setattr(module, "monotonic", lambda: self.now)


def run_in(folder: Path, limit: Plan | None, *changes: str) -> Trainer:
    folder.mkdir(exist_ok=True)
    recipe = tiny_recipe("log_every=5", "phases=[{sizes=[32]}]", *RARELY, *changes)
    return Trainer(Task(recipe, store(24), store(6, seed=1), LABELS), RunFiles(folder / "model.pt"), ALONE, limit)


def weights(run: Trainer) -> dict[str, Any]:
    return dict(run.best_weights.state_dict())


def test_an_interrupted_run_continues_by_its_plan_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = Plan(minutes=1, seconds=60)
    machine = Machine(monkeypatch, lambda _: 2.0)
    whole = run_in(tmp_path / "whole", limit)
    assert whole.run()
    assert whole.plan is not None
    assert whole.plan.steps == (27,)  # in 58.2 s without 2 for a trial and 1 for a validation
    assert machine.now == 57
    fixed = run_in(tmp_path / "fixed", None, "epochs=13.5")  # as many: the trial leaves no traces
    fixed.run()
    parts = run_in(tmp_path / "parts", limit)
    stops = iter(range(100))
    assert not parts.run(stop=lambda: next(stops) >= 14)
    parts = run_in(tmp_path / "parts", replace(limit, seconds=50))  # reading the photos took longer this time
    assert parts.restore()
    assert 0 < parts.step < parts.schedule.steps == 27
    assert parts.run()
    for other in (fixed, parts):
        assert all(torch.equal(value, weights(other)[name]) for name, value in weights(whole).items())
    with pytest.raises(VecaError, match=r"other settings \(--minutes\)"):
        run_in(tmp_path / "parts", replace(limit, minutes=2)).restore()
    assert run_in(tmp_path / "parts", replace(limit, minutes=2)).restore(changed=True)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_machine_that_becomes_slower_or_faster_ends_in_time(
    factor: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, said = Machine(monkeypatch, lambda taken: 0.5 if taken < 40 else 0.5 * factor), list[str]()
    run = run_in(tmp_path, Plan(minutes=1, seconds=60))
    assert run.run(say=said.append)
    assert 55 <= machine.now <= 61
    assert run.plan is not None
    assert run.plan.steps[0] == 112
    assert (run.plan.steps[-1] < 112) == (factor > 1)
    assert len(said) == len(run.plan.steps) < 12
    logged = list(read_log(tmp_path / "model.log.jsonl"))
    assert [line["planned"] for line in logged if "planned" in line] == list(run.plan.steps)
    rates = [line["lr"] for line in logged if "lr" in line]
    assert rates[-1] < 0.1 * max(rates)


@pytest.mark.parametrize("seconds", [0.5, 20.0])
def test_a_plan_of_few_steps_says_what_to_do(
    seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Machine(monkeypatch, lambda _: seconds)
    said = list[str]()
    assert run_in(tmp_path, Plan(minutes=1, seconds=60)).run(say=said.append)
    assert said[0].endswith("give more --minutes, or a smaller batch_size") == (seconds > 10)
    if seconds > 10:
        assert said[0].startswith("planned for 1 min: 1 step, ")


def test_without_time_for_a_trial_no_step_is_taken(tmp_path: Path) -> None:
    run = run_in(tmp_path, Plan(minutes=1, seconds=0))
    assert not run.run()
    assert (run.step, run.plan) == (0, Plan(minutes=1, seconds=0))
