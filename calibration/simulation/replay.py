"""What a policy would have decided for recorded states. The device does not answer, and frames say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from veca_edge.calibration.simulation.baselines import Policy
from veca_edge.governor.decision import Decision
from veca_edge.governor.points import OperatingPoint
from veca_edge.governor.statistics import FrameStatistics
from veca_edge.sensors.state import DeviceState


@dataclass(frozen=True)
class Change:
    """A decision that changed the point.

    Attributes:
        time: seconds since the first state.
        point: from then on.
        reason: why.
    """

    time: float
    point: OperatingPoint
    reason: str


@dataclass(frozen=True)
class Replay:
    """A policy over a trace.

    Attributes:
        policy: its name.
        states: how many it decided for.
        seconds: length of the trace.
        quality: mean over time.
        busy: mean share of time that the processor would have been busy at full clock.
        changes: the first decision and every change after it.
    """

    policy: str
    states: int
    seconds: float
    quality: float
    busy: float
    changes: tuple[Change, ...]


def replay(states: Sequence[DeviceState], policy: Policy) -> Replay:
    """Decide for one state after another.

    Args:
        states: at least one, in order of time.
        policy: from `baselines.build_policy`.
    """
    start, changes, last = states[0].time, list[Change](), None
    quality = busy = 0.0
    for index, state in enumerate(states):
        decision: Decision = policy.decide(state, last, FrameStatistics())
        if last is None or decision.point != last.point:
            changes.append(Change(state.time - start, decision.point, decision.reason))
        last = decision
        # The last state counts for nothing unless it is the only one.
        until = states[index + 1].time if index + 1 < len(states) else state.time
        quality += decision.point.quality * (until - state.time)
        busy += decision.point.power * (until - state.time)
    seconds = states[-1].time - start
    if seconds <= 0:
        point = changes[-1].point
        return Replay(policy.name, len(states), 0.0, point.quality, point.power, tuple(changes))
    return Replay(policy.name, len(states), seconds, quality / seconds, busy / seconds, tuple(changes))
