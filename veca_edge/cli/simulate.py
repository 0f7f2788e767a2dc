"""`veca-edge simulate`: the governor on a simulated device, or on a recording."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from veca_edge.calibration.simulation.baselines import POLICIES
from veca_edge.calibration.simulation.evaluate import Moment, Score
from veca_edge.calibration.simulation.replay import Replay
from veca_edge.calibration.simulation.run import (
    ALL,
    DEFAULT_SCENARIO,
    ScenarioRuns,
    SimulateRequest,
    replay_trace,
    run_scenarios,
)
from veca_edge.calibration.simulation.scenarios import SCENARIOS
from veca_edge.cli.options import Number, RenamedOption, path_option
from veca_edge.cli.progress import say
from veca_edge.tables import Table, number

EPILOG = """\b
Examples:
  veca-edge simulate --scenario hot-day                  # against five simpler policies
  veca-edge simulate --scenario all --json
  veca-edge simulate --scenario charging --governor saver  # every decision, with its reason
  veca-edge simulate --scenario hot-day --scenario throttled-soc --plot runs.png
  veca-edge simulate --trace states.jsonl                # from `veca-edge sensors --record`
"""
LONGEST = 7 * 24 * 60  # minutes
COLUMNS = (
    *("policy", "quality", "top-1", "mIoU", "throttles", "too hot", "late", "mJ/frame", "battery", "good"),
    *("switches/min", "steady"),
)


@click.command("simulate", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    type=click.Choice([*SCENARIOS, ALL]),
    show_default=DEFAULT_SCENARIO,
    help="Choose what happens to the device. Can be given several times.",
)
@path_option(
    "--trace", is_input=True, help="Decide for the states in this recording of `veca-edge sensors` instead."
)
@click.option(
    "--governor",
    "policies",
    cls=RenamedOption,
    was="--policy",
    multiple=True,
    type=click.Choice(POLICIES),
    show_default="balanced and the simpler ones; balanced with --trace",
    help="Choose what decides. Can be given several times.",
)
@click.option(
    "--minutes",
    type=Number(0.1, LONGEST),
    show_default="the scenario's own",
    help="Simulate this many minutes.",
)
@click.option(
    "--seed",
    type=int,
    metavar="N",
    default=SimulateRequest.seed,
    show_default=True,
    help="Seed the random numbers: sensor noise, and frame times that vary.",
)
@click.option(
    "--target-fps",
    "target_rate",
    cls=RenamedOption,
    was="--target-rate",
    type=Number(1, 240),
    default=SimulateRequest.target_rate,
    show_default=True,
    help="Aim for this many results per second.",
)
@path_option(
    "--table",
    is_input=True,
    show_default="packaged with the simulation",
    help="Take quality and latency of the operating points from this JSON file.",
)
@path_option("--plot", help="Draw the runs (.png, .svg, .pdf).")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(as_json: bool, **given: Any) -> None:
    """Try the governor on a simulated device, or on a recording.

    A phone with a case that warms, a battery and a clock that falls when it is hot runs the model second by second;
    the governor reads its sensors.
    """
    request = SimulateRequest(**given)
    if request.trace is not None:
        replays = replay_trace(request)
        facts: Any = [asdict(done) for done in replays]
        lines = [line for done in replays for line in _replay_lines(done)]
    else:
        with _progress(len(request.chosen_scenarios) * len(request.chosen_policies)) as advance:
            runs = run_scenarios(request, advance)
        facts = {
            "scores": [one.to_dict() for run in runs for one in run.scores],
            "verdicts": [asdict(one) for run in runs for one in run.verdicts],
        }
        lines = [line for run in runs for line in _scenario_lines(run)]
    click.echo(json.dumps(facts, indent=1) if as_json else "\n".join(lines))
    if request.plot is not None:
        say(f"wrote {request.plot}")


def _scenario_lines(runs: ScenarioRuns) -> Iterator[str]:
    yield f"{runs.scenario.name}: {runs.scenario.about}"
    yield ""
    yield from Table(COLUMNS, tuple(map(_cells, runs.scores)), words=1).lines()
    yield ""
    if len(runs.moments) == 1:
        yield from _decision_lines(next(iter(runs.moments.values())))
    for verdict in runs.verdicts:
        yield f"  {'yes' if verdict.kept else 'NO '}  {verdict.promise}: {verdict.detail}"
    yield ""


def _cells(row: Score) -> tuple[str, ...]:
    return (
        row.policy,
        f"{row.quality:.3f}",
        *(number(None if value is None else 100 * value, ".1f", " %") for value in (row.accuracy, row.miou)),
        "never" if row.throttled_after is None else f"{row.throttled_after:.1f} min",
        f"{row.hot_minutes:.1f} min",
        f"{100 * row.misses:.1f} %",
        f"{row.frame_energy:.0f}",
        *(number(hours, ".1f", " h") for hours in (row.battery_hours, row.good_hours)),
        f"{row.switches:.2f}",
        f"{row.steady_switches:.2f}",
    )


def _decision_lines(moments: Sequence[Moment]) -> Iterator[str]:
    """The first decision and every change after it."""
    last = None
    for moment in moments:
        if moment.point is not last:
            yield f"{moment.minute:7.2f} min  {moment.case:5.1f} °C  {moment.reason}"
        last = moment.point


def _replay_lines(done: Replay) -> Iterator[str]:
    yield (
        f"{done.policy}: {done.states} states, {done.seconds / 60:.1f} min, mean quality {done.quality:.3f}, "
        f"busy {100 * done.busy:.0f} % of the time, {len(done.changes) - 1} changes"
    )
    for change in done.changes:
        yield f"{change.time / 60:7.2f} min  {change.reason}"


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], object]]:
    """Advances a bar on stderr if someone is watching."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=total, label="simulating", file=sys.stderr) as bar:
        yield lambda: bar.update(1)
