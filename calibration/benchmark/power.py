"""Energy per call, where a sensor tells the device's power."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from veca_edge.sensors.monitor import Monitor

LEAD = 3.0  # seconds of work before the first reading: sensors tell means over the last two
SPAN = 6.0  # seconds over which power is averaged
EVERY = 0.5  # seconds between two looks

Clock = Callable[[], float]


def power_source(monitor: Monitor) -> str | None:
    """Where the device's power is known from, None if it is unknown."""
    look = monitor.look()
    return None if look.state.power is None else look.sensed["power"].source


def energy_mj(call: Callable[[], object], monitor: Monitor, clock: Clock = perf_counter) -> float | None:
    """Millijoules per call, run again and again: mean power of all that the sensor covers, idle parts included.

    Args:
        call: what is measured.
        monitor: a running monitor.
        clock: seconds.

    Returns:
        None if the power is unknown.
    """
    if monitor.state.power is None:
        return None
    _repeat(call, LEAD, clock)
    watts, calls, start = [], 0, clock()
    while clock() - start < SPAN:
        calls += _repeat(call, EVERY, clock)
        watts.append(monitor.state.power)
    return millijoules(watts, clock() - start, calls)


def millijoules(watts: Sequence[float | None], seconds: float, calls: int) -> float | None:
    """Energy per call at the mean of the known powers; None if none is known."""
    known = [value for value in watts if value is not None]
    return float(np.mean(known)) * seconds / calls * 1e3 if known else None


def _repeat(call: Callable[[], object], seconds: float, clock: Clock) -> int:
    """Call for so long, at least once; how often."""
    calls, start = 0, clock()
    while not calls or clock() - start < seconds:
        call()
        calls += 1
    return calls
