"""Linux: batteries and mains from /sys/class/power_supply, the power profile from ACPI.

Source: the kernel's Documentation/ABI/testing/sysfs-class-power and sysfs-platform_profile. Energies are in
µWh, charges in µAh, power in µW, currents in µA, voltages in µV; capacity is a percentage.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from veca_edge.sensors.reading import PlainReader, Reading, Sensed
from veca_edge.sensors.sysfs import entries, read_int, read_text, under

SUPPLIES = "/sys/class/power_supply"
PROFILE = "/sys/firmware/acpi/platform_profile"
OFTEN = 5.0  # seconds: reading wakes embedded controllers, and none of this changes faster
SELDOM = 60.0  # seconds, while there is nothing
EXTERNAL = ("Mains", "USB", "Wireless", "BMS Charger")


@dataclass(frozen=True)
class Battery:
    """One battery as the kernel shows it; None is unknown.

    Attributes:
        energy: (now, full), µWh.
        charge: (now, full), µAh.
        percent: 0..100.
        status: Charging, Discharging, Not charging, Full or Unknown.
        watts: flowing in or out; drivers differ in the sign.
    """

    name: str
    energy: tuple[int, int] | None
    charge: tuple[int, int] | None
    percent: int | None
    status: str | None
    watts: float | None


class PowerSupplyReader(PlainReader):
    """Battery level, external power, the power drawn from batteries, and the low-power profile."""

    name = "power supplies"
    interval = OFTEN

    def __init__(self, root: str = "/") -> None:
        self._folder, self._profile = under(root, SUPPLIES), under(root, PROFILE)

    def read(self) -> Reading:
        found: dict[str, Sensed] = {}
        batteries, online = self._supplies()
        source = ", ".join(f"{SUPPLIES}/{battery.name}" for battery in batteries)
        if batteries:
            found["battery"] = Sensed(level(batteries), source)
            found["power"] = Sensed(drawn(batteries), source)
        charging = on_external_power(batteries, online.values())
        if charging is not None:
            plugged = [f"{SUPPLIES}/{name}" for name, on in online.items() if on]
            found["charging"] = Sensed(charging, ", ".join(plugged) or source or SUPPLIES)
        profile = read_text(self._profile)
        if profile:
            found["low_power"] = Sensed(profile == "low-power", f"{PROFILE}: {profile}")
        self.interval = OFTEN if found else SELDOM
        return found

    def _supplies(self) -> tuple[list[Battery], dict[str, bool]]:
        """The device's own batteries, and which external supplies are on."""
        batteries, online = [], {}
        for name, path in entries(self._folder):
            if read_text(f"{path}/scope") == "Device":
                continue  # the battery of a mouse
            kind = read_text(f"{path}/type")
            if kind == "Battery" and read_int(f"{path}/present") != 0:
                batteries.append(_battery(name, path))
            elif kind is not None and kind.startswith(EXTERNAL):
                value = read_int(f"{path}/online")
                if value is not None:
                    online[name] = value > 0  # 1 fixed, 2 programmable voltage
        return batteries, online


def level(batteries: Iterable[Battery]) -> float | None:
    """The charge of all batteries, 0..1: by energy if all tell it, else by charge, else the mean percentage."""
    batteries = list(batteries)
    for pairs in ([item.energy for item in batteries], [item.charge for item in batteries]):
        known = [pair for pair in pairs if pair is not None]
        if known and len(known) == len(pairs):
            return sum(now for now, _ in known) / sum(full for _, full in known)
    percents = [item.percent for item in batteries if item.percent is not None]
    return sum(percents) / len(percents) / 100 if percents else None


def on_external_power(batteries: Iterable[Battery], online: Iterable[bool]) -> bool | None:
    """Whether something else than the batteries powers the device.

    A supply that is on decides. Without one the batteries do, because many boards do not show their charger.
    """
    online = list(online)
    if any(online):
        return True
    states = [battery.status for battery in batteries]
    if any(status in ("Charging", "Full", "Not charging") for status in states) and "Discharging" not in states:
        return True
    if "Discharging" in states or online:
        return False
    return None


def drawn(batteries: Iterable[Battery]) -> float | None:
    """Watts of the whole device, which are known only while it runs on its batteries."""
    watts = [battery.watts for battery in batteries if battery.status == "Discharging"]
    known = [value for value in watts if value is not None]
    return sum(known) if known and len(known) == len(watts) else None


def _battery(name: str, path: str) -> Battery:
    return Battery(
        name=name,
        energy=_now_and_full(path, "energy"),
        charge=_now_and_full(path, "charge"),
        percent=read_int(f"{path}/capacity"),
        status=read_text(f"{path}/status"),
        watts=_watts(path),
    )


def _now_and_full(path: str, what: str) -> tuple[int, int] | None:
    """(now, full) if both are there and can be true: fuel gauges show 0 or -1 until they have learned."""
    now, full = read_int(f"{path}/{what}_now"), read_int(f"{path}/{what}_full")
    if now is None or not full or full < 0 or not 0 <= now <= 1.1 * full:
        return None
    return now, full


def _watts(path: str) -> float | None:
    power = read_int(f"{path}/power_now")
    if power is not None:
        return abs(power) / 1e6
    current, voltage = read_int(f"{path}/current_now"), read_int(f"{path}/voltage_now")
    return None if current is None or voltage is None else abs(current * voltage) / 1e12
