"""What is ready is used again, what is not is computed; and it can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.training_sets import ALONE, LABELS, store, tiny_recipe
from veca_edge.errors import VecaError
from veca_edge.training.answers import Answers, KeptAnswers, LiveAnswers
from veca_edge.training.preparation import Listener, Preparation, StoppedError
from veca_edge.training.state import RunFiles

TUNING, RUNNING = "tuning the teacher", "running the teacher"
Prepare = Callable[..., tuple[Answers | None, list[str]]]


@pytest.fixture
def prepare(mobilenet: Path, tmp_path: Path) -> Prepare:
    """Prepares with some changes to the recipe; gives the answers and the names of the stages gone through."""

    def prepare(
        *changes: str, resumes: bool = True, stop: bool = False, photos: int = 24
    ) -> tuple[Answers | None, list[str]]:
        settings = f"teacher.source={mobilenet}", "teacher.tune_epochs=1", "teacher.views=2"
        recipe, stages = tiny_recipe(*settings, *changes), list[str]()
        listener = Listener(stage=lambda name, done: stages.append(name))
        files = RunFiles(tmp_path / "model.pt")
        preparation = Preparation(
            recipe, files, store(photos), store(6, seed=1), LABELS, resumes, listener, lambda: stop
        )
        return preparation.answers(ALONE), list(dict.fromkeys(stages))

    return prepare


def test_what_is_ready_is_used_again(prepare: Prepare, tmp_path: Path) -> None:
    answers, stages = prepare()
    assert isinstance(answers, KeptAnswers)
    assert stages == [TUNING, RUNNING]
    kept = (tmp_path / "model.answers.npy").read_bytes()
    assert prepare("epochs=3", "optimizer.lr=1e-4")[1] == []
    (tmp_path / "model.teacher.npz").unlink()
    assert prepare()[1] == []  # the answers are enough
    assert (tmp_path / "model.answers.npy").read_bytes() == kept
    assert prepare(resumes=False)[1] == [TUNING, RUNNING]


@pytest.mark.parametrize(
    ("change", "photos", "stages"),
    [
        ("teacher.views=3", 24, [RUNNING]),
        ("phases=[{sizes=[64]}]", 24, [RUNNING]),  # on a finer grid
        ("augment.crop_area=0.5", 24, [TUNING, RUNNING]),
        ("teacher.image_size=64", 24, [TUNING, RUNNING]),
        ("teacher.tune_epochs=2", 24, [TUNING, RUNNING]),
        ("seed=1", 24, [TUNING, RUNNING]),
        ("epochs=9", 21, [TUNING, RUNNING]),
    ],
)
def test_what_was_made_from_other_things_is_made_again(
    prepare: Prepare, change: str, photos: int, stages: list[str]
) -> None:
    prepare("teacher.image_size=32")
    answers, seen = prepare("teacher.image_size=32", change, photos=photos)
    assert seen == stages
    assert answers is not None
    assert len(answers.sample().embedding) > 0
    assert prepare("teacher.image_size=32", change, photos=photos)[1] == []


def test_without_kept_views_the_teacher_runs_live(prepare: Prepare) -> None:
    answers, stages = prepare("teacher.views=0")
    assert isinstance(answers, LiveAnswers)
    assert stages == [TUNING]
    assert prepare("teacher.views=0")[1] == []
    assert prepare("teacher.source=", "teacher.tune_epochs=0")[0] is None
    with pytest.raises(VecaError, match="tune others beforehand"):
        prepare("teacher.source=some.module:teacher")


def test_it_stops_when_asked_and_keeps_what_is_complete(prepare: Prepare, tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="stopped while tuning the teacher: nothing is trained yet"):
        prepare("teacher.tune_epochs=3", stop=True)
    assert not (tmp_path / "model.teacher.npz").exists()
    prepare("teacher.views=0", photos=72)
    with pytest.raises(StoppedError, match="stopped while running the teacher: nothing is trained yet"):
        prepare(photos=72, stop=True)
    assert not (tmp_path / "model.answers.npy").exists()
    assert StoppedError("").exit_status == 1
    assert prepare(photos=72)[1] == [RUNNING]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"tuned": 5, "answers": null}'])
def test_damaged_notes_mean_that_it_is_made_again(prepare: Prepare, tmp_path: Path, content: bytes) -> None:
    prepare()
    (tmp_path / "model.prepared.json").write_bytes(content)
    assert prepare()[1] == [TUNING, RUNNING]
    assert np.load(tmp_path / "model.answers.npy").shape == (24, 2)
