"""A phone, or something like it: heat, battery, throttling. Pure: time passes when `step` says so.

Heat flows from the processor through the case above it and the body (battery, frame, screen) into the air:

    processor --soc_resistance--> case --case_resistance--> body --body_resistance--> air

Numbers and where they come from:
- A Pixel 6a takes 3.5 W of processor power as what its case carries at 43 degrees (`S_Power` of VIRTUAL-SKIN in its
  `thermal_info_config`). With 0.9 W of screen and radio and 22 degrees in the room that makes 4 K/W from body to
  air and 1 K/W from case to body: 22 + 4.4 * 4 + 3.5 * 1 = 43.
- Its thermal levels are 39 (light), 43 (moderate), 45 (severe) and 47 (critical) degrees, each left 1.9 below.
- Step responses that a developer measured on a Galaxy S25+: battery 540 s, processor 6 to 9 s.
- Two to four big cores under load draw 2.8 to 5.3 W above idle (AnandTech's table for the Kirin 960 and its
  contemporaries); 4 W here. Pete Warden, after *Smartphone Energy Consumption*: most phones cannot get rid of more
  than 3 W for long.
- Dynamic power is proportional to frequency times voltage squared; voltage follows frequency in part. The exponent
  2.5 lies between constant and proportional voltage.
- Camera: sensors spend a constant part and a part per frame (LiKamWa et al., MobiSys 2013).
- Battery: 5000 mAh at 3.85 V are 19.3 Wh. A charger of 15 W that is 90 % efficient leaves 1.5 W in the phone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

EULER_STEP = 0.5  # seconds; a sixteenth of the fastest time constant


@dataclass(frozen=True)
class Hardware:
    """What a device is made of.

    Attributes:
        soc_resistance, case_resistance, body_resistance: K/W, see above.
        soc_capacity, case_capacity, body_capacity: J/K. Time constants: 8 s, 20 s, and 550 s for the whole.
        idle: watts of the processor besides the model.
        rest: watts of screen, radio and memory.
        dynamic: watts of the processor at full clock when the model keeps it busy all the time.
        exponent: of the clock in `dynamic`.
        camera: watts of a camera that delivers no frames.
        camera_frame: joules per frame of the camera.
        battery: watt-hours, 0 for none (mains).
        charger: watts while charging.
        charge_heat: share of them that stays as heat.
        throttle_start: degrees of the case at which the platform starts to lower the clock.
        throttle_span: degrees further until the lowest clock.
        lowest_clock: share of the highest.
        junction: degrees of the processor above which the clock falls as well.
    """

    soc_resistance: float = 4.0
    case_resistance: float = 1.0
    body_resistance: float = 4.0
    soc_capacity: float = 2.0
    case_capacity: float = 20.0
    body_capacity: float = 115.0
    idle: float = 0.15
    rest: float = 0.9
    dynamic: float = 4.0
    exponent: float = 2.5
    camera: float = 0.15
    camera_frame: float = 0.012
    battery: float = 19.3
    charger: float = 15.0
    charge_heat: float = 0.1
    throttle_start: float = 43.0
    throttle_span: float = 5.0
    lowest_clock: float = 0.4
    junction: float = 85.0


@dataclass(frozen=True)
class Surroundings:
    """What happens around the device at one moment.

    Attributes:
        ambient: degrees Celsius of the air.
        sun: watts of sunlight on the case.
        other: watts of other apps, on the processor.
        charging: whether a charger is connected.
        limit: a clock that the platform imposes for reasons of its own, share of the highest.
        low_power: whether the user switched low-power mode on.
    """

    ambient: float = 22.0
    sun: float = 0.0
    other: float = 0.0
    charging: bool = False
    limit: float = 1.0
    low_power: bool = False


@dataclass(frozen=True)
class Load:
    """What the device has to do for some time.

    Attributes:
        busy: share of time that the model would keep the processor busy at full clock, 0..
        rate: camera frames per second, 0 for a camera that is switched off.
        around: what happens meanwhile.
    """

    busy: float
    rate: float
    around: Surroundings = Surroundings()


@dataclass(frozen=True)
class Body:
    """A device at one moment: degrees Celsius, clock as a share of the highest, charge 0..1, watts.

    `power` is what the device drew over the last step, `work` the model's part of that.
    """

    soc: float
    case: float
    body: float
    clock: float = 1.0
    charge: float = 1.0
    power: float = 0.0
    work: float = 0.0

    @classmethod
    def at(cls, temperature: float, charge: float) -> Body:
        """A device that has lain in air of this temperature."""
        return cls(temperature, temperature, temperature, charge=charge)


def step(body: Body, load: Load, hardware: Hardware, seconds: float) -> Body:
    """The device after some seconds (about one) under a load."""
    around = load.around
    work = hardware.dynamic * min(1.0, load.busy / body.clock) * body.clock**hardware.exponent
    soc_power = hardware.idle + around.other + work
    camera = hardware.camera + hardware.camera_frame * load.rate if load.rate else 0.0
    charging = around.charging and hardware.battery > 0
    loss = hardware.charger * hardware.charge_heat if charging and body.charge < 1 else 0.0
    rest = hardware.rest + camera
    soc, case, inner = body.soc, body.case, body.body
    parts = max(1, round(seconds / EULER_STEP))
    for _ in range(parts):
        up, across = (soc - case) / hardware.soc_resistance, (case - inner) / hardware.case_resistance
        out, part = (inner - around.ambient) / hardware.body_resistance, seconds / parts
        soc += part * (soc_power - up) / hardware.soc_capacity
        case += part * (up + around.sun - across) / hardware.case_capacity
        inner += part * (across + rest + loss - out) / hardware.body_capacity
    power = soc_power + rest
    charge = body.charge
    if hardware.battery > 0:
        gain = hardware.charger * (1 - hardware.charge_heat) if charging else 0.0
        charge = min(1.0, max(0.0, charge + (gain - power) * seconds / 3600 / hardware.battery))
    warmer = replace(body, soc=soc, case=case, body=inner, charge=charge, power=power, work=work)
    return replace(warmer, clock=_clock(warmer, around.limit, hardware, seconds))


def _clock(body: Body, limit: float, hardware: Hardware, seconds: float) -> float:
    """The platform follows its limits with a lag of some seconds."""
    over = max((body.case - hardware.throttle_start) / hardware.throttle_span, (body.soc - hardware.junction) / 10)
    allowed = min(limit, 1 - min(1.0, max(0.0, over)) * (1 - hardware.lowest_clock))
    clock = body.clock + (allowed - body.clock) * min(1.0, seconds / 3)
    return max(hardware.lowest_clock, clock)
