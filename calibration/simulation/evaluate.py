"""Closes the loop between policy and device, second by second, and counts what a user would notice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from veca_edge.calibration.simulation.baselines import Policy, build_policy
from veca_edge.calibration.simulation.device import Body, Load, Surroundings, step
from veca_edge.calibration.simulation.scenarios import Scenario
from veca_edge.calibration.simulation.sensors import Reader
from veca_edge.governor.decision import Decision
from veca_edge.governor.points import OperatingPoint, operating_points, smoothness
from veca_edge.governor.quality import LatencyTable, QualityTable, RunConfiguration
from veca_edge.governor.settings import BALANCED, Settings
from veca_edge.governor.statistics import FrameStatistics

SECOND = 1.0
# An app takes the largest model that its phone can run: the best point keeps the processor busy for this share, and
# the keyframes of its streams, a sixth longer, still leave a frame's last tenth to camera and display.
HEAVY = 0.7
JITTER = 0.06  # standard deviation of a frame's log latency
SLOW_SHARE = 0.07  # frames that are keyframes; the table's 95th percentile is their latency
STOPPED_CLOCK = 0.995  # below this share of the clock the device counts as throttling


@dataclass(frozen=True)
class Tables:
    """What is known about the model: quality, and latency on the simulated device."""

    quality: QualityTable
    latency: LatencyTable
    target_rate: float = BALANCED.target_rate

    @classmethod
    def of(cls, quality: QualityTable, measured: LatencyTable, target_rate: float = BALANCED.target_rate) -> Tables:
        """Tables for a phone on which the best point takes `HEAVY` of a frame's time."""
        best = max(operating_points(quality, measured, target_rate), key=lambda point: (point.quality, point.cores))
        return cls(quality, measured.scaled(HEAVY / best.power), target_rate)

    @property
    def tasks(self) -> dict[RunConfiguration, tuple[float | None, float | None]]:
        """Accuracy and mean IoU of each run configuration against right answers, as far as they are known.

        Photos have right answers, clips have none. So what a patch budget costs is taken from how far its
        results stay with the best configuration: its fidelity over that of the same cores and size on whole frames.
        """
        whole = {row.configuration[:2]: row for row in self.quality.rows if row.accuracy is not None or row.miou}
        found = {}
        for row in self.quality.rows:
            known = whole.get(row.configuration[:2], row)
            share = min(1.0, row.fidelity / known.fidelity) if known.fidelity else 0.0
            found[row.configuration] = (_times(known.accuracy, share), _times(known.miou, share))
        return found


@dataclass(frozen=True)
class Moment:
    """One second of a run.

    Attributes:
        minute: since the start.
        point: how the model ran.
        reason: why.
        case, clock, charge, power: of the device: degrees, share, 0..1, watts.
        quality: of what the user saw, 0..1.
        accuracy, miou: of labels and masks that the user saw, against right ones, 0..1; None where the table has
            none. See `Tables.tasks`.
        rate: results per second.
        misses: of them, late ones.
        work: watts for the model.
    """

    minute: float
    point: OperatingPoint
    reason: str
    case: float
    clock: float
    charge: float
    power: float
    quality: float
    rate: float
    misses: float
    work: float
    accuracy: float | None = None
    miou: float | None = None


@dataclass(frozen=True)
class Score:
    """A run in numbers.

    Attributes:
        scenario, policy: names.
        quality: mean, 0..1.
        accuracy, miou: mean, 0..1; None where the table has none.
        throttled_after: minutes until the platform lowered the clock, None if it never did.
        hot_minutes: above the skin limit.
        hot_share: of the time.
        misses: share of results that came after their frame's time.
        frame_energy: millijoules of the processor for the model, per result.
        battery_hours: from full to empty at the mean power of this run; None on mains or a charger.
        good_hours: of them, weighted with quality: what a user gets of one charge.
        switches: per minute, over the whole run.
        steady_switches: per minute, over its second half.
    """

    scenario: str
    policy: str
    quality: float
    throttled_after: float | None
    hot_minutes: float
    hot_share: float
    misses: float
    frame_energy: float
    battery_hours: float | None
    switches: float
    steady_switches: float
    accuracy: float | None = None
    miou: float | None = None

    @property
    def good_hours(self) -> float | None:
        return None if self.battery_hours is None else self.quality * self.battery_hours

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "good_hours": self.good_hours}


def simulate(
    scenario: Scenario,
    policy_name: str,
    tables: Tables,
    minutes: float | None = None,
    seed: int = 0,
    settings: Settings = BALANCED,
) -> list[Moment]:
    """Run a policy in a scenario.

    Args:
        scenario: from `scenarios`.
        policy_name: from `baselines.POLICIES`.
        tables: the model on the device.
        minutes: in place of the scenario's.
        seed: of the random numbers: sensor noise, and frame times that vary.
        settings: for the baselines that use some.
    """
    known = tables.latency.scaled(scenario.profile_error)
    points = operating_points(tables.quality, known, tables.target_rate)
    policy = build_policy(policy_name, points, settings.at(tables.target_rate))
    run = _Run(scenario, policy, tables, Random(seed))
    seconds = round(60 * (scenario.minutes if minutes is None else minutes))
    return [run.second(index * SECOND) for index in range(seconds)]


class _Run:
    """The loop."""

    def __init__(self, scenario: Scenario, policy: Policy, tables: Tables, random: Random) -> None:
        self._scenario, self._policy, self._tables, self._random = scenario, policy, tables, random
        self._reader = Reader(scenario.sensors, random)
        self._body = Body.at(scenario.start, scenario.charge)
        self._frames = FrameStatistics()
        self._last: Decision | None = None
        self._worth: dict[int, float] = {}
        # The governor may think otherwise of a point's latency; the device goes by the true one.
        true = operating_points(tables.quality, tables.latency, tables.target_rate)
        self._true = {_key(point): point for point in true}
        self._fidelity = {row.configuration: row.fidelity for row in tables.quality.rows}
        self._tasks = tables.tasks

    def second(self, time: float) -> Moment:
        around = self._scenario.around(time / 60)
        state = self._reader.read(time, self._body, around.charging, around.low_power)
        decision = self._policy.decide(state, self._last, self._frames)
        self._last = decision
        return self._pass(time, self._true[_key(decision.point)], decision.reason, around)

    def _pass(self, time: float, point: OperatingPoint, reason: str, around: Surroundings) -> Moment:
        clock = self._body.clock
        mean = point.power / point.rate / clock
        rate = min(point.rate, 1 / mean)
        usual, slow = (seconds / clock * self._jitter(rate) for seconds in (point.latency, point.slow))
        misses = rate * _late_share(usual, slow, point.rate)
        pace = self._jitter(rate) / clock / self._scenario.profile_error
        self._frames = FrameStatistics(max(1, round(rate)), usual, max(usual, slow), round(misses), pace)
        busy = mean * clock * rate
        self._body = body = step(self._body, Load(busy, rate, around), self._scenario.hardware, SECOND)
        fresh = self._freshness(rate)
        share = min(1.0, rate / self._tables.target_rate)
        quality = self._fidelity[point.configuration] * fresh * smoothness(share)
        task = (_times(known, fresh) for known in self._tasks[point.configuration])
        device = (body.case, clock, body.charge, body.power)
        return Moment(time / 60, point, reason, *device, quality, rate, misses, body.work, *task)

    def _jitter(self, rate: float) -> float:
        return math.exp(self._random.gauss(0, JITTER) / math.sqrt(max(1.0, rate)))

    def _freshness(self, rate: float) -> float:
        """As in `operating_points`, for any rate; to a tenth of a frame per second."""
        tenths = max(1, round(10 * min(rate, self._tables.target_rate)))
        if tenths not in self._worth:
            fresh = self._tables.quality.freshness
            self._worth[tenths] = fresh.at(tenths / 10) / fresh.at(self._tables.target_rate)
        return self._worth[tenths]


def _times(value: float | None, share: float) -> float | None:
    return None if value is None else value * share


def _mean(values: Iterable[float | None]) -> float | None:
    """Their mean; None where one of them is not known."""
    given = list(values)
    known = [value for value in given if value is not None]
    return sum(known) / len(known) if known and len(known) == len(given) else None


def _key(point: OperatingPoint) -> tuple[int, int, int | None, float]:
    return point.cores, point.image_size, point.patch_budget, point.rate


def _late_share(usual: float, slow: float, rate: float) -> float:
    """Share of frames that take longer than 1 / rate: usual ones and keyframes, each with jitter."""
    return sum(
        share * 0.5 * math.erfc(-math.log(seconds * rate) / JITTER / math.sqrt(2))
        for share, seconds in ((1 - SLOW_SHARE, usual), (SLOW_SHARE, slow))
    )


def score(scenario: Scenario, policy: str, moments: list[Moment]) -> Score:
    """A run in numbers."""
    minutes = len(moments) * SECOND / 60
    results = sum(moment.rate for moment in moments) or 1.0
    hot = sum(moment.case > scenario.skin_limit for moment in moments) / 60
    throttled = next((moment.minute for moment in moments if moment.clock < STOPPED_CLOCK), None)
    power = sum(moment.power for moment in moments) / len(moments)
    on_battery = scenario.hardware.battery > 0 and not scenario.around(scenario.minutes - 1).charging
    half = moments[len(moments) // 2 :]
    return Score(
        scenario=scenario.name,
        policy=policy,
        quality=sum(moment.quality for moment in moments) / len(moments),
        throttled_after=throttled,
        hot_minutes=hot,
        hot_share=hot / minutes,
        misses=sum(moment.misses for moment in moments) / results,
        frame_energy=1000 * sum(moment.work for moment in moments) / results,
        battery_hours=scenario.hardware.battery / power if on_battery else None,
        switches=_switches(moments) / minutes,
        steady_switches=_switches(half) / (len(half) * SECOND / 60),
        accuracy=_mean(moment.accuracy for moment in moments),
        miou=_mean(moment.miou for moment in moments),
    )


def _switches(moments: list[Moment]) -> int:
    return sum(a.point is not b.point for a, b in itertools.pairwise(moments))
