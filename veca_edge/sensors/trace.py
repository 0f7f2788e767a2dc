"""Recorded states: one JSON object per line, for the simulator and for reports of trouble.

    {"time": 12.5, "battery": 0.83, "thermal": "fair", "temperatures": [["cpu", 61.5]], …}

A field that is null or absent is unknown; `sources`, which `veca-edge sensors --json` adds, is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from veca_edge.errors import StreamError, VecaError
from veca_edge.files import check_target, expanded, shortened
from veca_edge.sensors.plausible import checked_temperature, checked_value
from veca_edge.sensors.reading import FIELDS
from veca_edge.sensors.state import DeviceState, ThermalLevel

if TYPE_CHECKING:
    from typing_extensions import Self

LONGEST = 1 << 20  # bytes of a line
LATEST = 1e12  # seconds: far beyond any clock, and no digit of a millisecond is lost
IGNORED = ("sources",)


def state_record(state: DeviceState) -> dict[str, Any]:
    """A state as JSON has it: every field by its name, the thermal level by its own, unknown as None."""
    return {**asdict(state), "thermal": None if state.thermal is None else str(state.thermal)}


class TraceWriter:
    """Writes states to a file, each as a whole line at once.

    Unlike other outputs the file has its name from the start: recordings run for hours on devices that may
    switch off from heat, and what was recorded until then is what counts. However it ends, all lines are
    complete.

    Raises:
        VecaError: the folder is missing or not writable, or the path is a folder or a device.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_target(path)
        self.lines = 0
        try:
            self._file: BinaryIO | None = self.path.open("wb", buffering=0)
        except OSError as error:
            raise VecaError(f"cannot write {shortened(self.path)}: {error.strerror}") from None

    def write(self, state: DeviceState) -> None:
        """Add a line; a StreamError if it cannot be written, after which the file ends with the line before."""
        if self._file is None:
            raise StreamError(f"{self.path} is closed")
        line = (json.dumps(state_record(state), ensure_ascii=False, allow_nan=False) + "\n").encode()
        end = self._file.tell()
        try:
            if self._file.write(line) != len(line):
                raise OSError(0, "the disk is full")
        except BaseException as error:
            with suppress(OSError):
                os.truncate(self._file.fileno(), end)
            self.close()
            if isinstance(error, OSError):
                raise StreamError(f"cannot write {shortened(self.path)}: {error.strerror}") from None
            raise
        self.lines += 1

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_trace(path: str | Path) -> list[DeviceState]:
    """The states of a trace, in order of time, at least one.

    Raises:
        VecaError: the file cannot be read, or a line is damaged; with the file and the line.
    """
    name = shortened(Path(path))
    states: list[DeviceState] = []
    try:
        with expanded(path).open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST), b""), 1):
                if line.strip():
                    states.append(_state(line, f"{name}, line {number}", states))
    except (OSError, ValueError) as error:  # Value: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise VecaError(f"cannot read {name}: {reason}") from None
    if not states:
        raise VecaError(f"{name} holds no samples")
    return states


def _state(line: bytes, where: str, before: list[DeviceState]) -> DeviceState:
    """One line's state, not before those before it."""
    record = _parsed(line, where)
    strange = [key for key in record if key not in ("time", *FIELDS, *IGNORED)]
    if strange:
        raise VecaError(f"{where}: unknown field {strange[0]!r:.80}")
    time = record.get("time")
    if isinstance(time, bool) or not isinstance(time, (int, float)) or not abs(time) <= LATEST:
        raise VecaError(f"{where}: time must be a number of seconds")
    if before and time < before[-1].time:
        raise VecaError(f"{where}: time goes back from {before[-1].time:g} to {time:g}")
    known = {field: record[field] for field in FIELDS if record.get(field) is not None}
    return DeviceState(float(time), **{field: _value(field, value, where) for field, value in known.items()})


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
