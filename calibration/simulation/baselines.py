"""What runs in the loop: the governor, and the simpler things that apps do instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from veca_edge.errors import VecaError
from veca_edge.governor.decision import Decision, Memory
from veca_edge.governor.points import Front, OperatingPoint
from veca_edge.governor.policy import decide
from veca_edge.governor.settings import PRESETS, Settings, preset
from veca_edge.governor.statistics import FrameStatistics
from veca_edge.sensors.state import DeviceState, ThermalLevel

BASELINES = ("fixed-64", "fixed-8", "cores-only", "resolution-only", "thermal-level")
POLICIES = (*PRESETS, *BASELINES)
LOW_CHARGE = 0.2  # where phones themselves first warn

Decide = Callable[[DeviceState, Decision | None, FrameStatistics], Decision]


@dataclass(frozen=True)
class Policy:
    """Something that decides.

    Attributes:
        name: as on the command line.
        decide: state, previous decision, frames since then -> decision.
    """

    name: str
    decide: Decide


def build_policy(name: str, points: list[OperatingPoint], settings: Settings) -> Policy:
    """A policy by name.

    Args:
        name: one of `POLICIES`.
        points: all that the device offers.
        settings: of the baselines that need some; the target rate for all.

    Raises:
        VecaError: no such policy, or no points of the kind it needs.
    """
    if name in PRESETS:
        return Policy(name, _governed(Front.of(points), preset(name).at(settings.target_rate)))
    if name in ("fixed-64", "fixed-8"):
        plain = _plain(points, settings)
        return Policy(name, _fixed(plain[-1] if name == "fixed-64" else plain[0]))
    if name == "cores-only":
        return Policy(name, _governed(Front.of(_plain(points, settings), 0, 0), settings))
    if name == "resolution-only":
        return Policy(name, _governed(Front.of(_sizes(points, settings), 0, 0), settings))
    if name == "thermal-level":
        return Policy(name, _by_thermal_level(Front.of(points)))
    raise VecaError(f"{name!r} is no policy: use one of {', '.join(POLICIES)}")


def _plain(points: list[OperatingPoint], settings: Settings) -> list[OperatingPoint]:
    """Every patch of every frame at full size and rate, by ascending cores: what an SDK without the dials does."""
    size = max(point.image_size for point in points)
    full = [point for point in points if point.image_size == size and point.rate == settings.target_rate]
    if not full:
        raise VecaError("the tables have no point at the largest size and full rate: the baselines need some")
    most = max(map(_budget, full))
    return sorted((point for point in full if _budget(point) == most), key=lambda point: point.cores)


def _sizes(points: list[OperatingPoint], settings: Settings) -> list[OperatingPoint]:
    """All cores on every patch of every frame, at each image size: what an app does with an ordinary model."""
    most = max(point.cores for point in points)
    full = [point for point in points if point.cores == most and point.rate == settings.target_rate]
    sizes = {point.image_size for point in full}
    return [max((p for p in full if p.image_size == size), key=_budget) for size in sizes]


def _budget(point: OperatingPoint) -> float:
    return math.inf if point.patch_budget is None else point.patch_budget


def _governed(front: Front, settings: Settings) -> Decide:
    return lambda state, previous, frames: decide(state, previous, frames, front, settings)


def _fixed(point: OperatingPoint) -> Decide:
    return lambda state, previous, frames: Decision(point, "fixed", False, Memory())


def _by_thermal_level(front: Front) -> Decide:
    """A fixed point per thermal level, a cheaper one on a low battery: no memory at all."""
    shares = zip(ThermalLevel, (1.0, 0.6, 0.3, 0.0), strict=True)
    points = {level: front.points[front.ladders[0].best(share)] for level, share in shares}

    def decide_now(state: DeviceState, previous: Decision | None, frames: FrameStatistics) -> Decision:
        level = state.thermal or ThermalLevel.NOMINAL
        low = state.battery is not None and state.battery < LOW_CHARGE and not state.charging
        if low or state.low_power:
            level = max(level, ThermalLevel.FAIR)
        return Decision(points[level], f"{level}", level is ThermalLevel.CRITICAL, Memory())

    return decide_now
