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

import numpy as np
import pytest
import torch

from tests.training.training_sets import TINY, write_set
from veca_edge.model.checkpoint import read_checkpoint
from veca_edge.training.state import read_log, read_state

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
STEPS = 24


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "tiny.toml").write_text(TINY)
    return write_set(folder)


def order(photos: Path, output: Path, *more: str) -> list[str]:
    """A command; later options win."""
    where = ["--data", str(photos), "--output", str(output), "--config", str(photos / "tiny.toml")]
    return ["train", *where, "--set", f"epochs={STEPS / 2}", *more, "--json"]


def start(arguments: list[str], *launcher: str) -> subprocess.Popen[str]:
    command = [sys.executable, *(launcher or ["-m", "veca_edge.cli.main"]), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def finish(child: subprocess.Popen[str]) -> dict[str, object]:
    out, error = child.communicate(timeout=120)
    assert child.returncode == 0, error
    result: dict[str, object] = json.loads(out[out.index("{") :])
    return result


def steps_taken(output: Path) -> int:
    log = output.with_suffix(".log.jsonl")
    return max((line["step"] for line in read_log(log)), default=0) if log.exists() else 0


def lines(output: Path) -> list[dict[str, object]]:
    logged = read_log(output.with_suffix(".log.jsonl"))
    return [{name: value for name, value in line.items() if name != "seconds"} for line in logged]


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory):
    """A run that nobody disturbs."""
    output = tmp_path_factory.mktemp("whole") / "model.pt"
    outcome = finish(start(order(photos, output)))
    assert (outcome["step"], outcome["finished"]) == (STEPS, True)
    return output


def test_killed_and_continued_is_as_never_killed(photos, whole, tmp_path):
    output, draws, kills = tmp_path / "model.pt", random.Random(), 0
    for target in sorted(draws.sample(range(1, STEPS - 1), 2)):
        child = start(order(photos, output))
        while child.poll() is None and steps_taken(output) < target:
            time.sleep(0.002)
        time.sleep(draws.random() * 0.05)  # any moment of a step, also while the state is written
        child.send_signal(signal.SIGKILL)
        child.communicate()
        kills += child.returncode == -signal.SIGKILL
    assert kills
    outcome = finish(start(order(photos, output)))
    assert (outcome["step"], outcome["finished"]) == (STEPS, True)
    assert lines(output) == lines(whole)
    expected, state = (read_state(path.with_suffix(".state.pt")) for path in (whole, output))
    for part in ("learner", "average"):
        assert all(torch.equal(value, state[part][name]) for name, value in expected[part].items())
    assert output.read_bytes() == whole.read_bytes()


def test_two_processes_train_as_one(photos, whole, tmp_path):
    """Sums are taken in another order, so figures agree to about 4 digits, not bit for bit."""
    output = tmp_path / "model.pt"
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "veca_edge.cli.main")
    outcome = finish(start(order(photos, output), *launcher))
    assert (outcome["step"], outcome["finished"]) == (STEPS, True)
    together, alone = lines(output), lines(whole)
    assert [line["step"] for line in together] == [line["step"] for line in alone]
    for a, b in zip(together, alone, strict=True):
        for name in {"loss", "labels", "gradient"} & b.keys():
            assert a[name] == pytest.approx(b[name], rel=1e-3), (b["step"], name)
    one, other = read_checkpoint(whole).state, read_checkpoint(output).state
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=5e-3, rtol=0)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_step_and_saves(photos, tmp_path, number, status):
    output = tmp_path / "model.pt"
    child = start(order(photos, output, "--set", "save_minutes=9", "--set", "epochs=100000"))
    while child.poll() is None and steps_taken(output) < 3:
        time.sleep(0.01)
    child.send_signal(number)
    out, error = child.communicate(timeout=60)
    assert child.returncode == status, error
    outcome = json.loads(out)
    assert outcome["finished"] is False
    assert read_state(output.with_suffix(".state.pt"))["step"] == outcome["step"] == steps_taken(output)
    assert read_checkpoint(output).labels == ("blue", "green", "red")
    assert {path.name for path in tmp_path.iterdir()} == {"model.pt", "model.state.pt", "model.log.jsonl"}


def test_the_tuned_teacher_is_kept_with_the_run(photos, mobilenet, tmp_path):
    """Tuned once, found again by a run that goes on."""
    output = tmp_path / "model.pt"
    more = ["--teacher", str(mobilenet), "--set", "teacher.tune_epochs=1", "--set", "epochs=1"]
    for expected in ("the tuned teacher: ", "continuing after step 2 of 2"):
        child = start(order(photos, output, *more))
        _, error = child.communicate(timeout=60)
        assert child.returncode == 0, error
        assert expected in error
    assert "the tuned teacher" not in error
    assert {"embedding", "patches"} <= set(lines(output)[0])


def test_kept_answers_need_no_teacher_any_more(photos, mobilenet, tmp_path):
    output = tmp_path / "model.pt"
    more = ["--teacher", str(mobilenet), "--set", "teacher.tune_epochs=1", "--set", "teacher.views=2"]
    for epochs in (2, 4):
        changed = ["--set", f"epochs={epochs}", "--resume", "changed"]
        child = start(order(photos, output, *more, *changed))
        _, error = child.communicate(timeout=60)
        assert child.returncode == 0, error
        output.with_suffix(".teacher.npz").unlink(missing_ok=True)
    assert "continuing after step 4 of 8" in error
    assert {"embedding", "patches"} <= set(lines(output)[-2])
    answers = np.load(output.with_suffix(".answers.npy"))
    assert answers.shape == (24, 2)
    assert answers["embedding"].shape == (24, 2, 1280)
    assert answers["logits"].min() != answers["logits"].max()


def test_a_signal_while_the_teacher_is_tuned_leaves_nothing_half_done(photos, mobilenet, tmp_path):
    output = tmp_path / "model.pt"
    more = ["--teacher", str(mobilenet), "--set", "teacher.tune_epochs=10000"]
    child = start(order(photos, output, *more))
    time.sleep(4)  # what it is doing then does not matter: it takes far longer than the test
    child.send_signal(signal.SIGTERM)
    out, error = child.communicate(timeout=60)
    assert (child.returncode, out) == (143, ""), error
    assert error.splitlines()[-1].startswith(
        "veca-edge: stopped while tuning the teacher: nothing is trained yet; "
    )
    assert not list(tmp_path.iterdir())
