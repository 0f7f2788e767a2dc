"""Which temperatures can be believed. What is not is left out, with the reason, so that it stops no camera.

A sensor says what cannot be if it reads exactly 0 °C (nothing is connected), if it is at or above the temperature
at which the machine would have switched itself off, or if it is hot and never moves: some power controllers always
say 100 °C, whatever happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from veca_edge.sensors.plausible import TEMPERATURE

HOT = 85.0  # degrees from which a sensor that does not move is doubted whatever its trip points say
STILL = 60.0  # seconds without any change: real heat moves by tenths of a degree every few seconds
ROUND = 5.0  # degrees: values that people write into drivers are whole multiples of it
BEYOND = 115.0  # degrees at which hardly a chip still runs: 127 is the largest number of a byte
ALONE = 30.0  # degrees above every other sensor of the same small board
PMIC = "pmic"  # power controllers whose sensor was never wired up are common (NVIDIA documents its own)

UNITS = (1000, 1, 10, 100)  # per degree Celsius: as the kernel documents it, and as some drivers have it
MILLI = UNITS[0]
LEAST = 1.0  # degrees off zero, either way: 0.084 °C is 84 °C in another unit


def unit_of(raw: int, trips: Mapping[int, bool]) -> int | None:
    """How many units of a temperature make a degree, by what it and its trip points can be; None if unclear.

    Args:
        raw: as the kernel shows it.
        trips: for each of UNITS whether any trip point can be one if read in it.
    """
    fits = [
        unit for unit in UNITS if abs(raw / unit) >= LEAST and TEMPERATURE.low <= raw / unit <= TEMPERATURE.high
    ]
    backed = [unit for unit in fits if trips[unit]]
    if MILLI in fits and (MILLI in backed or not backed):
        return MILLI
    if any(trips.values()):
        return None if trips[MILLI] or not backed else backed[0]
    if 10 <= raw <= TEMPERATURE.high:
        return 1
    return 10 if TEMPERATURE.high < raw < MILLI else None


def contradiction(celsius: float, critical: float | None) -> str | None:
    """Why a temperature cannot be that of a machine that runs, None if it can.

    Args:
        celsius: what the sensor says; what no sensor can say is not judged here.
        critical: where the machine switches off, None if unknown.
    """
    if celsius == 0:
        return "nothing is connected"
    if critical is not None and celsius >= critical and _possible(celsius):
        return f"critical at {critical:g} °C, but the machine runs"
    return None


def _possible(celsius: float) -> bool:
    return TEMPERATURE.low <= celsius <= TEMPERATURE.high


class Stillness:
    """Watches which sensors move, over the reads of one reader."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float, bool]] = {}  # value, since when, whether it ever was another

    def see(self, name: str, celsius: float, now: float) -> None:
        """Note a sensor's temperature; `now` in seconds."""
        value, since, moved = self._seen.get(name, (celsius, now, False))
        self._seen[name] = (value, since, moved) if value == celsius else (celsius, now, True)

    def doubt(self, name: str, celsius: float, now: float, others: Sequence[float] = ()) -> str | None:
        """Why a hot sensor is not believed, None if it is.

        Args:
            name: seen before, in this read as well.
            celsius: its temperature, which is hot.
            now: seconds.
            others: the other sensors' temperatures, of one board.
        """
        if not _possible(celsius):
            return None  # for others to tell
        _, since, moved = self._seen[name]
        if now - since >= STILL:
            return f"it has not moved for {now - since:.0f} s"
        near = max(filter(_possible, others), default=celsius)
        written = celsius % ROUND == 0 or celsius >= BEYOND
        alone = written and celsius >= HOT and near <= celsius - ALONE
        if not moved and (alone or PMIC in name.lower()):
            return "it has not moved yet and nothing else is near as hot" if alone else "it has not moved yet"
        return None
