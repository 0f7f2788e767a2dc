"""`veca-edge simulate`: the governor on a simulated device, or on a recording."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from veca_edge.calibration.simulation.baselines import BASELINES, POLICIES
from veca_edge.calibration.simulation.evaluate import Moment, Score, Tables, score, simulate
from veca_edge.calibration.simulation.scenarios import SCENARIOS, Scenario
from veca_edge.errors import VecaError
from veca_edge.files import check_target
from veca_edge.governor.settings import PRESETS
from veca_edge.plotting import check_picture

EPILOG = """\b
Examples:
  veca-edge simulate --scenario hot-day                  # against four simpler policies
  veca-edge simulate --scenario all --json
  veca-edge simulate --scenario charging --policy saver  # every decision, with its reason
  veca-edge simulate --scenario hot-day --scenario throttled-soc --plot runs.png
  veca-edge simulate --trace states.jsonl                # from `veca-edge sensors --record`
"""
ALL = "all"
LONGEST = 7 * 24 * 60  # minutes

Runs = dict[str, list[Moment]]


@click.command("simulate", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    type=click.Choice([*SCENARIOS, ALL]),
    help="What happens to the device; may be given several times. hot-day by default.",
)
@click.option(
    "--trace", type=click.Path(path_type=Path), metavar="FILE", help="Decide for recorded states instead."
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Choice(POLICIES),
    help="What decides; may be given several times. balanced and the simpler ones by default.",
)
@click.option("--minutes", type=click.FloatRange(0.1, LONGEST), help="Length, in place of the scenario's own.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of noise and jitter.")
@click.option(
    "--target-rate", type=click.FloatRange(1, 240), default=30, show_default=True, help="Frames per second."
)
@click.option("--table", type=click.Path(path_type=Path), metavar="FILE", help="Measured tables in place of ours.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the runs (.png, .svg, .pdf).")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(**given: Any) -> None:
    """Try the governor on a simulated device, or on a recording.

    A phone with a case that warms, a battery and a clock that falls when it is hot runs the model second by second;
    the governor sees what its sensors tell. The tables behind it were measured with the packaged model.
    """
    _check(given)
    from veca_edge.calibration.simulation.tables import read_tables

    tables = read_tables(given["table"], given["target_rate"])
    if given["trace"] is not None:
        _replay(given, tables)
        return
    _simulate(given, tables)


def _check(given: dict[str, Any]) -> None:
    """Refuse options that contradict each other, and outputs that cannot be written, before any work."""
    if given["trace"] is not None:
        for name in ("scenarios", "plot", "minutes"):
            if given[name]:
                raise VecaError(f"--trace goes without --{name.rstrip('s') if name == 'scenarios' else name}")
    if given["plot"] is not None:
        check_picture(given["plot"])


def _simulate(given: dict[str, Any], tables: Tables) -> None:
    names = list(dict.fromkeys(given["scenarios"])) or ["hot-day"]
    chosen = [SCENARIOS[name] for name in (SCENARIOS if ALL in names else names)]
    policies = list(dict.fromkeys(given["policies"])) or ["balanced", *BASELINES]
    runs: list[tuple[Scenario, Runs]] = []
    with ExitStack() as stack:
        advance = _progress(len(chosen) * len(policies), stack)
        for scenario in chosen:
            moments: Runs = {}
            for policy in policies:
                moments[policy] = simulate(scenario, policy, tables, given["minutes"], given["seed"])
                advance()
            runs.append((scenario, moments))
    if given["plot"] is not None:
        from veca_edge.calibration.simulation.plot import draw_runs

        draw_runs(check_target(given["plot"]), runs)
    scores = [score(scenario, name, run) for scenario, by_name in runs for name, run in by_name.items()]
    _print_scores(scores, runs, given["as_json"])


def _print_scores(scores: Sequence[Score], runs: Sequence[tuple[Scenario, Runs]], as_json: bool) -> None:
    from veca_edge.calibration.simulation.judge import judge

    own = next((name for name in PRESETS if any(score.policy == name for score in scores)), "balanced")
    verdicts = judge(scores, own) if len({score.policy for score in scores}) > 1 else []
    if as_json:
        facts = {"scores": [asdict(one) for one in scores], "verdicts": [asdict(one) for one in verdicts]}
        click.echo(json.dumps(facts, indent=1))
        return
    for scenario, by_name in runs:
        click.echo(f"{scenario.name}: {scenario.about}\n")
        click.echo("\n".join(table_lines([score for score in scores if score.scenario == scenario.name])))
        if len(by_name) == 1:
            click.echo("\n" + "\n".join(_decision_lines(next(iter(by_name.values())))))
        for verdict in verdicts:
            if verdict.scenario == scenario.name:
                click.echo(f"  {'yes' if verdict.kept else 'NO '}  {verdict.promise}: {verdict.detail}")
        click.echo("")


def table_lines(scores: Sequence[Score]) -> Iterator[str]:
    """Scores for a terminal."""
    yield (
        f"{'policy':<12}{'quality':>9}{'throttles':>11}{'too hot':>10}{'late':>9}{'mJ/frame':>10}"
        f"{'battery':>9}{'switches/min':>14}{'steady':>8}"
    )
    for row in scores:
        throttled = "never" if row.throttled_after is None else f"{row.throttled_after:.1f} min"
        hours = "-" if row.battery_hours is None else f"{row.battery_hours:.1f} h"
        yield (
            f"{row.policy:<12}{row.quality:>9.3f}{throttled:>11}{row.hot_minutes:>6.1f} min"
            f"{100 * row.misses:>7.1f} %{row.frame_energy:>10.0f}{hours:>9}{row.switches:>14.2f}"
            f"{row.steady_switches:>8.2f}"
        )
    yield ""


def _decision_lines(moments: Sequence[Moment]) -> Iterator[str]:
    """The first decision and every change after it."""
    last = None
    for moment in moments:
        if moment.point is not last:
            yield f"{moment.minute:7.2f} min  {moment.case:5.1f} °C  {moment.reason}"
        last = moment.point


def _replay(given: dict[str, Any], tables: Tables) -> None:
    from veca_edge.calibration.simulation.baselines import build_policy
    from veca_edge.calibration.simulation.replay import replay
    from veca_edge.governor.points import operating_points
    from veca_edge.governor.settings import BALANCED
    from veca_edge.sensors.trace import read_trace

    states = read_trace(given["trace"])
    points = operating_points(tables.quality, tables.latency, tables.target_rate)
    names = list(dict.fromkeys(given["policies"])) or ["balanced"]
    settings = BALANCED.at(tables.target_rate)
    replays = [replay(states, build_policy(name, points, settings)) for name in names]
    if given["as_json"]:
        click.echo(json.dumps([asdict(done) for done in replays], indent=1))
        return
    for done in replays:
        click.echo(
            f"{done.policy}: {len(states)} states, {done.seconds / 60:.1f} min, mean quality {done.quality:.3f}, "
            f"busy {100 * done.busy:.0f} % of the time, {len(done.changes) - 1} changes"
        )
        for change in done.changes:
            click.echo(f"{change.time / 60:7.2f} min  {change.reason}")


def _progress(total: int, stack: ExitStack) -> Callable[[], object]:
    """Advances a bar on stderr if someone is watching."""
    if not sys.stderr.isatty():
        return lambda: None
    bar = stack.enter_context(click.progressbar(length=total, label="simulating", file=sys.stderr))
    return lambda: bar.update(1)
