"""Every constant of the policy, with its reason, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from veca_edge.errors import VecaError, shown
from veca_edge.numbers import finite

SHARES = ("most_power", "fair_ceiling", "serious_ceiling", "restart", "battery_ceiling", "low_power_ceiling")


@dataclass(frozen=True)
class Settings:
    """How the governor weighs quality, heat, battery and punctuality.

    Heat is on Android's headroom scale: 1 is where the platform throttles severely, 0.1 are 3 degrees Celsius
    (`ThermalManagerService` pins 0 to 30 degrees below severe). Ceilings are shares of the largest power in the
    front. Numbers without another reason were tuned in the simulation, where twice or half as much changes little.

    Attributes:
        target_rate: frames per second that the app wants. 30 is what cameras deliver.
        most_power: a ceiling that always holds. Below 1 in `saver`, which spends less even on a cool, full phone.
        heat_target: where heat is held. 0.9 is 42 degrees on a phone that throttles severely at 45: a degree below
            what skin bears for hours, for overshoot and for sensors that round.
        fall: how fast the heat ceiling falls, share per second for each 1 of heat above the target. At 1/25 and 0.1
            too hot it takes four minutes from all to nothing; the forecast starts it minutes before that.
        rise: the same for rising. Slower: what was too much a minute ago is tried again with care.
        slack: how far above the power in use the ceiling starts to fall. Otherwise it would first have to come down
            through power that nobody uses, and the heat would not wait. A tenth: some seconds' hesitation.
        horizon: seconds that the trend of the heat is followed into the future. A case answers within minutes, so a
            controller that waits for the target overshoots it; two minutes of lead damp that.
        smoothing: seconds over which readings of heat are averaged. Sensors report in steps of up to a degree.
        trend_smoothing: seconds over which its trend is; longer, because differences amplify noise.
        surprise: how far one reading may pull the average, heat. A case does not warm by 3 degrees in a second; a
            bad reading does.
        patience: seconds without a reading until the last one counts for nothing.
        skin_limit: degrees Celsius at which a case counts as severe where only a skin temperature is known. 45 is
            the severe threshold in the thermal configuration of a Pixel 6a, and about where touch becomes pain.
        nominal_heat: heat assumed at a nominal thermal level without headroom, or when nothing is known. 0.2 below
            the target: the ceiling rises from half to all in under two minutes, and a start is made at full power.
        fair_margin: heat assumed at a fair level without headroom, below the target: room for a slow rise. At a
            serious level heat is at least as far above it.
        fair_ceiling: ceiling at a fair level without headroom. Three quarters: Apple suggests to be proactive then.
        serious_ceiling: ceiling at a serious level. Half: Apple asks to reduce the frame rate then, and to halve it
            is what that means in practice.
        restart: heat ceiling right after a critical level. Low, because what led there must not come back at once.
        battery_full: charge, 0..1, from which the battery is no reason to save. 0.3: most of a day is over then.
        battery_low: charge at which the ceiling has come down to `battery_ceiling`; a line between the two, so that
            there is no step to oscillate about. 0.1: phones turn to their own emergency measures there.
        battery_ceiling: ceiling at `battery_low` and below. A quarter: below it, screen and camera dominate.
        low_power_ceiling: ceiling in low-power mode, whatever the charge: the user asked.
        slow_tolerance: how much slower than at its best the device may run before that counts as throttling. 1.25:
            other apps and the clock governor come and go by a fifth, a throttling step takes a quarter or more.
        calm_memory: seconds in which the device's best is forgotten. Four hours: longer than any heat lasts, and by
            then a lasting change (another system version) counts as the new normal.
        frame_alarm: seconds over which frame times are averaged when they grow. A notification slows frames for a
            second, and should not cost a switch; what lasts three has missed ninety deadlines.
        frame_smoothing: the same when they fall.
        least_frames: frames that make statistics worth reading.
        deadline_share: share of a frame's time that slow frames (one in twenty) may take. Not 1: the camera and the
            display need their part.
        climb_share: the same for a point that is newly chosen; the gap keeps one at the border from flickering.
        climb_margin: how far below the ceiling a point must be to be climbed to, relative. Smaller than most steps
            between neighbouring points, larger than the ripple of the ceiling.
        dwell: seconds after a switch before the next climb; descents need no wait. With 60, a device in a steady
            state switches at most twice a minute: down and up again.
        longest_step: seconds of one decision that count at most. After a pause nobody knows what happened in it.
    """

    target_rate: float = 30.0
    most_power: float = 1.0
    heat_target: float = 0.9
    fall: float = 1 / 25
    rise: float = 1 / 40
    slack: float = 0.1
    horizon: float = 120.0
    smoothing: float = 10.0
    trend_smoothing: float = 30.0
    surprise: float = 0.1
    patience: float = 60.0
    skin_limit: float = 45.0
    nominal_heat: float = 0.7
    fair_margin: float = 0.02
    fair_ceiling: float = 0.75
    serious_ceiling: float = 0.5
    restart: float = 0.1
    battery_full: float = 0.3
    battery_low: float = 0.1
    battery_ceiling: float = 0.25
    low_power_ceiling: float = 0.5
    slow_tolerance: float = 1.25
    calm_memory: float = 4 * 3600.0
    frame_alarm: float = 3.0
    frame_smoothing: float = 10.0
    least_frames: int = 5
    deadline_share: float = 0.95
    climb_share: float = 0.85
    climb_margin: float = 0.05
    dwell: float = 60.0
    longest_step: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not finite(value, 0):
                raise VecaError(f"{field.name} {shown(value)} in the governor's settings: use a number above 0")
            if field.name in SHARES and value > 1:
                raise VecaError(f"{field.name} {value} in the governor's settings: use a share up to 1")
        if not self.battery_low < self.battery_full <= 1:
            raise VecaError("battery_low must be below battery_full, and that at most 1")
        if not self.climb_share <= self.deadline_share <= 1:
            raise VecaError("climb_share must be at most deadline_share, and that at most 1")
        if self.serious_ceiling > self.fair_ceiling:
            raise VecaError("serious_ceiling must be at most fair_ceiling")
        if not self.nominal_heat < self.heat_target < 1:
            raise VecaError("nominal_heat must be below heat_target, and that below 1")

    def at(self, target_rate: float) -> Settings:
        """The same for another target rate."""
        return replace(self, target_rate=target_rate)


BALANCED = Settings()
# Later and less: half a degree warmer, no restraint at fair levels, saving only from a seventh of the charge on.
QUALITY = replace(
    BALANCED, heat_target=0.92, fair_ceiling=1.0, battery_full=0.15, battery_low=0.05, battery_ceiling=0.35
)
# A degree and a half cooler, never more than 60 % of the power, and saving from half the charge on.
SAVER = replace(
    BALANCED, most_power=0.6, heat_target=0.85, battery_full=0.5, battery_low=0.2, low_power_ceiling=0.3
)
PRESETS = {"balanced": BALANCED, "quality": QUALITY, "saver": SAVER}


def preset(name: str) -> Settings:
    """Settings by name: balanced, quality or saver.

    Raises:
        VecaError: another name.
    """
    if name not in PRESETS:
        raise VecaError(f"unknown preset {shown(name)}: use one of {', '.join(PRESETS)}")
    return PRESETS[name]
