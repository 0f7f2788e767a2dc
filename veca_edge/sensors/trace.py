"""Recorded states: one JSON object per line, for the simulator and for reports of trouble.

    {"time": 12.5, "battery": 0.83, "thermal": "fair", "temperatures": [["cpu", 61.5]], …}

A field that is null or absent is unknown; what `veca-edge sensors --json` adds (`sources`, `left_out`) is passed
over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from veca_edge.errors import VecaError
from veca_edge.files import regular_file, shortened
from veca_edge.numbers import finite
from veca_edge.sensors.plausible import checked_temperature, checked_value
from veca_edge.sensors.reading import FIELDS
from veca_edge.sensors.state import DeviceState, ThermalLevel

LONGEST = 1 << 20  # bytes of a line
LATEST = 1e12  # seconds: far beyond any clock, and no digit of a millisecond is lost
IGNORED = ("sources", "left_out")


def state_record(state: DeviceState) -> dict[str, Any]:
    """A state as JSON has it: every field by its name, the thermal level by its own, unknown as None."""
    return {**asdict(state), "thermal": None if state.thermal is None else str(state.thermal)}


def read_trace(path: str | Path) -> list[DeviceState]:
    """The states of a trace, in order of time, at least one.

    Raises:
        VecaError: the file cannot be read, or a line is damaged; with the file and the line.
    """
    name = shortened(Path(path))
    states: list[DeviceState] = []
    try:
        with regular_file(path).open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST), b""), 1):
                if line.strip():
                    states.append(_state(line, f"{name}, line {number}", states))
    except OSError as error:
        raise VecaError(f"cannot read {name}: {error.strerror}") from None
    if not states:
        raise VecaError(f"{name} holds no samples")
    return states


def _state(line: bytes, where: str, before: list[DeviceState]) -> DeviceState:
    """One line's state, not before those before it."""
    record = _parsed(line, where)
    strange = [key for key in record if key not in ("time", *FIELDS, *IGNORED)]
    if strange:
        raise VecaError(f"{where}: unknown field {strange[0]!r:.80}: give a recording of `veca-edge sensors`")
    time = finite(record.get("time"), -LATEST, LATEST)
    if time is None:
        raise VecaError(f"{where}: time must be a number of seconds")
    if before and time < before[-1].time:
        raise VecaError(f"{where}: time goes back from {before[-1].time:g} to {time:g}")
    known = {field: record[field] for field in FIELDS if record.get(field) is not None}
    return DeviceState(time, **{field: _value(field, value, where) for field, value in known.items()})


def _parsed(line: bytes, where: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        hint = "" if line.endswith(b"\n") else " (the line is cut off: remove it)"
        raise VecaError(f"{where}: not JSON{hint}") from None
    if not isinstance(record, dict):
        raise VecaError(f"{where}: expected an object with a device's state")
    return record


def _value(field: str, value: Any, where: str) -> Any:
    """A field's value as `DeviceState` has it."""
    if field == "temperatures":
        return _temperatures(value, where)
    if field == "thermal":
        levels = {str(level): level for level in ThermalLevel}
        if not isinstance(value, str) or value not in levels:
            raise VecaError(f"{where}: thermal is {value!r:.80}: use {', '.join(levels)}")
        return levels[value]
    checked = checked_value(field, value)
    if checked is None:
        raise VecaError(f"{where}: {field} is {value!r:.80}, which cannot be")
    return checked


def _temperatures(value: Any, where: str) -> tuple[tuple[str, float], ...]:
    pairs = []
    for item in value if isinstance(value, list) else [value]:
        named = isinstance(item, list) and len(item) == 2 and isinstance(item[0], str)
        celsius = checked_temperature(item[1]) if named else None
        if celsius is None:
            raise VecaError(f"{where}: temperatures must be pairs of a name and degrees Celsius, not {item!r:.80}")
        pairs.append((item[0], celsius))
    return tuple(pairs)
