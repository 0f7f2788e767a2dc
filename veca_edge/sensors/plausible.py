"""What can be true. Sensors lie with -1, NaN, 10⁹, or 0 K, and every such value becomes unknown here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from veca_edge.numbers import finite
from veca_edge.sensors.reading import FIELDS, Reading, Sensed
from veca_edge.sensors.state import ThermalLevel


@dataclass(frozen=True)
class Range:
    """Possible values, both ends included.

    Attributes:
        slack: a value so far above `high` still counts as `high`: turbo clocks, batteries above their nominal
            charge.
    """

    low: float
    high: float
    slack: float = 0.0


RANGES = {
    "battery": Range(0, 1, slack=0.1),
    "headroom": Range(0, 5),  # Android: 0 is 30 °C below severe throttling, 1 is severe
    "forecast": Range(0, 5),
    "frequency": Range(0, 1, slack=0.1),
    "power": Range(0, 5000),  # watts: up to a server with eight sockets
}
# Degrees Celsius: cold stores to junctions that are about to switch off. What reads 0 K or 200 °C is not connected.
TEMPERATURE = Range(-40, 150)
FLAGS = ("charging", "low_power")


class PlausibilityFilter:
    """Passes what can be true; the rest becomes unknown, with one warning per field.

    Args:
        name: of the reader, for the warnings.
        notify: takes a warning.
    """

    def __init__(self, name: str, notify: Callable[[str], None]) -> None:
        self._name, self._notify = name, notify
        self._told: set[str] = set()

    def __call__(self, reading: Reading) -> dict[str, Sensed]:
        """The reading with unknown (None) in place of what cannot be true.

        Raises:
            ValueError: a field that `DeviceState` does not have.
        """
        return {field: self._checked(field, sensed) for field, sensed in reading.items()}

    def _checked(self, field: str, sensed: Sensed) -> Sensed:
        if field not in FIELDS:
            raise ValueError(f"there is no field {field!r}")
        if sensed.value is None:
            return sensed
        if field == "temperatures":
            return self._checked_temperatures(sensed)
        value = checked_value(field, sensed.value)
        if value is None:
            self._doubt(field, f"{field} {sensed.value!r}")
            return Sensed(None, f"{sensed.source}: not plausible")
        return Sensed(value, sensed.source)

    def _checked_temperatures(self, sensed: Sensed) -> Sensed:
        pairs = [(str(name), checked_temperature(celsius), celsius) for name, celsius in sensed.value]
        for name, checked, celsius in pairs:
            if checked is None and celsius is not None:
                self._doubt("temperatures", f"{celsius!r} °C of {name}")
        kept = tuple((name, checked) for name, checked, _ in pairs if checked is not None)
        lies = [f"{name} {celsius!r:.20} °C: cannot be" for name, checked, celsius in pairs if checked is None]
        return replace(sensed, value=kept or None, left_out=(*sensed.left_out, *lies))

    def _doubt(self, field: str, what: str) -> None:
        if field not in self._told:
            self._told.add(field)
            self._notify(f"sensors: {self._name}: {what[:80]} is not plausible and counts as unknown")


def checked_value(field: str, value: Any) -> Any:
    """The value of a field in its type and range, or None if that cannot be true. Not for temperatures."""
    if field in FLAGS:
        return value if isinstance(value, bool) else None
    if field == "thermal":
        return value if isinstance(value, ThermalLevel) else None
    return _in_range(value, RANGES[field])


def checked_temperature(celsius: Any) -> float | None:
    """Degrees Celsius, or None if that cannot be true."""
    return _in_range(celsius, TEMPERATURE)


def _in_range(value: Any, bounds: Range) -> float | None:
    number = finite(value, bounds.low, bounds.high + bounds.slack)
    return None if number is None else min(number, float(bounds.high))
