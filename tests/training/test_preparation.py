"""What is ready is taken up, what is not is made; and it can be stopped."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.training_sets import ALONE, LABELS, store, tiny_recipe
from veca_edge.errors import VecaError
from veca_edge.training.answers import KeptAnswers, LiveAnswers
from veca_edge.training.preparation import Listener, Preparation, StoppedError
from veca_edge.training.state import RunFiles

TUNING, ASKING = "tuning the teacher", "running the teacher"


@pytest.fixture
def prepare(mobilenet, tmp_path):
    """Prepares with some changes to the recipe; gives the answers and the names of the stages gone through."""

    def prepare(*changes, resumes=True, stop=lambda: False, photos=24):
        settings = f"teacher.source={mobilenet}", "teacher.tune_epochs=1", "teacher.views=2", "batch_size=12"
        recipe, stages = tiny_recipe(tmp_path, *settings, *changes), []
        told = Listener(stage=lambda name, done: stages.append(name))
        learn, judge = store(photos), store(6, seed=1)
        files = RunFiles(tmp_path / "model.pt")
        answers = Preparation(recipe, files, learn, judge, LABELS, resumes, told, stop).answers(ALONE)
        return answers, list(dict.fromkeys(stages))

    return prepare


def test_what_is_ready_is_taken_up(prepare, tmp_path):
    answers, stages = prepare()
    assert isinstance(answers, KeptAnswers)
    assert stages == [TUNING, ASKING]
    kept = (tmp_path / "model.answers.npy").read_bytes()
    assert prepare("epochs=3", "optimizer.lr=1e-4")[1] == []
    (tmp_path / "model.teacher.npz").unlink()
    assert prepare()[1] == []  # the answers are enough
    assert (tmp_path / "model.answers.npy").read_bytes() == kept
    assert prepare(resumes=False)[1] == [TUNING, ASKING]


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("teacher.views=3", [ASKING]),
        ("phases=[{sizes=[64]}]", [ASKING]),  # on a finer grid
        ("augment.crop_area=0.5", [TUNING, ASKING]),
        ("teacher.image_size=64", [TUNING, ASKING]),
        ("teacher.tune_epochs=2", [TUNING, ASKING]),
        ("seed=1", [TUNING, ASKING]),
    ],
)
def test_what_was_made_of_other_things_is_made_anew(prepare, change, stages):
    prepare("teacher.image_size=32")
    answers, seen = prepare("teacher.image_size=32", change)
    assert seen == stages
    assert len(answers.sample().embedding) > 0
    assert prepare("teacher.image_size=32", change)[1] == []


def test_other_photos_are_asked_about_anew(prepare):
    prepare()
    assert prepare(photos=21)[1] == [TUNING, ASKING]


def test_without_kept_views_the_teacher_is_asked_live(prepare):
    answers, stages = prepare("teacher.views=0")
    assert isinstance(answers, LiveAnswers)
    assert stages == [TUNING]
    assert prepare("teacher.views=0")[1] == []
    assert prepare("teacher.source=", "teacher.tune_epochs=0")[0] is None
    with pytest.raises(VecaError, match="tune others beforehand"):
        prepare("teacher.source=some.module:teacher")


def test_it_stops_when_asked_and_keeps_what_is_finished(prepare, tmp_path):
    with pytest.raises(StoppedError, match="stopped while tuning the teacher: nothing is trained yet"):
        prepare("teacher.tune_epochs=3", stop=lambda: True)
    assert not (tmp_path / "model.teacher.npz").exists()
    prepare("teacher.views=0", photos=72)
    with pytest.raises(StoppedError, match="stopped while running the teacher: nothing is trained yet"):
        prepare(photos=72, stop=lambda: True)
    assert not (tmp_path / "model.answers.npy").exists()
    assert StoppedError("").exit_status == 1
    assert prepare(photos=72)[1] == [ASKING]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"tuned": 5, "answers": null}'])
def test_damaged_notes_mean_that_it_is_made_anew(prepare, tmp_path, content):
    prepare()
    (tmp_path / "model.prepared.json").write_bytes(content)
    assert prepare()[1] == [TUNING, ASKING]
    assert np.load(tmp_path / "model.answers.npy").shape == (24, 2)
