"""`veca-edge run --cores auto` with the packaged model on the packaged clip."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from veca_edge.cli.main import main


def _run(model: Path, *arguments: object) -> Result:
    with resources.as_file(resources.files("veca_edge.assets") / "clip.mp4") as clip:
        given = [str(argument) for argument in ("run", model, "--source", clip, "--headless", *arguments)]
        return CliRunner().invoke(main, given)


def _log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_it_is_the_default_and_says_what_it_decided(default_model_file: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    done = _run(default_model_file, "--frames", 12, "--log", log, "--save", tmp_path / "o.mp4")
    assert done.exit_code == 0, done.output
    assert "governor: 0 switches" in done.stdout
    assert re.search(r"^veca-edge: starting at C \d+, \d+ px, .* fps", done.stderr, re.MULTILINE)
    lines = _log(log)
    assert len(lines) == 12
    assert all(line["point"]["cores"] == line["cores"] and line["reason"] for line in lines)


def test_assumed_heat_and_battery_lower_the_point(default_model_file: Path, tmp_path: Path) -> None:
    cool, hot = tmp_path / "cool.jsonl", tmp_path / "hot.jsonl"
    assert _run(default_model_file, "--frames", 8, "--log", cool).exit_code == 0
    assumed = ("--battery", 0.05, "--thermal", "critical", "--json")
    done = _run(default_model_file, "--frames", 30, "--log", hot, *assumed)
    assert done.exit_code == 0, done.output
    last, reference = _log(hot)[-1], _log(cool)[-1]
    assert last["state"]["thermal"] == "critical"
    assert last["state"]["battery"] == 0.05
    assert last["point"]["cores"] < reference["point"]["cores"]
    assert last["point"]["rate"] < reference["point"]["rate"]
    assert "veca-edge: assuming battery 5 %, heat critical\n" in done.stderr
    summary = json.loads(done.stdout)
    assert summary["left_out"] > 20
    assert summary["frames"] == 30


def test_a_recording_plays_along_with_the_film(default_model_file: Path, tmp_path: Path) -> None:
    trace, log = tmp_path / "states.jsonl", tmp_path / "log.jsonl"
    states = [{"time": 60 * minute, "battery": 0.5 if minute < 5 else 0.05} for minute in range(10)]
    trace.write_text("".join(json.dumps(state) + "\n" for state in states))
    given = ("--trace", trace, "--trace-speed", 600, "--fit", "keep", "--save", tmp_path / "o.mp4")
    done = _run(default_model_file, "--frames", 30, "--log", log, *given)  # a second of film: ten minutes
    assert done.exit_code == 0, done.output
    assert "veca-edge: assuming what" in done.stderr
    lines = _log(log)
    seen = [line["state"]["battery"] for line in lines]
    assert seen == [0.5] * 15 + [0.05] * 15
    assert lines[14]["point"] == lines[0]["point"]
    assert lines[-1]["point"] != lines[0]["point"]
    assert lines[15]["reason"].startswith("battery 5 %: ")
    assert lines[0]["image_size"][1] > lines[0]["image_size"][0]  # the whole frame in its own shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--image-size", "112"), "112 px was not evaluated at conversion"),
        (("--battery", "2"), "2.0 is not in the range 0<=x<=1"),
        (("--cores", "many"), "give core counts such as 8,16,64, or all"),
        (("--cores", "8", "--thermal", "serious"), "--thermal works with --cores auto only"),
        (("--trace", "none.jsonl"), "none.jsonl"),
        (("--trace-speed", "0"), "0.0 is not in the range"),
        (("--fit", "middle"), "'middle' is not one of"),
        (("--cores", "auto", "--patch-budget", "16"), "--patch-budget needs a fixed --cores"),
    ],
)
def test_bad_values_are_refused(default_model_file: Path, arguments: tuple[str, ...], message: str) -> None:
    done = _run(default_model_file, *arguments)
    assert done.exit_code == 2 or message in str(done.exception)
    assert message in done.output


def test_a_patch_budget_of_ones_own_turns_auto_off(default_model_file: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    done = _run(default_model_file, "--frames", 6, "--patch-budget", 8, "--log", log)
    assert done.exit_code == 0
    assert "veca-edge: the governor is off, because --patch-budget was given\n" in done.stderr
    lines = _log(log)
    assert all("point" not in line for line in lines)
    assert max(line["patches"] for line in lines if not line["keyframe"]) <= 8


@pytest.mark.parametrize("asked", ["--cores auto", "--battery 0.2", "--governor saver"])
def test_a_checkpoint_has_no_points(asked: str) -> None:
    from veca_edge.model.checkpoint import default_checkpoint_path

    done = _run(default_checkpoint_path(), *asked.split(), "--frames", 2)
    assert done.exit_code == 2
    assert "needs a file with a quality table: convert the checkpoint" in done.output
    assert asked.split()[0] in done.output
