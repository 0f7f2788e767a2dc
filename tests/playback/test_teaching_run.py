"""A run that recognises and is taught: by keys, with pictures, log and summary."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import FakeModel, FakeScreen, film, picture
from veca_edge.camera.sources import Source, open_source
from veca_edge.gallery.gallery import Gallery, Match
from veca_edge.governor.quality import QualityRow, QualityTable
from veca_edge.playback.overlay import Hud
from veca_edge.playback.places import draw_places
from veca_edge.playback.player import Player
from veca_edge.playback.request import RunRequest
from veca_edge.playback.run import at_taught_size
from veca_edge.playback.summary import Summary
from veca_edge.playback.teaching import NOTHING, THINGS, Place, Taught, Teaching
from veca_edge.playback.telling import match_record, said_of, said_of_match
from veca_edge.playback.text import Pen
from veca_edge.playback.viewer import ViewState
from veca_edge.playback.views import Renderer
from veca_edge.playback.writers import save_png

STATE = ViewState(64, FakeModel.budgets, teaches=True)
MUG, STRANGER = Match("mug", 0.81234567, True), Match("mug", 0.2, False)


def play(
    teaching: Teaching, keys: str = "", source: Source | None = None, **more: Any
) -> tuple[Summary, FakeScreen]:
    screen = FakeScreen([ord(key) for key in keys])
    state, options = more.pop("state", STATE), more.pop("options", RunRequest())
    player = Player(FakeModel(), source or film(), state, options, screen, teaching=teaching, **more)
    return player.run(), screen


@pytest.fixture
def teaching(tmp_path: Path) -> Teaching:
    return Teaching(tmp_path / "my-things.npz", Gallery())


def test_the_summary_has_the_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    summary, _ = play(Teaching(Path("my-things.npz"), Gallery()), "1")
    assert summary.paths == (str(tmp_path / "my-things.npz"),)  # as of a video and a log


def test_keys_teach_with_the_frame_on_show(teaching: Teaching, tmp_path: Path) -> None:
    said: list[str] = []
    options = RunRequest(log=tmp_path / "a.jsonl")
    summary, screen = play(teaching, "11rmug\r2u", options=options, say=said.append)
    assert said == [
        *("thing 1: 1 example", "thing 1: 2 examples", "thing 1 is now mug"),
        *("thing 2: 1 example", "undone (thing 2: 1 example)"),
    ]
    assert dict(Gallery.load(teaching.path).labels) == {"mug": 2}
    assert len(screen.shown) == 6 + 4  # the third frame stays on show while its name is typed
    assert summary.frames == 6
    assert str(teaching.path) in summary.paths
    records = [json.loads(line)["gallery"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert records[0] == {"label": None, "similarity": None, "sure": False}
    assert [record["label"] for record in records[1:]] == ["thing 1", "thing 1", "mug", "thing 2", "mug"]
    assert records[-1] == {"label": "mug", "similarity": pytest.approx(1, abs=0.1), "sure": True}


def test_a_typed_name_shows_and_a_saved_video_has_each_frame_once(teaching: Teaching, tmp_path: Path) -> None:
    summary, screen = play(teaching, "1rmug\r", film(3), options=RunRequest(save=tmp_path / "a.mp4"))
    assert all((one != other).any() for one, other in pairwise(screen.shown[2:6]))
    assert summary.frames == 3
    with open_source(str(tmp_path / "a.mp4")) as saved:
        assert len(list(saved)) == 3


def test_teaching_in_a_pause_shows_at_once(teaching: Teaching) -> None:
    screen = FakeScreen([ord(" "), ord("1"), -1, ord(" ")])
    Player(FakeModel(), film(1), STATE, RunRequest(), screen, teaching=teaching).run()
    assert teaching.taught.places[0].examples == 1
    assert (screen.shown[1] != screen.shown[2]).any()


def tinted(channel: int, level: int) -> np.ndarray:
    """A dark picture with one bright channel."""
    image = picture(20)
    image[..., channel] = level
    return image


def test_images_are_named_by_the_gallery(tmp_path: Path) -> None:
    for name, channel, level in (("a", 0, 200), ("b", 0, 210), ("c", 2, 200)):
        save_png(tmp_path / f"{name}.png", tinted(channel, level))
    model, gallery = FakeModel(), Gallery()
    for label, channel, level in (("red", 0, 190), ("red", 0, 220), ("blue", 2, 190), ("blue", 2, 220)):
        gallery = gallery.add(label, model(tinted(channel, level), cores=64))
    lines: list[str] = []
    teaching = Teaching(tmp_path / "my.npz", gallery)
    state, source = ViewState(64, model.budgets), open_source(tmp_path)
    summary = Player(model, source, state, RunRequest(), show=lines.append, teaching=teaching).run()
    assert lines == ["a.png: red 1.00", "b.png: red 1.00", "c.png: blue 1.00"]
    assert [(entry.label, round(entry.share, 2)) for entry in summary.labels] == [("red", 0.67), ("blue", 0.33)]


@pytest.mark.parametrize(
    ("offered", "given", "used", "said"),
    [
        (None, None, 32, ""),
        (None, 16, 16, "at 16 px similarities differ"),
        ((16, 32), None, 32, ""),
        ((16, 64), None, None, "which the governor does not have"),
    ],
)
def test_a_run_keeps_to_the_image_size_that_was_taught(
    offered: tuple[int, ...] | None, given: int | None, used: int | None, said: str
) -> None:
    result = replace(FakeModel()(picture(20), cores=64), image_size=(32, 32))
    lines: list[str] = []
    quality = None if offered is None else QualityTable(tuple(QualityRow(8, size, None, 1, 1) for size in offered))
    request = at_taught_size(RunRequest(image_size=given), Gallery().add("mug", result), quality, lines.append)
    assert (request.image_size, len(lines)) == (used, bool(said))
    assert said in "".join(lines)


def test_an_unknown_thing_is_counted_and_no_label_of_the_model(teaching: Teaching) -> None:
    summary, _ = play(teaching, source=film(2))
    assert (summary.unsure, summary.labels) == (2, ())
    assert "unknown in 2 of 2 frames" in summary.lines()


@pytest.mark.parametrize(
    ("match", "said", "record"),
    [
        (MUG, "mug 0.81", ("mug", 0.812346, True)),
        (STRANGER, "unknown (most like mug, 0.20)", ("mug", 0.2, False)),
        (NOTHING, "unknown", (None, None, False)),
    ],
)
def test_what_is_said_of_a_match(match: Match, said: str, record: tuple[Any, ...]) -> None:
    assert said_of_match(match) == said == said_of(FakeModel()(picture(), cores=8), match=match)
    assert match_record(match) == dict(zip(("label", "similarity", "sure"), record, strict=True))


@pytest.mark.parametrize("head", [True, False])
def test_the_name_takes_the_place_of_the_label(head: bool) -> None:
    image = picture(90, 360, 640)
    result = FakeModel(head=head)(image, cores=8)
    hud = Hud(8, (8, 16), 0.01, None, (64, 64))
    drawn = [
        Renderer().render("labels", image, result, hud, match=match) for match in (None, MUG, STRANGER, NOTHING)
    ]
    for number, one in enumerate(drawn):
        assert all((one != other).any() for other in drawn[number + 1 :])
    without, given = (Renderer().render("plain", image, result, match=match) for match in (None, MUG))
    np.testing.assert_array_equal(without, given)


def places(*used: tuple[str, int]) -> Taught:
    """These names and counts, and nothing at the other places."""
    known = [*used, *((name, 0) for name in THINGS[len(used) :])]
    return Taught(tuple(Place(number, *each) for number, each in enumerate(known, 1)), 1, "mug: 3 examples")


MANY = places(*(("a name that is very long indeed " * 3, 10**6),) * 9)


@pytest.mark.parametrize("size", [(120, 160), (240, 320), (360, 640), (640, 360), (2160, 3840), (48, 64), (1, 1)])
@pytest.mark.parametrize("outlines", [True, False])
@pytest.mark.parametrize(("place", "typing"), [(1, None), (9, "a typed name 苹果 " * 6)])
def test_the_list_stays_within_every_picture(
    size: tuple[int, int], outlines: bool, place: int, typing: str | None
) -> None:
    image = picture(120, *size)
    draw_places(image, MANY, place, typing, Pen(outlines))
    changed = np.argwhere((image != 120).any(-1))
    assert len(changed) == 0 if size[1] < 96 else changed[:, 1].max() < size[1] - 1
    if size == (360, 640):
        assert (image[:, :256] == 120).all()  # the label's pane stays free


def test_the_list_shows_counts_names_and_what_was_told() -> None:
    drawn = []
    for taught, typing in ((places(("mug", 1)), None), (places(("mug", 2)), None), (places(("cup", 1)), None),
                           (places(("mug", 1)), "m"), (places(("mug", 1)), "mu")):  # fmt: skip
        image = picture(120, 360, 640)
        draw_places(image, taught, 1, typing, Pen())
        drawn.append(image)
    for number, one in enumerate(drawn):
        assert all((one != other).any() for other in drawn[number + 1 :])
