"""What a reader gives: values, each with where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from veca_edge.sensors.state import DeviceState

FIELDS: tuple[str, ...] = tuple(field.name for field in fields(DeviceState) if field.name != "time")


@dataclass(frozen=True)
class Sensed:
    """One value of a `DeviceState`, in its unit.

    Attributes:
        value: None is unknown.
        source: where it comes from, for a person; of an unknown value the reason, or nothing.
        left_out: of temperatures: those that are not believed, each with the reason.
    """

    value: Any
    source: str
    left_out: tuple[str, ...] = ()


Reading = Mapping[str, Sensed]  # by field of DeviceState; a field left out is unknown


class Reader(Protocol):
    """One source of values. All calls come from one thread, which is not the frames'.

    Attributes:
        name: for messages.
        interval: seconds to leave between two reads at least, for sources that cost more or change little; it may
            change with every read, so that a reader that finds nothing costs nothing.
    """

    name: str
    interval: float

    def read(self) -> Reading:
        """The values now. It may raise anything, hang or return nonsense: the monitor bears all three."""

    def close(self) -> None:
        """Let go of what the reading thread holds; called in that thread, after the last read."""


class PlainReader:
    """What readers share that hold nothing and are cheap."""

    interval: float = 1.0

    def close(self) -> None:
        """Nothing is held."""


def gather(parts: Mapping[str, Callable[[], Reading]]) -> dict[str, Sensed]:
    """The values of a reader's parts, each for itself: one that fails takes none of the others with it.

    Args:
        parts: by the field whose value is unknown, with the error as the reason, should the part fail.

    Raises:
        Exception: that of the first part, if all fail: then the reader itself does not work.
    """
    found: dict[str, Sensed] = {}
    errors: list[Exception] = []
    for field, part in parts.items():
        try:
            found.update(part())
        except Exception as error:
            errors.append(error)
            found[field] = Sensed(None, f"{type(error).__name__}: {error}".rstrip(": ")[:80])
    if len(errors) == len(parts):
        raise errors[0]
    return found


def merge(readings: Iterable[Reading]) -> dict[str, Sensed]:
    """One value per field out of several readings, best first.

    The first known value counts, with three exceptions: of several thermal levels the hottest, temperatures are
    put together, and a reader that sees the battery discharging outweighs those that see a plug. Where nothing is
    known, the first reason for that is kept.
    """
    merged: dict[str, Sensed] = {}
    for reading in readings:
        for field, sensed in reading.items():
            merged[field] = _joined(field, merged[field], sensed) if field in merged else sensed
    return merged


def _joined(field: str, first: Sensed, second: Sensed) -> Sensed:
    left_out = (*first.left_out, *second.left_out)
    if second.value is None:
        return replace(first, left_out=left_out)
    if first.value is None:
        return replace(second, left_out=left_out)
    if field == "thermal":
        return max(first, second, key=lambda sensed: int(sensed.value))  # equal: the first
    if field == "charging":
        return min(first, second, key=lambda sensed: bool(sensed.value))
    if field == "temperatures":
        return Sensed((*first.value, *second.value), f"{first.source}, {second.source}", left_out)
    return first
