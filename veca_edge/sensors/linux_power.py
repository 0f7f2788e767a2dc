"""Linux: batteries and mains from /sys/class/power_supply, the power profile from ACPI.

Source: the kernel's Documentation/ABI/testing/sysfs-class-power and sysfs-platform_profile. Energies are in
µWh, charges in µAh, power in µW, currents in µA, voltages in µV; capacity is a percentage.

What contradicts itself. External power: the batteries' own word (`status`) comes before `online` of the supplies,
which stays 1 where a bit is stuck, where the charger is too weak, and on a USB-C port that feeds a phone. Signs of
currents say nothing: drivers differ. Charge and power: two sources that agree, else the only one, else unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from veca_edge.sensors.reading import PlainReader, Reading, Sensed
from veca_edge.sensors.sysfs import entries, read_int, read_label, under

SUPPLIES = "/sys/class/power_supply"
PROFILE = "/sys/firmware/acpi/platform_profile"
OFTEN = 5.0  # seconds: reading wakes embedded controllers, and none of this changes faster
SELDOM = 60.0  # seconds, while there is nothing
EXTERNAL = ("Mains", "USB", "Wireless", "BMS Charger")
TYPE_C = "/sys/class/typec"
AGREE = 0.2  # of the whole charge: what sources of one battery's level may differ by (worn cells, rounding, delays)
HALF = 0.5  # of the whole charge
LEAST_WATTS, MOST_WATTS = 0.05, 500.0  # of a running device from its batteries: a sensor board to a workstation
FACTOR = 10.0  # between two sources of one power: means over other spans explain less


@dataclass(frozen=True)
class Battery:
    """One battery as the kernel shows it; None is unknown.

    Attributes:
        energy: (now, full), µWh.
        charge: (now, full), µAh.
        percent: 0..100.
        status: Charging, Discharging, Not charging, Full or Unknown.
        watts: flowing in or out; drivers differ in the sign.
        doubt: what the battery says of its charge that is not believed; empty if nothing.
    """

    name: str
    energy: tuple[int, int] | None
    charge: tuple[int, int] | None
    percent: int | None
    status: str | None
    watts: float | None
    doubt: str = ""

    @property
    def share(self) -> float | None:
        """Its charge, 0..1, from whatever it tells."""
        found = (_ratio(self.energy), _ratio(self.charge), None if self.percent is None else self.percent / 100)
        return next((share for share in found if share is not None), None)

    @property
    def half_empty(self) -> bool:
        """Whether it has less charge than any limit of charging that people set."""
        return self.share is not None and self.share < HALF


class PowerSupplyReader(PlainReader):
    """Battery level, external power, the power drawn from batteries, and the low-power profile.

    Batteries of peripherals (`scope` Device) do not count, and that of a UPS only where the device has none itself.
    """

    name = "power supplies"
    interval = OFTEN

    def __init__(self, root: str = "/") -> None:
        self._folder, self._profile = under(root, SUPPLIES), under(root, PROFILE)
        self._type_c = under(root, TYPE_C)

    def read(self) -> Reading:
        found: dict[str, Sensed] = {}
        batteries, online = self._supplies()
        source = ", ".join(f"{SUPPLIES}/{battery.name}" for battery in batteries)
        if batteries:
            doubts = "".join(f"; {battery.name}: {battery.doubt}" for battery in batteries if battery.doubt)
            found["battery"] = Sensed(level(batteries), source + doubts)
            found["power"] = Sensed(drawn(batteries), source)
        charging = on_external_power(batteries, online.values())
        if charging is not None:
            plugged = [f"{SUPPLIES}/{name}" for name, on in online.items() if on and charging]
            found["charging"] = Sensed(charging, ", ".join(plugged) or source or SUPPLIES)
        profile = read_label(self._profile)
        if profile:
            found["low_power"] = Sensed(profile == "low-power", f"{PROFILE}: {profile}")
        self.interval = OFTEN if found else SELDOM
        return found

    def _supplies(self) -> tuple[list[Battery], dict[str, bool]]:
        """The device's own batteries, else its UPS, and which external supplies are on."""
        batteries: dict[str, list[Battery]] = {"Battery": [], "UPS": []}
        online = {}
        feeds = feeds_others(self._type_c)
        for name, path in entries(self._folder):
            if read_label(f"{path}/scope") == "Device":
                continue  # the battery of a mouse
            kind = read_label(f"{path}/type") or ""
            if kind in batteries and read_int(f"{path}/present") != 0:
                batteries[kind].append(_battery(name, path))
            elif kind.startswith(EXTERNAL) and not (feeds and kind.startswith("USB")):
                value = read_int(f"{path}/online")
                if value is not None:
                    online[name] = value > 0  # 1 fixed, 2 programmable voltage
        return batteries["Battery"] or batteries["UPS"], online


def feeds_others(folder: str) -> bool:
    """Whether all USB-C ports with something in them give power away rather than take it."""
    ports = [path.removesuffix("-partner") for _, path in entries(folder, "port") if path.endswith("-partner")]
    return bool(ports) and all("[source]" in (read_label(f"{port}/power_role") or "") for port in ports)


def level(batteries: Iterable[Battery]) -> float | None:
    """The charge of all batteries, 0..1: by energy if all tell it, else by charge, else the mean percentage."""
    batteries = list(batteries)
    for pairs in ([item.energy for item in batteries], [item.charge for item in batteries]):
        known = [pair for pair in pairs if pair is not None]
        if known and len(known) == len(pairs):
            return sum(now for now, _ in known) / sum(full for _, full in known)
    shares = [share for item in batteries if (share := item.share) is not None]
    return sum(shares) / len(shares) if shares else None


def on_external_power(batteries: Iterable[Battery], online: Iterable[bool]) -> bool | None:
    """Whether something else than the batteries powers the device; the first of these that applies:

    1. A battery discharges: no, unless another one charges while a supply is on (they take turns).
    2. A battery charges, is full (not with half of its charge: that word is stuck), or is said not to charge: yes,
       for many boards do not show their charger.
    3. A supply is on: yes. All are off: no. Nothing of this is known: unknown.
    """
    online = list(online)
    states = {battery.status for battery in batteries if battery.status != "Full" or not battery.half_empty}
    if "Discharging" in states:
        return "Charging" in states and any(online)
    if states & {"Charging", "Full", "Not charging"}:
        return True
    return any(online) if online else None


def drawn(batteries: Iterable[Battery]) -> float | None:
    """Watts of the whole device, which are known only while it runs on its batteries."""
    watts = [battery.watts for battery in batteries if battery.status == "Discharging"]
    known = [value for value in watts if value is not None]
    return sum(known) if known and len(known) == len(watts) else None


def _battery(name: str, path: str) -> Battery:
    energy, charge = _now_and_full(path, "energy"), _now_and_full(path, "charge")
    percent = read_int(f"{path}/capacity")
    if percent is not None and not 0 <= percent <= 110:
        percent = None  # as for the pairs, a little above full is full
    said = {
        "energy": _ratio(energy),
        "charge": _ratio(charge),
        "capacity": None if percent is None else percent / 100,
    }
    believed = agreeing(said)
    return Battery(
        name=name,
        energy=energy if "energy" in believed else None,
        charge=charge if "charge" in believed else None,
        percent=percent if "capacity" in believed else None,
        status=(read_label(f"{path}/status") or "").capitalize() or None,
        watts=_watts(path),
        doubt=_contradiction({name: share for name, share in said.items() if name not in believed}, bool(believed)),
    )


def agreeing(shares: Mapping[str, float | None]) -> set[str]:
    """The names of the shares (0..1, None unknown) that can be believed: the only one, or those that agree.

    Gauges show 0 until they have learned, so a 0 counts only where nothing contradicts it.
    """
    known = {name: share for name, share in shares.items() if share is not None}
    known = {name: share for name, share in known.items() if share} or known
    for first in known.values():
        near = {name for name, share in known.items() if abs(share - first) <= AGREE}
        if len(near) > 1 or len(known) == 1:
            return near
    return set()


def _contradiction(shares: Mapping[str, float | None], outvoted: bool) -> str:
    """What was not believed, in words; empty if all was."""
    told = [f"{name} {share:.0%}".replace("%", " %") for name, share in shares.items() if share is not None]
    return "" if not told else f"{' and '.join(told)} {'not believed' if outvoted else 'contradict each other'}"


def _ratio(pair: tuple[int, int] | None) -> float | None:
    return None if pair is None else pair[0] / pair[1]


def _now_and_full(path: str, what: str) -> tuple[int, int] | None:
    """(now, full) if both are there and can be true: fuel gauges show 0 or -1 until they have learned."""
    now, full = read_int(f"{path}/{what}_now"), read_int(f"{path}/{what}_full")
    if now is None or not full or full < 0 or not 0 <= now <= 1.1 * full:
        return None
    return now, full


def _watts(path: str) -> float | None:
    """The power by the driver or by voltage and current: those that can be true, if they do not contradict."""
    power, current, voltage = (read_int(f"{path}/{name}_now") for name in ("power", "current", "voltage"))
    by_driver = None if power is None else abs(power) / 1e6
    by_product = None if current is None or voltage is None or voltage < 0 else abs(current) * voltage / 1e12
    known = [value for value in (by_driver, by_product) if value and LEAST_WATTS <= value <= MOST_WATTS]
    return known[0] if known and max(known) <= FACTOR * min(known) else None
