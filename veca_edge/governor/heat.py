"""How hot the device is, from whatever it says about that. Unknown and impossible readings say nothing."""

from __future__ import annotations

from veca_edge.governor.decision import Memory
from veca_edge.governor.settings import Settings
from veca_edge.numbers import finite
from veca_edge.sensors.state import DeviceState, ThermalLevel

# Android pins headroom 0 to the severe threshold minus 30 degrees (DEGREES_BETWEEN_ZERO_AND_ONE).
DEGREES = 30.0
# Sensors of what a hand touches. Those of the processor's inside are hot by design and mean another scale.
SKIN = ("skin", "shell", "case")
MOST_HEADROOM = 10.0
LEVELS = {int(level): level for level in ThermalLevel}


def read_level(state: DeviceState) -> ThermalLevel | None:
    """The platform's own level, None if unknown."""
    level = finite(state.thermal, 0, len(LEVELS) - 1)
    return None if level is None else LEVELS.get(int(level))


def read_headroom(state: DeviceState, settings: Settings) -> float | None:
    """Headroom as reported, or made of the hottest skin temperature; None if unknown."""
    headroom = finite(state.headroom, 0, MOST_HEADROOM)
    if headroom is not None or not state.temperatures:
        return headroom
    skin = [
        degrees
        for name, reading in state.temperatures
        if any(word in name.lower() for word in SKIN) and (degrees := finite(reading, -40, 120)) is not None
    ]
    return max(0.0, 1 + (max(skin) - settings.skin_limit) / DEGREES) if skin else None


def follow_heat(
    memory: Memory, headroom: float | None, step: float, settings: Settings
) -> tuple[float | None, float, float]:
    """Average heat, its trend per second and the seconds without a reading, after `step` seconds and a reading."""
    if headroom is None:
        unread = memory.unread + step
        return (None, 0.0, unread) if unread > settings.patience else (memory.heat, memory.trend, unread)
    if memory.heat is None:
        return headroom, 0.0, 0.0
    pull = min(settings.surprise, max(-settings.surprise, headroom - memory.heat))
    change = pull * step / (settings.smoothing + step)
    if step == 0:
        return memory.heat, memory.trend, 0.0
    trend = memory.trend + (change / step - memory.trend) * step / (settings.trend_smoothing + step)
    return memory.heat + change, trend, 0.0


def expected_heat(
    heat: float | None, trend: float, forecast: float | None, level: ThermalLevel | None, settings: Settings
) -> float:
    """Where the heat is going: the hottest of what is known.

    A level below serious speaks only where there is no headroom: it is the same fact, told more coarsely.
    """
    if heat is not None:
        going = heat + trend * settings.horizon
    elif level is ThermalLevel.FAIR:
        going = settings.heat_target - settings.fair_margin
    else:
        going = settings.nominal_heat
    if forecast is not None:
        going = max(going, forecast)
    if level is not None and level >= ThermalLevel.SERIOUS:
        going = max(going, settings.heat_target + settings.fair_margin)
    return going
