"""psutil, where it is installed and the system itself is not asked directly: Windows' clock, macOS, the BSDs.

Source: psutil's documentation: `sensors_battery()` is None without a battery, `percent` 0..100, `power_plugged`
None if unknown, `secsleft` below 0 if unknown or plugged; `cpu_freq()` is in MHz, `max` 0 if unknown;
`sensors_temperatures()` is in °C. Each function is absent where the platform has nothing of the kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from veca_edge.numbers import divided, finite
from veca_edge.sensors.credible import HOT, Stillness, contradiction
from veca_edge.sensors.reading import PlainReader, Reading, Sensed, gather

LONGEST = 10 * 86400.0  # seconds: what Windows says of a plugged battery (2³² − 1) is no time
FASTEST = 20_000.0  # MHz


class PsutilReader(PlainReader):
    """Battery, external power, frequency, temperatures.

    Args:
        module: stands in for psutil.
        clock: seconds.
    """

    name = "psutil"
    interval = 5.0  # some of its calls go through slow system interfaces

    def __init__(self, module: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._module, self._clock = module, clock
        self._still = Stillness()

    def read(self) -> Reading:
        if self._module is None:
            self._module = import_module("psutil")
        parts = {"battery": self._battery, "frequency": self._frequency, "temperatures": self._temperatures}
        return gather(parts)

    def _call(self, name: str) -> Any:
        function = getattr(self._module, name, None)
        return function() if function else None

    def _battery(self) -> dict[str, Sensed]:
        battery = self._call("sensors_battery")
        if battery is None:
            return {}
        source = "psutil.sensors_battery"
        # A battery with a time to run down in discharges, whatever the plug says.
        left = finite(getattr(battery, "secsleft", None), 1, LONGEST)
        plugged = getattr(battery, "power_plugged", None) if left is None else False
        percent = getattr(battery, "percent", None)
        return {"battery": Sensed(divided(percent, 100), source), "charging": Sensed(plugged, source)}

    def _frequency(self) -> dict[str, Sensed]:
        frequency = self._call("cpu_freq")
        current, maximum = (finite(getattr(frequency, name, None), 1, FASTEST) for name in ("current", "max"))
        if current is None or maximum is None:
            return {}
        return {"frequency": Sensed(current / maximum, "psutil.cpu_freq")}

    def _temperatures(self) -> dict[str, Sensed]:
        now, source = self._clock(), "psutil.sensors_temperatures"
        told: list[tuple[str, Any]] = []
        left_out: list[str] = []
        for name, entry in self._sensors():
            celsius = finite(entry.current)
            reason = (
                None if celsius is None else contradiction(celsius, finite(getattr(entry, "critical", None), 1))
            )
            if celsius is not None and reason is None:
                self._still.see(name, celsius, now)
                reason = self._still.doubt(name, celsius, now) if celsius >= HOT else None
            if reason is None:
                told.append((name, entry.current))
            else:
                left_out.append(f"{name} {celsius:.1f} °C: {reason}")
        if not told and not left_out:
            return {}
        return {"temperatures": Sensed(tuple(told) or None, source, tuple(left_out))}

    def _sensors(self) -> Iterator[tuple[str, Any]]:
        for chip, entries in (self._call("sensors_temperatures") or {}).items():
            for entry in entries:
                yield " ".join(str(part) for part in (chip, entry.label) if part), entry
