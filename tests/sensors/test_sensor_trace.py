"""What was recorded comes back, and what is damaged says where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from veca_edge.errors import VecaError
from veca_edge.files import LineWriter
from veca_edge.sensors.state import DeviceState, ThermalLevel
from veca_edge.sensors.trace import read_trace, state_record

STATES = [
    DeviceState(1.5),
    DeviceState(
        2.5, 0.25, True, False, ThermalLevel.FAIR, 0.9, 1.25, (("Prozessör", 61.25), ("b", -3.0)), 0.5, 12.75
    ),
    DeviceState(2.5, charging=False),
]


def test_states_come_back(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with LineWriter(path) as writer:
        for state in STATES:
            writer.write(state_record(state))
    assert writer.lines == 3
    assert read_trace(path) == STATES
    assert json.loads(path.read_text().splitlines()[1])["thermal"] == "fair"


def test_every_line_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with LineWriter(path) as writer:
        for count, state in enumerate(STATES, 1):
            writer.write(state_record(state))
            assert read_trace(path) == STATES[:count]


def test_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text('{"time": 0}\n\n{"time": 1, "battery": 1, "power": null, "sources": {"battery": "x"}}')
    assert read_trace(path) == [DeviceState(0.0), DeviceState(1.0, battery=1.0)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"time": 2, "batt', "not JSON (the line is cut off: remove it)"),
        ("hello\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        ("[" * 100_000 + "\n", "not JSON"),
        ("[1]\n", "expected an object"),
        ("{}\n", "time must be a number of seconds"),
        ('{"time": true}\n', "time must be a number of seconds"),
        ('{"time": NaN}\n', "time must be a number of seconds"),
        ('{"time": 1e999}\n', "time must be a number of seconds"),
        ('{"time": 0.5}\n', "time goes back from 1 to 0.5"),
        ('{"time": 2, "batery": 1}\n', "unknown field 'batery': give a recording of"),
        ('{"time": 2, "battery": 1.5}\n', "battery is 1.5"),
        ('{"time": 2, "battery": "full"}\n', "battery is 'full'"),
        ('{"time": 2, "charging": 1}\n', "charging is 1"),
        ('{"time": 2, "power": 1e9}\n', "power is 1000000000.0"),
        ('{"time": 2, "thermal": "hot"}\n', "thermal is 'hot': use nominal, fair, serious, critical"),
        ('{"time": 2, "thermal": ["fair"]}\n', "thermal is ['fair']: use"),
        ('{"time": 2, "temperatures": {"cpu": 50}}\n', "temperatures must be pairs"),
        ('{"time": 2, "temperatures": [["cpu", 500]]}\n', "temperatures must be pairs"),
        ('{"time": 2, "temperatures": [["cpu"]]}\n', "temperatures must be pairs"),
        ('{"time": ' + "9" * 5000 + "}\n", "line 2: "),
        ('{"time": ' + "9" * 400 + "}\n", "time must be a number of seconds"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_damage_is_one_line_with_the_place(tmp_path: Path, line: bytes | str, problem: str) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b'{"time": 1}\n' + (line.encode() if isinstance(line, str) else line))
    with pytest.raises(VecaError) as caught:
        read_trace(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 2: ")
    assert problem in message
    assert len(message) < len(str(path)) + 200


def test_files_without_samples(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text("\n")
    with pytest.raises(VecaError, match="holds no samples"):
        read_trace(path)
    for name in (tmp_path / "missing", tmp_path, "a\0b"):
        with pytest.raises(VecaError, match="cannot read"):
            read_trace(name)
