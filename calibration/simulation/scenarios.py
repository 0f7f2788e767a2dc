"""Half an hour to two hours in the life of a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from veca_edge.calibration.simulation.device import Hardware, Surroundings
from veca_edge.calibration.simulation.sensors import Sensors


@dataclass(frozen=True)
class Scenario:
    """A device and what happens to it.

    Attributes:
        name: as on the command line.
        about: one line for people.
        minutes: how long.
        around: surroundings at a time in minutes.
        hardware: the device.
        sensors: what it tells.
        charge: at the start, 0..1.
        start: degrees of the device at the start.
        profile_error: the latency table that the governor starts with is that of a device so many times as slow.
        skin_limit: degrees of the case that count as too hot in the evaluation. 43 is what skin in contact with a
            surface bears for hours (ISO 13732-1), and where a Pixel 6a itself starts to act.
    """

    name: str
    about: str
    minutes: float
    around: Callable[[float], Surroundings]
    hardware: Hardware = field(default_factory=Hardware)
    sensors: Sensors = field(default_factory=Sensors)
    charge: float = 0.8
    start: float = 25.0
    profile_error: float = 1.0
    skin_limit: float = 43.0


def _hot_day(minute: float) -> Surroundings:
    """Thirty degrees in the shade; the sun comes out for a quarter of an hour."""
    return Surroundings(ambient=30.0, sun=0.6 if 20 <= minute < 35 else 0.0)


def _commute(minute: float) -> Surroundings:
    """Flat, street, crowded bus with navigation on, street, office."""
    if minute < 10:
        return Surroundings(ambient=21)
    if minute < 20:
        return Surroundings(ambient=8, other=0.3)
    if minute < 45:
        return Surroundings(ambient=27, other=0.5)
    return Surroundings(ambient=8 if minute < 50 else 23)


def _low_battery(minute: float) -> Surroundings:
    """The user turns low-power mode on after half an hour."""
    return Surroundings(ambient=21, low_power=minute >= 30)


def _long_call(minute: float) -> Surroundings:
    """Radio and video encoder work all the time, the picture of the others more when many talk."""
    return Surroundings(ambient=23, other=1.1 if 30 <= minute < 50 else 0.7)


def _charging(minute: float) -> Surroundings:
    """A charger from the fifth minute on."""
    return Surroundings(ambient=24, charging=minute >= 5)


def _steady(ambient: float) -> Callable[[float], Surroundings]:
    return lambda minute: Surroundings(ambient=ambient)


def _throttled(minute: float) -> Surroundings:
    """The vendor caps the clock after five minutes, eases it later; the thermal state knows nothing."""
    limit = 1.0 if minute < 5 else 0.55 if minute < 40 else 0.75
    return Surroundings(ambient=22, limit=limit)


def _neighbours(minute: float) -> Surroundings:
    """Other programs take a third of the processor for three minutes in every ten."""
    return Surroundings(ambient=22, limit=0.67 if minute % 10 >= 7 else 1.0)


# A small server: mains, a fan (a tenth of a phone's resistance to the air), no sensor at all.
SERVER = Hardware(battery=0, body_resistance=0.4, camera=0, camera_frame=0, rest=5)
# A phone whose vendor slows it down long before the thermal state moves.
EAGER = Hardware(throttle_start=37, throttle_span=6)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("hot-day", "30 °C, a quarter of an hour of sun", 60, _hot_day, start=30),
        Scenario(
            "commute",
            "8 to 27 °C, navigation; levels only, like an iPhone",
            60,
            _commute,
            sensors=Sensors(headroom=False, thresholds=(38.0, 42.0, 46.0)),
            charge=0.6,
        ),
        Scenario("low-battery", "18 % left; low-power mode after 30 minutes", 90, _low_battery, charge=0.18),
        Scenario("long-call", "a video call of two hours: radio and encoder work", 120, _long_call),
        Scenario("charging", "20 % and a 15 W charger, which heats", 60, _charging, charge=0.2),
        Scenario(
            "cold-start",
            "5 °C; starts with another device's latency table",
            40,
            _steady(5.0),
            start=5,
            profile_error=0.6,
        ),
        Scenario(
            "throttled-soc",
            "the clock is capped while the state reads nominal",
            60,
            _throttled,
            hardware=EAGER,
            sensors=Sensors(headroom=False, thresholds=(48.0, 50.0, 52.0)),
        ),
        Scenario(
            "no-sensors",
            "a server without sensors; neighbours take processor time",
            60,
            _neighbours,
            hardware=SERVER,
            sensors=Sensors(level=False, headroom=False, battery=False),
            charge=1.0,
        ),
        Scenario(
            "noisy-sensors",
            "28 °C; noise, gaps and wild readings",
            60,
            _steady(28.0),
            sensors=Sensors(noise=0.02, missing=0.15, wild=0.01),
            start=28,
        ),
    )
}
