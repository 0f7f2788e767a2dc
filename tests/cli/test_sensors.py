"""`veca-edge sensors`: tables, JSON, recordings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.cli.children import heed_interrupts
from veca_edge.cli import sensors as module
from veca_edge.cli.main import main
from veca_edge.sensors.monitor import Look
from veca_edge.sensors.platforms import detect
from veca_edge.sensors.reading import FIELDS, Sensed
from veca_edge.sensors.report import table_lines
from veca_edge.sensors.state import DeviceState, ThermalLevel
from veca_edge.sensors.trace import read_trace

COMMAND = [sys.executable, "-m", "veca_edge.cli.main", "sensors"]
FILES = {
    "class/power_supply/BAT0/type": "Battery",
    "class/power_supply/BAT0/capacity": 83,
    "class/power_supply/BAT0/status": "Discharging",
    "class/power_supply/BAT0/power_now": 9_250_000,
    "class/thermal/thermal_zone0/type": "cpu-thermal",
    "class/thermal/thermal_zone0/temp": 82500,
    "class/thermal/thermal_zone0/trip_point_0_type": "passive",
    "class/thermal/thermal_zone0/trip_point_0_temp": 85000,
    "devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": 2000000,
    "devices/system/cpu/cpufreq/policy0/scaling_cur_freq": 1440000,
}
TABLE = """\
battery            83 %          /sys/class/power_supply/BAT0
external power     no            /sys/class/power_supply/BAT0
low-power mode     unknown
thermal level      fair          /sys/class/thermal: cpu-thermal 82.5 °C, passive at 85 °C
thermal headroom   unknown
headroom forecast  unknown
CPU frequency      72 %          /sys/devices/system/cpu/cpufreq/{policy0}
power              9.2 W         /sys/class/power_supply/BAT0
temperatures                     /sys/class/thermal
  cpu-thermal      82.5 °C
"""


def write_files(root: Path) -> None:
    for name, content in FILES.items():
        path = root / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")


@pytest.fixture
def phone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This device looks like a small one with sensors."""
    root = tmp_path_factory.mktemp("root")
    write_files(root)
    monkeypatch.setattr(module, "detect", lambda: detect("linux", str(root)))
    return root


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This device looks like one without any."""
    monkeypatch.setattr(module, "detect", lambda: detect("linux", str(tmp_path)))


def sensors(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["sensors", *map(str, arguments)])


@pytest.mark.usefixtures("phone")
def test_the_table() -> None:
    result = sensors()
    assert (result.exit_code, result.stdout, result.stderr) == (0, TABLE, "")


@pytest.mark.usefixtures("server")
def test_a_machine_without_sensors() -> None:
    result = sensors()
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert sum(line.endswith("unknown") for line in lines) == len(FIELDS)
    assert lines[-1] == "This device has no readable sensors: the governor goes by frame times alone."


@pytest.mark.usefixtures("phone")
def test_json() -> None:
    facts = json.loads(sensors("--json").stdout)
    assert set(facts) == {"time", *FIELDS, "sources"}
    assert (facts["battery"], facts["charging"], facts["thermal"], facts["headroom"]) == (0.83, False, "fair", None)
    assert facts["temperatures"] == [["cpu-thermal", 82.5]]
    assert facts["sources"]["battery"] == "/sys/class/power_supply/BAT0"
    assert "headroom" not in facts["sources"]


def test_zones_that_are_not_believed_are_shown(phone: Path) -> None:
    zone = phone / "sys/class/thermal/thermal_zone4"
    zone.mkdir()
    for name, content in {"type": "PMIC-Die", "temp": 100000}.items():
        (zone / name).write_text(f"{content}\n")
    told = "PMIC-Die 100.0 °C: it has not moved yet"
    assert sensors().stdout == f"{TABLE}  left out: {told}\n"
    assert json.loads(sensors("--json").stdout)["left_out"] == [told]
    assert "PMIC" not in sensors("--watch", "--samples", 1).stdout


def test_watching_prints_a_line_per_sample_when_piped(phone: Path) -> None:
    lines = sensors("--watch", "--samples", 3, "--interval", 0.1).stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(
        "     0.0 s  battery 83 %  external power no  low-power mode unknown  thermal level fair"
    )
    assert lines[0].endswith("hottest 82.5 °C")
    assert lines[2].startswith("     0.2 s")


@pytest.mark.usefixtures("phone")
def test_watched_json_is_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(sensors("--watch", "--json", "--samples", 2, "--interval", 0.1).stdout)
    assert [state.thermal for state in read_trace(path)] == [ThermalLevel.FAIR] * 2


@pytest.mark.usefixtures("phone")
def test_recording(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    result = sensors("--record", path, "--samples", 3, "--interval", 0.1)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"veca-edge: 3 samples in {path}\n"
    states = read_trace(path)
    assert [state.battery for state in states] == [0.83] * 3
    gaps = [later.time - earlier.time for earlier, later in pairwise(states)]
    assert all(0.05 < gap < 1 for gap in gaps)


@pytest.mark.usefixtures("phone")
def test_recording_while_watching(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    result = sensors("--record", path, "--watch", "--samples", 2, "--interval", 0.1)
    assert len(result.stdout.splitlines()) == len(read_trace(path)) == 2


@pytest.mark.usefixtures("phone")
def test_recording_as_json_prints_what_it_records(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    for _ in range(2):  # a recording may be replaced
        result = sensors("--record", path, "--json", "--samples", 2, "--interval", 0.1)
        printed = [json.loads(line) for line in result.stdout.splitlines()]
        assert [line["time"] for line in printed] == [state.time for state in read_trace(path)]
        assert printed[0]["sources"]["battery"] == "/sys/class/power_supply/BAT0"
    path.write_text("a photo")
    result = sensors("--record", path, "--samples", 1)
    assert (result.exit_code, path.read_text()) == (2, "a photo")
    assert result.stderr.endswith(f"{path}: a file of another kind has this name: choose another\n")


def test_warnings_are_told_once(phone: Path) -> None:
    (phone / "sys/class/thermal/thermal_zone0/temp").write_text("-274000\n")
    result = sensors("--watch", "--samples", 3, "--interval", 0.1)
    assert result.stderr == (
        "veca-edge: sensors: thermal zones: -274.0 °C of cpu-thermal is not plausible and counts as unknown\n"
    )
    assert len(result.stdout.splitlines()) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--samples", 2],
        ["--interval", 2],
        ["--interval", 0],
        ["--interval", "nan", "--watch", "--samples", 1],
        ["--watch", "--samples", 0],
        ["--record", "missing/trace.jsonl"],
        ["--record", "."],
        ["surplus"],
    ],
    ids=str,
)
@pytest.mark.usefixtures("server")
def test_bad_usage_has_status_2(arguments: list[object]) -> None:
    result = sensors(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_recording_is_complete(tmp_path: Path, sent: signal.Signals, status: int) -> None:
    path = tmp_path / "trace.jsonl"
    command = [*COMMAND, "--record", str(path), "--interval", "0.1"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
    deadline = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(sent)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == status
    assert errors.endswith(f"{len(read_trace(path))} samples in {path}\n")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="pseudo-terminals")
def test_watching_on_a_terminal_stays_in_place() -> None:
    """In a terminal too low for the table it is cut: what has scrolled away cannot be drawn over."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "COLUMNS": "40", "LINES": "6", "TERM": "xterm"}
    command = [*COMMAND, "--watch", "--samples", "3", "--interval", "0.1"]
    child = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert child.wait(20) == 0
    frames = text.decode().split("\x1b[5A\x1b[J")
    assert len(frames) == 3
    for frame in frames:
        lines = frame.splitlines()
        assert lines[0].startswith("battery")
        assert len(lines) == 5
        assert lines[-1].startswith("… ")
        assert max(map(len, lines)) < 40


def test_the_live_table_makes_room_for_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "30")
    written: list[tuple[str, bool]] = []
    monkeypatch.setattr("click.echo", lambda text, err=False, nl=True: written.append((text + "\n" * nl, err)))
    table = module._Screen(table_lines, live=True)
    look = Look(DeviceState(0.0, battery=0.5), {"battery": Sensed(0.5, "here")})
    table.update(look, [])
    table.update(look, ["something is wrong"])
    first, move, warning, second = written
    assert first == second
    assert first[0].count("\n") == 9
    assert move == ("\x1b[9A\x1b[J", False)
    assert warning == ("veca-edge: something is wrong\n", True)
