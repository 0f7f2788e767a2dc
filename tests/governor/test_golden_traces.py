"""The traces that every implementation of the policy must reproduce."""

from __future__ import annotations

import json

import pytest

from tests.governor.governor_traces import FOLDER, FRONTS, TRACES, expectation, read_input
from veca_edge.governor.points import Front, OperatingPoint
from veca_edge.governor.policy import decide
from veca_edge.governor.settings import Settings

POINTS = json.loads((FOLDER / "points.json").read_text())


@pytest.fixture(scope="module")
def golden_front() -> Front:
    return Front.of([OperatingPoint(**point) for point in POINTS["points"]])


def test_the_front(golden_front: Front) -> None:
    given = [OperatingPoint(**point) for point in POINTS["points"]]
    assert [given.index(point) for point in golden_front.points] == POINTS["front"]
    assert [list(ladder.indices) for ladder in golden_front.ladders] == POINTS["ladders"]


@pytest.mark.parametrize("what", FRONTS)
def test_the_rules_of_a_front(what: str) -> None:
    case = next(case for case in json.loads((FOLDER / "fronts.json").read_text())["fronts"] if case["what"] == what)
    given = [OperatingPoint(**point) for point in case["points"]]
    front = Front.of(given)
    assert [given.index(front.points[place]) for place in front.ladders[0].indices] == case["ladder"]
    assert (given, case["ladder"]) == FRONTS[what]


@pytest.mark.parametrize("name", TRACES)
def test_a_trace(name: str, golden_front: Front) -> None:
    first, *lines = map(json.loads, (FOLDER / f"{name}.jsonl").read_text().splitlines())
    settings, last = Settings(**first["settings"]), None
    assert len(lines) > 30
    for number, line in enumerate(lines, 2):
        state, frames = read_input(line)
        last = decide(state, last, frames, golden_front, settings)
        found, wanted = expectation(last), line["decision"]
        assert found["reason"] == wanted["reason"], f"line {number}"
        assert found["stop_camera"] == wanted["stop_camera"], f"line {number}"
        for field, value in wanted["memory"].items():
            same = found["memory"][field] == (value if value is None else pytest.approx(value, rel=1e-6, abs=1e-8))
            assert same, f"line {number}: {field} is {found['memory'][field]}, not {value}"


def test_traces_show_every_kind_of_reason() -> None:
    reasons = "\n".join(
        json.loads(line)["decision"]["reason"]
        for name in TRACES
        for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()[1:]
    )
    heat = ["rising heat", "fair heat", "serious heat: ", "critical heat: C", "more allowed by recent heat"]
    others = ["start: C 64", "nothing in the way", "battery 19 %", "low-power mode", "the preset"]
    for words in [*heat, *others, "slow frames", "times as long", "frame times"]:
        assert words in reasons, words
