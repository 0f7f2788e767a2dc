"""Policies in scenarios, or over a recording, as one request asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from veca_edge.calibration.simulation.baselines import BASELINES, build_policy
from veca_edge.calibration.simulation.evaluate import Moment, Score, score, simulate
from veca_edge.calibration.simulation.promises import Verdict, check_promises
from veca_edge.calibration.simulation.replay import Replay, replay
from veca_edge.calibration.simulation.scenarios import SCENARIOS, Scenario
from veca_edge.calibration.simulation.tables import read_tables
from veca_edge.errors import VecaError
from veca_edge.governor.points import operating_points
from veca_edge.governor.settings import BALANCED, PRESETS
from veca_edge.plotting import check_picture
from veca_edge.sensors.trace import read_trace

ALL = "all"
DEFAULT_SCENARIO = next(iter(SCENARIOS))


@dataclass(frozen=True)
class SimulateRequest:
    """What to simulate.

    Attributes:
        scenarios: names of `SCENARIOS`, or "all"; () for the first of them.
        trace: a recording of states to decide for instead.
        policies: names of `baselines.POLICIES`; () for balanced, and in scenarios also the baselines.
        minutes: in place of the scenarios' own.
        seed: of the random numbers.
        target_rate: results per second that the policies aim for.
        table: a file of measured tables; None for the packaged ones.
        plot: where a picture of the runs goes.

    Raises:
        VecaError: options that contradict each other.
    """

    scenarios: tuple[str, ...] = ()
    trace: Path | None = None
    policies: tuple[str, ...] = ()
    minutes: float | None = None
    seed: int = 0
    target_rate: float = BALANCED.target_rate
    table: Path | None = None
    plot: Path | None = None

    def __post_init__(self) -> None:
        idle = {"--scenario": self.scenarios, "--plot": self.plot, "--minutes": self.minutes, "--seed": self.seed}
        for option, value in idle.items():
            if self.trace is not None and value:
                raise VecaError(f"{option} has no effect with --trace: leave it out")

    @property
    def chosen_scenarios(self) -> list[Scenario]:
        names = dict.fromkeys(self.scenarios) or [DEFAULT_SCENARIO]
        return [SCENARIOS[name] for name in (SCENARIOS if ALL in names else names)]

    @property
    def chosen_policies(self) -> list[str]:
        default = ["balanced"] if self.trace is not None else ["balanced", *BASELINES]
        return list(dict.fromkeys(self.policies)) or default


@dataclass(frozen=True)
class ScenarioRuns:
    """Every policy in one scenario.

    Attributes:
        scenario: what happened.
        moments: of each policy, second by second.
        scores: of each policy, in the same order.
        verdicts: whether the governor kept its promises; () if it had nothing to be compared with.
    """

    scenario: Scenario
    moments: Mapping[str, Sequence[Moment]]
    scores: tuple[Score, ...]
    verdicts: tuple[Verdict, ...]


def run_scenarios(request: SimulateRequest, advance: Callable[[], object] = lambda: None) -> list[ScenarioRuns]:
    """Run every policy in every scenario, and draw the runs if that is asked for.

    Args:
        advance: called after each run.

    Raises:
        VecaError: the tables cannot be read, or the picture not be written.
    """
    plot = None if request.plot is None else check_picture(request.plot)
    tables, found = read_tables(request.table, request.target_rate), list[ScenarioRuns]()
    for scenario in request.chosen_scenarios:
        moments: dict[str, list[Moment]] = {}
        for policy in request.chosen_policies:
            moments[policy] = simulate(scenario, policy, tables, request.minutes, request.seed)
            advance()
        scores = tuple(score(scenario, policy, run) for policy, run in moments.items())
        governor = next((name for name in PRESETS if name in moments), "balanced")
        verdicts = tuple(check_promises(scores, governor)) if len(scores) > 1 else ()
        found.append(ScenarioRuns(scenario, moments, scores, verdicts))
    if plot is not None:
        from veca_edge.calibration.simulation.plot import draw_runs

        draw_runs(plot, [(one.scenario, one.moments) for one in found])
    return found


def replay_trace(request: SimulateRequest) -> list[Replay]:
    """Let every policy decide for recorded states.

    Raises:
        VecaError: the tables or the recording cannot be read.
    """
    assert request.trace is not None
    tables, states = read_tables(request.table, request.target_rate), read_trace(request.trace)
    points = operating_points(tables.quality, tables.latency, tables.target_rate)
    settings = BALANCED.at(tables.target_rate)
    return [replay(states, build_policy(name, points, settings)) for name in request.chosen_policies]
