"""What is taught with a camera, without any window: names and places, undo, and the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import FakeModel, names, picture
from veca_edge.errors import VecaError
from veca_edge.gallery.gallery import Gallery
from veca_edge.playback.teaching import NOTHING, THINGS, Command, Lesson, Place, Taught, Teaching, changed
from veca_edge.runtime.result import Result

UNDO = Command("undo")


def seen(value: int) -> Result:
    """A picture of its own thing: a direction in space for each value."""
    vector = np.zeros(6, np.float32)
    vector[value % 6], vector[(value + 1) % 6] = 1.0, 0.01 * (value // 6)
    return replace(FakeModel()(picture(), cores=8), embedding=vector)


def add(place: int) -> Command:
    return Command("add", place)


def rename(place: int, name: str) -> Command:
    return Command("rename", place, name)


def remove(place: int) -> Command:
    return Command("remove", place)


def counts(teaching: Teaching) -> dict[str, int]:
    return {place.name: place.examples for place in teaching.taught.places if place.used}


def stored(path: Path) -> dict[str, int]:
    return dict(Gallery.load(path).labels)


@pytest.fixture
def teaching(tmp_path: Path) -> Teaching:
    return Teaching(tmp_path / "my-things.npz", Gallery())


def test_examples_are_added_and_recognised_at_once(teaching: Teaching) -> None:
    assert teaching.recognise(seen(0)) == NOTHING
    assert teaching.obey(add(1), seen(0)) == "thing 1: 1 example"
    assert teaching.obey(add(1), seen(6)) == "thing 1: 2 examples"
    assert teaching.obey(add(4), seen(1)) == "thing 4: 1 example"
    assert teaching.obey(rename(1, "mug"), seen(3)) == "thing 1 is now mug"
    match = teaching.recognise(seen(12))
    assert (match.label, match.sure) == ("mug", True)
    assert match.similarity > 0.9
    assert not teaching.recognise(seen(3)).sure
    assert counts(teaching) == stored(teaching.path) == {"mug": 2, "thing 4": 1}


def test_the_file_is_made_at_the_first_example_and_opened_again(teaching: Teaching, tmp_path: Path) -> None:
    teaching.obey(rename(2, "keys"), seen(0))
    assert (names(tmp_path), teaching.wrote) == ([], False)
    teaching.obey(add(2), seen(0))
    teaching.obey(add(7), seen(1))
    assert (names(tmp_path), teaching.wrote) == (["my-things.npz"], True)
    again = Teaching.open(teaching.path, FakeModel())  # type: ignore[arg-type]
    assert [(place.number, place.name) for place in again.taught.places if place.used] == [
        (1, "keys"),
        (7, "thing 7"),
    ]
    assert again.recognise(seen(0)).label == "keys"


def test_several_steps_are_undone_and_the_file_with_them(teaching: Teaching) -> None:
    for command, value in ((add(1), 0), (add(1), 6), (rename(1, "mug"), 0), (add(2), 1), (remove(1), 0)):
        teaching.obey(command, seen(value))
    assert stored(teaching.path) == {"thing 2": 1}
    expected = [
        ("undone (removed mug, 2 examples)", {"mug": 2, "thing 2": 1}),
        ("undone (thing 2: 1 example)", {"mug": 2}),
        ("undone (thing 1 is now mug)", {"thing 1": 2}),
        ("undone (thing 1: 2 examples)", {"thing 1": 1}),
        ("undone (thing 1: 1 example)", {}),
    ]
    for steps, (said, left) in enumerate(expected):
        assert teaching.taught.steps == 5 - steps
        assert teaching.obey(UNDO, seen(5)) == said
        assert counts(teaching) == stored(teaching.path) == left
    assert teaching.obey(UNDO, seen(5)) == "nothing to undo"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (add(1), "mug has this picture already"),
        (rename(1, "mug"), "mug keeps its name"),
        (remove(3), "thing 3 has no examples"),
        (rename(1, "keys"), "'keys' is the name of something else already: use another name"),
        (rename(1, "thing 5"), "'thing 5' is the name of something else already: use another name"),
        (rename(1, "x" * 10_000), "is 10000 characters long: use at most 100"),
        (rename(1, "a\nb"), "cannot be shown: use printable characters"),
    ],
)
def test_what_changes_nothing_leaves_nothing_to_undo(teaching: Teaching, command: Command, said: str) -> None:
    for each, value in ((add(1), 0), (rename(1, "mug"), 0), (add(2), 1), (rename(2, "keys"), 0)):
        teaching.obey(each, seen(value))
    before = teaching.taught
    line = teaching.obey(command, seen(0))
    assert said in line
    assert len(line) < 200
    assert teaching.taught == replace(before, told=line)


def test_a_result_that_is_no_numbers_is_told_and_kept_out(teaching: Teaching) -> None:
    broken = replace(seen(0), embedding=np.full(6, np.nan, np.float32))
    assert "values that are not numbers" in teaching.obey(add(1), broken)
    assert counts(teaching) == {}


def test_a_write_that_fails_loses_nothing(teaching: Teaching, tmp_path: Path) -> None:
    teaching.obey(add(1), seen(0))
    folder = tmp_path / "gone"
    folder.mkdir()
    teaching.path = folder / "my-things.npz"
    folder.rmdir()
    line = teaching.obey(add(1), seen(6))
    assert line.startswith("thing 1: 2 examples; cannot write ")
    assert line.endswith(": kept in memory, and written with the next change")
    assert "\n" not in line
    assert counts(teaching) == {"thing 1": 2}
    assert "what was taught since then is lost" in teaching.finish()
    folder.mkdir()
    # Even a command that changes nothing more writes what waits.
    assert teaching.obey(rename(1, "thing 1"), seen(0)) == "thing 1 keeps its name"
    assert stored(teaching.path) == {"thing 1": 2}
    assert teaching.finish() == ""


def test_the_end_is_the_last_chance_to_write(teaching: Teaching, tmp_path: Path) -> None:
    teaching.path = tmp_path / "gone" / "my-things.npz"
    teaching.obey(add(1), seen(0))
    (tmp_path / "gone").mkdir()
    assert teaching.finish().endswith("my-things.npz is written after all")
    assert stored(teaching.path) == {"thing 1": 1}


def test_what_another_writer_adds_is_kept_and_no_undo_takes_it_out(teaching: Teaching) -> None:
    teaching.obey(add(1), seen(0))
    Gallery().add("plant", seen(4)).save(teaching.path)
    teaching.obey(add(1), seen(6))
    assert counts(teaching) == stored(teaching.path) == {"thing 1": 2, "plant": 1}
    assert teaching.taught.places[1].name == "plant"
    teaching.obey(UNDO, seen(0))
    teaching.obey(UNDO, seen(0))
    assert counts(teaching) == stored(teaching.path) == {"plant": 1}


def test_another_models_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    Gallery(model="a" * 64).add("mug", seen(0)).save(path)
    model = FakeModel()
    model.source_digest = "b" * 64
    with pytest.raises(VecaError, match=r"taught with another model .*: use a file made from that checkpoint"):
        Teaching.open(path, model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ((), THINGS),
        (("mug", "keys"), ("mug", "keys", *THINGS[2:])),
        (("thing 2", "mug", "keys"), ("mug", "thing 2", "keys", *THINGS[3:])),
        (tuple("abcdefghijk"), tuple("abcdefghi")),
    ],
)
def test_names_find_their_places(labels: tuple[str, ...], expected: tuple[str, ...]) -> None:
    gallery = Gallery()
    for value, label in enumerate(labels):
        gallery = gallery.add(label, seen(value))
    assert Lesson.of(gallery).names == expected


def test_a_removed_place_gets_a_name_that_nobody_has() -> None:
    lesson = Lesson(Gallery()).rename(3, "mug").rename(1, "thing 3")
    assert lesson.names[:3] == ("thing 3", "thing 2", "mug")
    assert lesson.remove(3).names[:3] == ("thing 3", "thing 2", "thing 1")
    with pytest.raises(VecaError, match="something else already"):
        changed(lesson, rename(2, "mug"), seen(0))


@pytest.mark.parametrize(("also", "numbers"), [(0, [1, 2, 4]), (8, [1, 2, 4, 8]), (1, [1, 2, 4])])
def test_used_places_and_the_next_one_are_shown(also: int, numbers: list[int]) -> None:
    used = {1: Place(1, "mug", 0), 4: Place(4, "thing 4", 3)}
    places = tuple(used.get(number, Place(number, name, 0)) for number, name in enumerate(THINGS, 1))
    assert [place.number for place in Taught(places).on_show(also)] == numbers
