"""States for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from veca_edge.sensors.monitor import Look
from veca_edge.sensors.state import DeviceState
from veca_edge.sensors.trace import state_record

TITLES = {
    "battery": "battery",
    "charging": "external power",
    "low_power": "low-power mode",
    "thermal": "thermal level",
    "headroom": "thermal headroom",
    "forecast": "headroom forecast",
    "frequency": "CPU frequency",
    "power": "power",
}
UNKNOWN = "unknown"
VALUE_WIDTH = 12


def json_record(look: Look) -> dict[str, Any]:
    """A state, the source of every known value, and what is not believed, if anything is."""
    sources = {field: item.source for field, item in look.sensed.items() if item.value is not None}
    left_out = [text for item in look.sensed.values() for text in item.left_out]
    return {**state_record(look.state), "sources": sources, **({"left_out": left_out} if left_out else {})}


def table_lines(look: Look) -> Iterator[str]:
    """A table: what, value and unit, where it comes from. Sources of unknown values are the reasons."""
    names = [f"  {name}" for name, _ in look.state.temperatures]
    width = max(map(len, [*TITLES.values(), *names]))
    for field, title in TITLES.items():
        source = look.sensed[field].source if field in look.sensed else ""
        text = value_text(field, getattr(look.state, field))
        yield f"{title:<{width}}  {text:<{VALUE_WIDTH}}  {source}".rstrip()
    source = look.sensed["temperatures"].source if "temperatures" in look.sensed else ""
    first = "" if names else UNKNOWN
    yield f"{'temperatures':<{width}}  {first:<{VALUE_WIDTH}}  {source}".rstrip()
    for name, (_, celsius) in zip(names, look.state.temperatures, strict=True):
        yield f"{name:<{width}}  {f'{celsius:.1f} °C':<{VALUE_WIDTH}}".rstrip()
    for text in (text for item in look.sensed.values() for text in item.left_out):
        yield f"  left out: {text}"
    if not any(item.value is not None for item in look.sensed.values()):
        yield ""
        yield "This device has no readable sensors: the governor goes by frame times alone."


def one_line(state: DeviceState, start: float) -> str:
    """A state in a line, with the seconds since `start`; of the temperatures the highest."""
    parts = [f"{state.time - start:8.1f} s"]
    parts += [f"{title} {value_text(field, getattr(state, field))}" for field, title in TITLES.items()]
    hottest = max((celsius for _, celsius in state.temperatures), default=None)
    parts.append(f"hottest {UNKNOWN if hottest is None else f'{hottest:.1f} °C'}")
    return "  ".join(parts)


def value_text(field: str, value: Any) -> str:
    """A value with its unit."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field in ("battery", "frequency"):
        return f"{100 * value:.0f} %"
    if field == "power":
        return f"{value:.1f} W"
    return f"{value:.2f}" if field in ("headroom", "forecast") else str(value)
