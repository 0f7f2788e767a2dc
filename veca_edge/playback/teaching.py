"""Teaching in front of a camera: nine places for names, examples of the frame on show, undo, and the file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from veca_edge.errors import VecaError, shown
from veca_edge.files import expanded, is_there, shortened
from veca_edge.gallery.gallery import Example, Gallery, Match, checked_label, without
from veca_edge.numbers import counted
from veca_edge.runtime.result import Result

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model

PLACES = 9  # as many as there are digits to press
THINGS = tuple(f"thing {number}" for number in range(1, PLACES + 1))
STEPS = 100  # changes that can be undone
NOTHING = Match("", 0.0, False)  # the best match of an empty gallery
Deed = Literal["add", "rename", "remove", "undo"]
DEEDS: tuple[Deed, ...] = get_args(Deed)


@dataclass(frozen=True)
class Command:
    """What a key or a click asks for.

    Attributes:
        place: 1 to 9; of no account for "undo".
        name: the new one, for "rename".
    """

    deed: Deed
    place: int = 1
    name: str = ""


@dataclass(frozen=True)
class Place:
    """A name that examples can be added to: its key, 1 to 9, and how many it has. Unused ones are "thing N"."""

    number: int
    name: str
    examples: int

    @property
    def used(self) -> bool:
        """Whether it has examples or a name of its own."""
        return self.examples > 0 or self.name not in THINGS


@dataclass(frozen=True)
class Taught:
    """What is shown of teaching.

    Attributes:
        places: all nine.
        steps: changes that can be undone.
        told: what came of the last command, in a line; "" before the first.
    """

    places: tuple[Place, ...]
    steps: int = 0
    told: str = ""

    def on_show(self, also: int = 0) -> tuple[Place, ...]:
        """The used places, the first unused one, and the one of this number."""
        free = next((place.number for place in self.places if not place.used), 0)
        return tuple(place for place in self.places if place.used or place.number in (free, also))


@dataclass(frozen=True, eq=False)
class Lesson:
    """A gallery and the names at its nine places. A value: a change makes a new one, and undo goes back to the old.

    Names of a gallery beyond nine are recognised and keep their examples, but have no place.
    """

    gallery: Gallery
    names: tuple[str, ...] = THINGS

    @classmethod
    def of(cls, gallery: Gallery) -> Lesson:
        """A gallery's names at their places: "thing 3" at the third, the others where there is room, in order."""
        return cls(gallery, _seated(THINGS, gallery.labels))

    @property
    def places(self) -> tuple[Place, ...]:
        labels = self.gallery.labels
        return tuple(Place(number, name, labels.get(name, 0)) for number, name in enumerate(self.names, 1))

    def add(self, number: int, result: Result) -> Lesson:
        """With one more example; this lesson if the name has it already."""
        gallery = self.gallery.add(self.names[number - 1], result)
        return self if gallery is self.gallery else replace(self, gallery=gallery)

    def rename(self, number: int, name: str) -> Lesson:
        """With another name for a place and its examples.

        Raises:
            VecaError: it cannot be shown, is too long, or is another place's.
        """
        before, name = self.names[number - 1], checked_label(name)
        if name == before:
            return self
        if name in self.names or name in self.gallery.labels:
            raise VecaError(f"{shown(name)} is the name of something else already: use another name")
        examples = (replace(e, label=name) if e.label == before else e for e in self.gallery.examples)
        gallery = replace(self.gallery, examples=tuple(examples)) if before in self.gallery.labels else self.gallery
        return Lesson(gallery, _put(self.names, number, name))

    def remove(self, number: int) -> Lesson:
        """Without a place's name and its examples; this lesson if it has neither."""
        place = self.places[number - 1]
        if not place.used:
            return self
        others = _put(self.names, number, "")
        free = next(name for name in (THINGS[number - 1], *THINGS) if name not in others)
        gallery = self.gallery.remove(place.name) if place.examples else self.gallery
        return Lesson(gallery, _put(self.names, number, free))

    def joined(self, others: Sequence[Example]) -> Lesson:
        """With examples that someone else has written to the file meanwhile."""
        new = without(others, self.gallery.examples)
        if not new:
            return self
        gallery = replace(self.gallery, examples=(*self.gallery.examples, *new))
        return Lesson(gallery, _seated(self.names, gallery.labels))


def changed(lesson: Lesson, command: Command, result: Result) -> tuple[Lesson, str]:
    """The lesson after a command other than undo, for the result on show, and what happened, in a few words.

    Raises:
        VecaError: as `Gallery.add` and `Lesson.rename`.
    """
    place = lesson.places[command.place - 1]
    count = counted(place.examples, "example")
    if command.deed == "add":
        after = lesson.add(command.place, result)
        there = after.places[command.place - 1].examples
        said = f"{place.name}: {counted(there, 'example')}"
        return after, said if after is not lesson else f"{place.name} has this picture already"
    if command.deed == "rename":
        after = lesson.rename(command.place, command.name)
        now = after.names[command.place - 1]
        return after, f"{place.name} is now {now}" if after is not lesson else f"{now} keeps its name"
    after = lesson.remove(command.place)
    return after, f"removed {place.name}, {count}" if after is not lesson else f"{place.name} has no examples"


class Teaching:
    """The lesson of a run, its history and its file. Belongs to the run's thread.

    The file is made at the first example and written whole after each change. If that fails, nothing is lost: the
    change stays in memory and is written with the next one, or in the end.

    Attributes:
        wrote: whether the file was written in this run.
    """

    def __init__(self, path: Path, gallery: Gallery) -> None:
        """Args:
        gallery: what the file holds, or an empty one if it is not there yet.
        """
        self.path, self.wrote = path, False
        self._lesson = Lesson.of(gallery)
        self._saved = gallery
        self._unwritten = False
        self._told = ""
        self._history: deque[tuple[Lesson, str]] = deque(maxlen=STEPS)

    @classmethod
    def open(cls, path: Path, model: Model) -> Teaching:
        """Read the file, if it is there.

        Raises:
            VecaError: it is no gallery, damaged, or of another model.
        """
        path = expanded(path)
        return cls(path, Gallery.load(path, model) if is_there(path) else Gallery.of(model))

    @property
    def gallery(self) -> Gallery:
        """What has been taught so far."""
        return self._lesson.gallery

    @property
    def taught(self) -> Taught:
        """What is shown of it."""
        return Taught(self._lesson.places, len(self._history), self._told)

    def recognise(self, result: Result) -> Match:
        """The name that a picture is most alike; `NOTHING` before the first example."""
        return next(iter(self.gallery.predict(result, k=1)), NOTHING)

    def obey(self, command: Command, result: Result) -> str:
        """Do what is asked for with the result on show, write the file, and say in a line what came of it."""
        before = self._lesson
        try:
            undo = command.deed == "undo"
            self._lesson, said = self._undone() if undo else changed(before, command, result)
        except VecaError as error:
            self._told = str(error)
            return self._told
        if self._lesson is not before and not undo:
            self._history.append((before, said))
        if self._unwritten or self.gallery is not before.gallery:
            error_line = self._write()
            said += f"; {error_line}: kept in memory, and written with the next change" if error_line else ""
        self._told = said
        return said

    def finish(self) -> str:
        """Write what could not be written before; a line about how that went, "" if there was nothing to do."""
        if not self._unwritten:
            return ""
        error_line = self._write()
        if error_line:
            return f"{error_line}: what was taught since then is lost"
        return f"{shortened(self.path)} is written after all"

    def _undone(self) -> tuple[Lesson, str]:
        if not self._history:
            return self._lesson, "nothing to undo"
        lesson, said = self._history.pop()
        return lesson, f"undone ({said})"

    def _write(self) -> str:
        """Write the file; why that failed, or ""."""
        mine = self.gallery.examples
        try:
            self._saved = self.gallery.save(self.path, before=self._saved)
        except VecaError as error:
            self._unwritten = True
            return str(error)
        self._unwritten, self.wrote = False, True
        # What others wrote meanwhile is theirs: no undo of this run takes it out.
        others = without(self._saved.examples, mine)
        self._lesson = self._lesson.joined(others)
        self._history = deque(((old.joined(others), said) for old, said in self._history), STEPS)
        return ""


def _seated(names: tuple[str, ...], labels: Iterable[str]) -> tuple[str, ...]:
    """Names, with labels that are not among them at the places that are free."""
    labels = tuple(labels)
    newcomers = iter(label for label in labels if label not in names)
    return tuple(name if name in labels or name not in THINGS else next(newcomers, name) for name in names)


def _put(names: tuple[str, ...], number: int, name: str) -> tuple[str, ...]:
    return (*names[: number - 1], name, *names[number:])
