"""A recording of a device's state that plays along with a film, and what was chosen meanwhile."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from veca_edge.governor.heat import read_headroom
from veca_edge.governor.settings import BALANCED
from veca_edge.sensors.state import DeviceState, ThermalLevel

Line = tuple[tuple[float, float], ...]  # points (seconds, 0 … 1), in order of time
COOL, HOT = 0.5, 1.1  # headroom at the foot and at the top of a graph: 30 and 48 degrees of a skin sensor
SHORTEST = 1.0  # seconds that a graph spans


@dataclass(frozen=True)
class Graph:
    """Where a recording is and how it goes, ready to be drawn.

    Attributes:
        length: seconds from its first to its last sample.
        now: seconds since its first sample; goes on after the last one.
        battery, heat: the recorded lines; empty where a recording says nothing.
        cores: how many are in use, as a share of the most; a new point for each change, up to now.
        words: battery, heat and cores now, for people; "" for unknown.
    """

    length: float
    now: float
    battery: Line
    heat: Line
    cores: Line
    words: tuple[str, str, str]


class Recording:
    """Sensors and a clock for a `Session`: a recording instead of the device, a film's time instead of the wall's.

    So a film that is computed faster or slower than it was taken ends in the same decisions.
    """

    def __init__(self, states: Sequence[DeviceState], speed: float = 1.0) -> None:
        """Args:
        states: at least one, in order of time.
        speed: seconds of the recording per second of film, above 0.
        """
        self._states, self._speed = states, speed
        start = states[0].time
        self._times = [state.time - start for state in states]
        self._length = max(SHORTEST, self._times[-1])
        self._battery = _line(self._times, [state.battery for state in states])
        self._heat = _line(self._times, [_heat(state) for state in states])
        self._now, self._shown = 0.0, float("inf")
        self._cores: list[tuple[float, int]] = []

    def move(self, time: float) -> None:
        """Go on to the film's frame of this time, in seconds; a film that starts over goes on from here."""
        self._now += max(0.0, time - self._shown) * self._speed
        self._shown = time

    def clock(self) -> float:
        """Seconds of the recording since its start; never goes back."""
        return self._now

    @property
    def state(self) -> DeviceState:
        """The newest sample: the first one at the start, the last one after the end."""
        return self._states[bisect_right(self._times, self._now) - 1]

    def start(self) -> None:
        """As `Sensors` has it: nothing needs to be started."""

    def stop(self) -> None:
        """As `Sensors` has it: nothing needs to be stopped."""

    def choose(self, cores: int) -> None:
        """Note how many cores are used from now on."""
        if not self._cores or self._cores[-1][1] != cores:
            self._cores.append((self._now, cores))

    def graph(self, most: int) -> Graph:
        """How it went so far, for a model with at most so many cores."""
        state = self.state
        source = "charging" if state.charging else "battery"
        battery = "" if state.battery is None else f"{source} {100 * state.battery:.0f} %"
        cores = f"{self._cores[-1][1]} cores" if self._cores else ""
        shares = tuple((time, cores / most) for time, cores in self._cores)
        words = (battery, _heat_words(state), cores)
        return Graph(self._length, self._now, self._battery, self._heat, shares, words)


def _line(times: Sequence[float], values: Sequence[float | None]) -> Line:
    return tuple((time, value) for time, value in zip(times, values, strict=True) if value is not None)


def _heat(state: DeviceState) -> float | None:
    """Heat within a graph, 0 … 1: what the governor reads, else the platform's level; None if unknown."""
    headroom = read_headroom(state, BALANCED)
    if headroom is not None:
        return min(1.0, max(0.0, (headroom - COOL) / (HOT - COOL)))
    return None if state.thermal is None else state.thermal / max(ThermalLevel)


def _heat_words(state: DeviceState) -> str:
    """Degrees, else the platform's level, else the headroom; "" for unknown."""
    if state.temperatures:
        return f"{max(degrees for _, degrees in state.temperatures):.0f} °C"
    if state.thermal is not None:
        return f"heat {state.thermal}"
    return "" if state.headroom is None else f"heat {state.headroom:.2f}"
