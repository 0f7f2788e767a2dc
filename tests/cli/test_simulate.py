from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from veca_edge.cli.main import main

STATE = {"time": 0.0, "battery": 0.9, "charging": False, "thermal": "nominal"}


def simulate(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)])


def test_the_governor_against_the_others() -> None:
    result = simulate("--scenario", "charging", "--minutes", 3)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "charging: 20 % and a 15 W charger, which heats"
    assert [line.split()[0] for line in lines[3:9]] == [
        "balanced",
        "fixed-64",
        "fixed-8",
        "cores-only",
        "resolution-only",
        "thermal-level",
    ]
    assert "  yes  in time: 0.00 % late" in lines


def test_one_policy_explains_itself() -> None:
    result = simulate("--scenario", "low-battery", "--governor", "saver", "--minutes", 2)
    assert result.exit_code == 0
    assert "0.00 min   25.0 °C  start: C " in result.stdout
    assert "yes" not in result.stdout


def test_json() -> None:
    result = simulate("--scenario", "hot-day", "--scenario", "commute", "--minutes", 1, "--json", "--seed", 3)
    facts = json.loads(result.stdout)
    assert [score["scenario"] for score in facts["scores"]] == 6 * ["hot-day"] + 6 * ["commute"]
    assert {"policy", "quality", "hot_share", "misses", "frame_energy", "switches"} <= set(facts["scores"][0])
    for score in facts["scores"]:
        assert score["good_hours"] == pytest.approx(score["quality"] * score["battery_hours"])
    assert {verdict["kept"] for verdict in facts["verdicts"]} <= {True, False}


def test_a_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = simulate("--scenario", "hot-day", "--minutes", 1, "--plot", tmp_path / "runs.svg")
    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "runs.svg").read_text()


def test_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "states.jsonl"
    hot = {**STATE, "time": 30.0, "thermal": "critical"}
    path.write_text("\n".join(map(json.dumps, (STATE, hot, {**hot, "time": 60.0}))) + "\n")
    result = simulate("--trace", path)
    assert result.exit_code == 0, result.output
    first, start, critical = result.stdout.splitlines()
    assert first.startswith("balanced: 3 states, 1.0 min, mean quality 0.")
    assert first.endswith("1 changes")
    assert start.startswith("   0.00 min  start: C ")
    assert critical.startswith("   0.50 min  critical heat: C ")
    replays = json.loads(
        simulate("--trace", path, "--governor", "quality", "--governor", "thermal-level", "--json").stdout
    )
    assert [done["policy"] for done in replays] == ["quality", "thermal-level"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trace", "{tmp}/none.jsonl"], "{tmp}/none.jsonl: no such file or folder: check the path"),
        (["--trace", "{tmp}", "--scenario", "hot-day"], "--scenario has no effect with --trace: leave it out"),
        (["--trace", "{tmp}", "--plot", "x.png"], "--plot has no effect with --trace: leave it out"),
        (["--trace", "{tmp}", "--seed", "3"], "--seed has no effect with --trace: leave it out"),
        (["--plot", "{tmp}/runs.txt"], "--plot runs.txt: use a name that ends in .png, .svg or .pdf"),
        (["--plot", "{tmp}/no/runs.png"], "cannot write {tmp}/no/runs.png: there is no folder {tmp}/no"),
        (["--table", "{tmp}/none.json"], "{tmp}/none.json: no such file or folder: check the path"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[Any], message: str) -> None:
    result = simulate(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert result.exit_code == 2
    assert result.stderr == f"veca-edge: {message.format(tmp=tmp_path)}\n"


def test_unknown_names_are_usage_errors() -> None:
    for option in ("--scenario", "--governor"):
        result = simulate(option, "winter")
        assert result.exit_code == 2
        assert "'winter' is not one of" in result.stderr
