"""The policy: `decide`, a pure function. README.md in this folder says the same in words."""

from __future__ import annotations

from typing import NamedTuple

from veca_edge.governor.decision import Decision, Memory
from veca_edge.governor.heat import expected_heat, follow_heat, read_headroom, read_level
from veca_edge.governor.points import ROUNDING, Front, OperatingPoint
from veca_edge.governor.settings import Settings
from veca_edge.governor.statistics import FrameStatistics
from veca_edge.numbers import finite
from veca_edge.sensors.state import DeviceState, ThermalLevel

# Factors beyond these are no device's but a debugger's or a wrong table's: enough to decide on.
LEAST_SLOWDOWN, MOST_SLOWDOWN = 0.05, 20.0
# Slow frames may be this much slower, against their usual, than the median is against its own: a single outlier
# among few frames is their 95th percentile too.
MOST_TAIL = 1.5
CLOCK = 1e15  # seconds; beyond that a double no longer counts them
UNTIMED_STEP = 1.0  # seconds between decisions if the clock is unknown: the pace that `decide` asks for


class Heat(NamedTuple):
    """What the state says about heat."""

    level: ThermalLevel | None
    hot: bool  # serious or worse
    serious: bool  # for the second time in a row, or at the start
    average: float | None
    trend: float
    unread: float
    going: float
    measured: bool  # the platform has said something about heat, now or lately


class Pace(NamedTuple):
    """What the frames say about the device's speed; factors on the front's latencies, None before any frame."""

    slowdown: float | None
    tail: float | None
    calm: float | None

    @property
    def excess(self) -> float:
        """How much slower than at its best the device is."""
        return 1.0 if self.slowdown is None or not self.calm else self.slowdown / self.calm

    @property
    def late(self) -> float:
        """Factor on a point's slow frames."""
        return max(self.slowdown or 1.0, self.tail or 0.0)


class Ceiling(NamedTuple):
    """A limit on power, share of the best point's, and its name for people."""

    limit: float
    cause: str


def decide(
    state: DeviceState, previous: Decision | None, frames: FrameStatistics, front: Front, settings: Settings
) -> Decision:
    """Choose how to run next.

    Pure: the same arguments give the same decision. Call it about once a second, and at once when the thermal level
    changes.

    Args:
        state: the sensors now; whatever is unknown, NaN or impossible says nothing.
        previous: the decision before, from the same front; None at the start.
        frames: computed since then, at its point.
        front: the points to choose among.
        settings: the weights.
    """
    before = None if previous is None else previous.memory
    last = before or Memory()
    now = finite(state.time, -CLOCK, CLOCK)
    step = _step(now, before, settings)
    heat = _follow_heat(state, before, step, settings)
    pace = _follow_frames(before, frames, front, step, settings)
    current = None if before is None else min(before.index, len(front.points) - 1)
    used = None if current is None else front.relative[current]
    ceiling, own = _heat_ceiling(last.ceiling, used, heat, pace, step, settings)
    limits = (own, _battery_ceiling(state, settings), Ceiling(settings.most_power, "the preset"))
    lowest = min(limits, key=lambda ceiling: ceiling.limit)
    index, overdue = _choose(current, last.settled, lowest.limit, pace.late, front, settings)
    cause = "frame times" if lowest.limit >= 1 else lowest.cause
    if overdue:
        cause = f"frames {pace.late:.1f} times as long"
    memory = Memory(
        now,
        index,
        last.settled + step if index == current else 0.0,
        ceiling,
        heat.average,
        heat.trend,
        heat.unread,
        heat.hot,
        *pace,
    )
    reason = _reason(current, index, cause, front)
    return Decision(front.points[index], reason, heat.level is ThermalLevel.CRITICAL, memory)


def _step(now: float | None, before: Memory | None, settings: Settings) -> float:
    """Seconds since the last decision that count."""
    if before is None:
        return 0.0
    if now is None or before.time is None:
        return UNTIMED_STEP
    return min(settings.longest_step, max(0.0, now - before.time))


def _follow_heat(state: DeviceState, before: Memory | None, step: float, settings: Settings) -> Heat:
    level = read_level(state)
    headroom = read_headroom(state, settings)
    average, trend, unread = follow_heat(before or Memory(), headroom, step, settings)
    going = expected_heat(average, trend, finite(state.forecast, 0, 10), level, settings)
    hot = level is not None and level >= ThermalLevel.SERIOUS
    serious = hot and (before is None or before.hot)
    return Heat(level, hot, serious, average, trend, unread, going, level is not None or average is not None)


def _follow_frames(
    before: Memory | None, frames: FrameStatistics, front: Front, step: float, settings: Settings
) -> Pace:
    """Average the frame times, each in units of what the point's own should be."""
    if before is None:
        return Pace(None, None, None)
    unchanged = Pace(before.slowdown, before.tail, before.calm)
    pace, p50, p95 = (finite(value, 0, 1e6) for value in (frames.pace, frames.p50, frames.p95))
    if frames.count < settings.least_frames or not p50 or not p95:
        return unchanged
    point = front.points[min(before.index, len(front.points) - 1)]
    if not pace and point.patch_budget is not None:
        # Frames of a stream without a word on what they computed: long ones may be due to a moving scene.
        return unchanged
    ratio = _clamped(pace or p50 / point.latency, LEAST_SLOWDOWN, MOST_SLOWDOWN)
    tail = _clamped(p95 / point.slow, LEAST_SLOWDOWN, MOST_TAIL * max(1.0, ratio))
    if before.slowdown is None or before.tail is None or before.calm is None:
        return Pace(ratio, tail, ratio)
    slowdown = _followed(before.slowdown, ratio, step, settings)
    tail = _followed(before.tail, tail, step, settings)
    calm = before.calm + (slowdown - before.calm) * min(1.0, step / settings.calm_memory)
    return Pace(slowdown, tail, min(calm, slowdown))


def _followed(average: float, value: float, step: float, settings: Settings) -> float:
    """Quickly up, slowly down: lateness is seen at once, its end is believed later."""
    seconds = settings.frame_alarm if value > average else settings.frame_smoothing
    return average + (value - average) * step / (seconds + step)


def _heat_ceiling(
    ceiling: float, used: float | None, heat: Heat, pace: Pace, step: float, settings: Settings
) -> tuple[float, Ceiling]:
    """The heat ceiling to remember, and the one that holds now. `used`: the present power, None at the start."""
    error = settings.heat_target - heat.going
    if used is None:
        share = (heat.going - settings.nominal_heat) / (1 - settings.nominal_heat)
        ceiling = _clamped(1 - share, settings.restart, 1.0)
    elif error >= 0:
        ceiling = min(1.0, ceiling + step * error * settings.rise)
    else:
        # What is not used cannot be saved: only a ceiling close above the present power can press it down.
        ceiling = max(0.0, min(ceiling, used + settings.slack) + step * error * settings.fall)
    # For the same work power falls with the square of the clock, so a device that throttled itself to a share of
    # its clock wants to spend that share squared.
    slow = min(1.0, (settings.slow_tolerance / max(1.0, pace.excess)) ** 2) if heat.measured else 1.0
    throttled = slow < ceiling
    ceiling = min(ceiling, slow)
    if heat.level is ThermalLevel.CRITICAL:
        return min(ceiling, settings.restart), Ceiling(0.0, "critical heat")
    if heat.serious:
        ceiling = min(ceiling, settings.serious_ceiling)
    elif heat.average is None and heat.level is not None and heat.level >= ThermalLevel.FAIR:
        ceiling = min(ceiling, settings.fair_ceiling)
    return ceiling, Ceiling(ceiling, "slow frames" if throttled else _heat_name(heat, settings))


def _heat_name(heat: Heat, settings: Settings) -> str:
    if heat.level is not None and heat.level >= ThermalLevel.FAIR:
        return f"{heat.level} heat"
    if heat.average is not None and heat.average < settings.heat_target < heat.going:
        return "rising heat"
    return "heat" if heat.going >= settings.heat_target else "recent heat"


def _battery_ceiling(state: DeviceState, settings: Settings) -> Ceiling:
    charge = finite(state.battery, 0, 1)
    if state.charging is True:
        return Ceiling(1.0, "battery")
    limit, cause = 1.0, "battery"
    if charge is not None and charge < settings.battery_full:
        above = max(0.0, charge - settings.battery_low) / (settings.battery_full - settings.battery_low)
        limit = settings.battery_ceiling + above * (1 - settings.battery_ceiling)
        cause = f"battery {100 * charge:.0f} %"
    if state.low_power is True and settings.low_power_ceiling < limit:
        limit, cause = settings.low_power_ceiling, "low-power mode"
    return Ceiling(limit, cause)


def _choose(
    current: int | None, settled: float, limit: float, late: float, front: Front, settings: Settings
) -> tuple[int, bool]:
    """The point's index, and whether the deadline forced it.

    Down at once, up after a while and with a margin. A new choice must be well in time, a kept one only in time.
    """
    if limit <= 0:
        return 0, False
    ladder = front.ladder(late / settings.climb_share)
    if current is None:
        return ladder.best(limit), False
    point, power = front.points[current], front.relative[current]
    overdue = point.slow * point.rate * late > settings.deadline_share
    if overdue or power > limit + ROUNDING:
        return ladder.best(limit), overdue and power <= limit + ROUNDING
    climb = limit / (1 + settings.climb_margin) if limit < 1 else 1.0
    index = ladder.best(max(power, climb) if settled >= settings.dwell else power)
    return (index if front.points[index].quality > point.quality else current), False


def _reason(current: int | None, index: int, cause: str, front: Front) -> str:
    point = front.points[index]
    if current is None:
        return f"start: {point}"
    old = front.points[current]
    if index == current:
        return f"nothing in the way of {point}" if index == len(front.points) - 1 else f"held by {cause}: {point}"
    # A better point that costs no more is no sacrifice, whatever else is going on.
    why = f"more allowed by {cause}" if point.quality > old.quality else cause
    return f"{why}: {_difference(old, point)}"


def _difference(old: OperatingPoint, new: OperatingPoint) -> str:
    """ "C 64 → 24, patches 96 → 48"."""
    parts = []
    if old.cores != new.cores:
        parts.append(f"C {old.cores} → {new.cores}")
    if old.image_size != new.image_size:
        parts.append(f"{old.image_size} → {new.image_size} px")
    if old.patch_budget != new.patch_budget:
        parts.append(f"patches {old.patch_budget or 'all'} → {new.patch_budget or 'all'}")
    if old.rate != new.rate:
        parts.append(f"{old.fps} → {new.fps} fps")
    return ", ".join(parts)


def _clamped(value: float, low: float, high: float) -> float:
    return min(high, max(low, value))
