"""Whether the governor kept its promises in a scenario, compared with the simpler policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from veca_edge.calibration.simulation.evaluate import Score
from veca_edge.governor.points import WORTH

MOST_HOT = 0.01  # share of the time above the skin limit
MOST_LATE = 0.01  # share of results
MOST_SWITCHES = 2.0  # a minute, in steady state
# Differences in mean quality up to what the governor itself finds worth no switch are none.
EQUAL = WORTH
EQUAL_HOURS = 0.01


@dataclass(frozen=True)
class Verdict:
    """One promise in one scenario.

    Attributes:
        scenario: name.
        promise: in words.
        kept: whether it was.
        detail: the numbers.
    """

    scenario: str
    promise: str
    kept: bool
    detail: str


def check_promises(scores: Sequence[Score], governor: str = "balanced") -> list[Verdict]:
    """Verdicts for every scenario in which the governor ran.

    Args:
        scores: of one run per scenario and policy.
        governor: the policy that made the promises.
    """
    verdicts: list[Verdict] = []
    for own in (score for score in scores if score.policy == governor):
        others = [score for score in scores if score.scenario == own.scenario and score.policy != governor]
        best, detail = _best(own, others)
        unavoidable = bool(others) and all(score.hot_share > MOST_HOT for score in others)
        cool, late = own.hot_share <= MOST_HOT or unavoidable, own.misses <= MOST_LATE
        calm, hot = own.steady_switches <= MOST_SWITCHES, f"{100 * own.hot_share:.1f} % of the time"
        verdicts += [
            Verdict(own.scenario, "best of those within the limits", best, detail),
            Verdict(own.scenario, "not too hot where that is possible", cool, hot),
            Verdict(own.scenario, "in time", late, f"{100 * own.misses:.2f} % late"),
            Verdict(own.scenario, "calm in steady state", calm, f"{own.steady_switches:.2f} switches a minute"),
        ]
    return verdicts


def meets_limits(score: Score, governor: Score) -> bool:
    """Whether a policy kept the same limits of heat and punctuality, and its battery lasts as long."""
    cool, punctual = score.hot_share <= MOST_HOT, score.misses <= MOST_LATE
    return cool and punctual and _lasts(score, governor)


def _lasts(score: Score, governor: Score) -> bool:
    if governor.battery_hours is None or score.battery_hours is None:
        return True
    return score.battery_hours >= governor.battery_hours * (1 - EQUAL_HOURS)


def _best(own: Score, others: Sequence[Score]) -> tuple[bool, str]:
    """Whether no other policy that keeps the limits is better, and the numbers."""
    within = [score for score in others if meets_limits(score, own)]
    best = max(within, key=lambda score: score.quality, default=None)
    kept = meets_limits(own, own) and (best is None or best.quality <= own.quality + EQUAL)
    detail = "no other policy keeps the limits" if best is None else f"{best.policy} has {best.quality:.4f}"
    return kept, f"{own.quality:.4f}; {detail}"
