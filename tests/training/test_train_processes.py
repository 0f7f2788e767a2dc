"""Training as processes: killed at any moment and continued; two that train together."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.known import known
from tests.training.training_sets import LABELS, as_options, write_set
from veca_edge.model.checkpoint import read_checkpoint
from veca_edge.training.state import read_log, read_state

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
STEPS = 24
# By default each finds the other by this machine's name, which not every machine can look up.
TOGETHER = "-m torch.distributed.run --standalone --local-addr localhost --nproc-per-node 2"
Child = subprocess.Popen[str]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("photos"), {"train": 24, "val": 6})


def start(photos: Path, output: Path, *changes: str, launcher: str = "", options: tuple[str, ...] = ()) -> Child:
    """A run of 24 steps on 24 photos, with some changes to the recipe."""
    command = [sys.executable, *launcher.split(), "-m", "veca_edge.cli.main", "train", "--json"]
    command += [
        "--data",
        str(photos),
        "--output",
        str(output),
        *options,
        *as_options(f"epochs={STEPS // 2}", *changes),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def finish(child: Child, status: int = 0) -> tuple[dict[str, Any], str]:
    """(outcome, what was said) at its end."""
    out, error = child.communicate(timeout=120)
    assert child.returncode == status, error
    return json.loads(out[out.index("{") :]) if out else {}, error


def steps_taken(output: Path) -> int:
    return max((line["step"] for line in read_log(output.with_suffix(".log.jsonl"))), default=0)


def lines(output: Path) -> list[dict[str, Any]]:
    logged = read_log(output.with_suffix(".log.jsonl"))
    return [{name: value for name, value in line.items() if name != "seconds"} for line in logged]


def state_of(output: Path) -> dict[str, Any]:
    state = read_state(output.with_suffix(".state.pt"))
    assert state is not None
    return state


def wait_for(child: Child, output: Path, steps: int) -> None:
    while child.poll() is None and steps_taken(output) < steps:
        time.sleep(0.002)


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbs."""
    output = tmp_path_factory.mktemp("whole") / "model.pt"
    outcome, _ = finish(start(photos, output))
    assert (outcome["step"], outcome["finished"], outcome["stopped"]) == (STEPS, True, "end")
    return output


def test_killed_and_continued_is_as_never_killed(photos: Path, whole: Path, tmp_path: Path) -> None:
    output, draws, kills = tmp_path / "model.pt", random.Random(), 0
    for target in sorted(draws.sample(range(1, STEPS - 1), 2)):
        child = start(photos, output)
        wait_for(child, output, target)
        time.sleep(draws.random() * 0.05)  # any moment of a step, also while the state is written
        child.send_signal(signal.SIGKILL)
        child.communicate()
        kills += child.returncode == -signal.SIGKILL
    assert kills
    outcome, _ = finish(start(photos, output))
    assert (outcome["step"], outcome["finished"]) == (STEPS, True)
    assert lines(output) == lines(whole)
    expected, state = state_of(whole), state_of(output)
    for part in ("learner", "average"):
        assert all(torch.equal(value, state[part][name]) for name, value in expected[part].items())
    assert output.read_bytes() == whole.read_bytes()


def test_two_processes_train_as_one(photos: Path, whole: Path, tmp_path: Path) -> None:
    """Sums are taken in another order, so figures agree to about 4 digits, not bit for bit."""
    output = tmp_path / "model.pt"
    outcome, _ = finish(start(photos, output, launcher=TOGETHER))
    assert (outcome["step"], outcome["finished"]) == (STEPS, True)
    together, alone = lines(output), lines(whole)
    assert [line["step"] for line in together] == [line["step"] for line in alone]
    for a, b in zip(together, alone, strict=True):
        for name in {"loss", "labels", "gradient"} & b.keys():
            assert a[name] == pytest.approx(b[name], rel=1e-3), (b["step"], name)
    other = read_checkpoint(output).state
    for name, value in read_checkpoint(whole).state.items():
        torch.testing.assert_close(other[name], value, atol=5e-3, rtol=0)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_step_and_saves(
    photos: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    output = tmp_path / "model.pt"
    child = start(photos, output, "save_minutes=9", "epochs=100000")
    wait_for(child, output, 3)
    child.send_signal(number)
    outcome, _ = finish(child, status)
    assert (outcome["finished"], outcome["stopped"]) == (False, number.name)
    assert state_of(output)["step"] == outcome["step"] == steps_taken(output)
    assert read_checkpoint(output).labels == LABELS
    assert {path.name for path in tmp_path.iterdir()} == {"model.pt", "model.state.pt", "model.log.jsonl"}


def test_a_tuned_teacher_and_its_answers_are_kept_with_the_run(
    photos: Path, mobilenet: Path, tmp_path: Path
) -> None:
    """Computed once; the answers need no teacher any more when the run continues."""
    output, more = tmp_path / "model.pt", ("teacher.tune_epochs=1", "teacher.views=2")
    for epochs, expected in ((2, "the tuned teacher: "), (4, "continuing after step 4 of 8")):
        options = ("--teacher", str(mobilenet), "--resume", "changed")
        _, said = finish(start(photos, output, *more, f"epochs={epochs}", options=options))
        assert expected in said
        output.with_suffix(".teacher.npz").unlink(missing_ok=True)
    assert "the tuned teacher" not in said
    assert {"embedding", "patches"} <= set(lines(output)[-2])
    answers = np.load(output.with_suffix(".answers.npy"))
    assert answers.shape == (24, 2)
    assert answers["embedding"].shape == (24, 2, 1280)
    assert answers["logits"].min() != answers["logits"].max()


def test_a_signal_while_the_teacher_is_tuned_leaves_nothing_half_done(
    photos: Path, mobilenet: Path, tmp_path: Path
) -> None:
    child = start(photos, tmp_path / "model.pt", "teacher.tune_epochs=10000", options=("--teacher", str(mobilenet)))
    known(child.stderr).readline()  # the photos are read; on a busy machine that takes a while
    time.sleep(2)  # what it is doing then does not matter: it takes far longer than the test
    child.send_signal(signal.SIGTERM)
    outcome, said = finish(child, 143)
    assert outcome == {}
    assert said.splitlines()[-1].startswith("veca-edge: stopped while tuning the teacher: nothing is trained yet")
    assert not list(tmp_path.iterdir())
