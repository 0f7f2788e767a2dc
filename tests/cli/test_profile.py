"""`veca-edge profile` with the packaged model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fakes import FakeModel
from veca_edge.cli.main import main
from veca_edge.model.checkpoint import default_checkpoint_path
from veca_edge.runtime.threads import default_threads


def _profile(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["profile", *map(str, arguments)])


def test_it_measures_once_and_prints_a_table(default_model_file: Path) -> None:
    first = _profile(default_model_file, "--again")
    assert first.exit_code == 0, first.output
    assert "measuring" in first.stderr
    lines = first.stdout.splitlines()
    assert lines[0].startswith("everyday on ")
    assert lines[2].split("  ")[1:4] == ["size", "cores", "patch budget"]
    rows = [line.split() for line in lines[3:] if line.startswith("  ")]
    assert len(rows) == 44
    best, cheap = rows[0], next(row for row in rows if row[:3] == ["128", "8", "16"])
    assert best[:3] == ["256", "64", "256"]
    assert all(float(row[3]) > 0 for row in rows)  # which is faster is a busy machine's business
    assert float(cheap[6]) < float(best[6])
    assert lines[-1].startswith("44 run configurations, measured in ")
    again = _profile(default_model_file)
    assert "measuring" not in again.stderr
    assert [line.split() for line in again.stdout.splitlines()[3:] if line.startswith("  ")] == rows
    assert "remembered from an earlier measurement" in again.stdout


def test_json_says_what_it_holds_for(default_model_file: Path) -> None:
    facts = json.loads(_profile(default_model_file, "--json").stdout)
    assert facts["device"]["threads"] == default_threads()
    assert "executorch" in facts["device"]["runtime"]
    assert facts["seconds"] > 0
    assert facts["trusted"] == (facts["other_work"] is None or facts["other_work"] < 0.25)
    assert {"cores", "image_size", "patch_budget", "p50", "p95", "mean", "fidelity"} <= set(facts["rows"][0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.pte",), "missing.pte: no such file"),
        ((default_checkpoint_path(),), "only .pte files can be profiled"),
        (("--threads", 0), "0 is not in the range"),
    ],
)
def test_errors_are_one_line_with_status_2(arguments: tuple[object, ...], message: str) -> None:
    done = _profile(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_it_recommends_a_point_for_a_frame_rate(default_model_file: Path) -> None:
    done = _profile(default_model_file, "--target-fps", "2")
    assert done.exit_code == 0, done.stderr
    assert re.search(r"^for 2 fps: \d+ cores, \d+ px, at most \d+ patches: ", done.stdout, re.MULTILINE)
    chosen = re.search(
        r"^next: (veca-edge run .* --cores \d+ --image-size \d+ .*--target-fps 2)$", done.stderr, re.MULTILINE
    )
    assert chosen is not None
    facts = json.loads(_profile(default_model_file, "--target-fps", "2", "--json").stdout)
    assert f"--cores {facts['recommendation']['point']['cores']} " in chosen[1]


def test_energy_is_shown_where_a_counter_tells_it() -> None:
    from veca_edge.cli.profile import Profiled, _advice, _lines
    from veca_edge.governor.points import OperatingPoint
    from veca_edge.governor.quality import LatencyRow, LatencyTable
    from veca_edge.governor.recommendation import Recommendation
    from veca_edge.runtime.profile import Profile, this_device

    row = LatencyRow(8, 128, None, 0.002, 0.003, 0.002, 64, 0.002, joules=0.0123)
    profile = Profile(LatencyTable((row,)), this_device(1), 1, 1.0, None)
    lines = list(_lines(Profiled("everyday", "", profile, ((row, 0.9),))))
    assert lines[2].split("  ")[-2:] == ["mJ/frame", "fidelity"]
    assert lines[3].split()[-2:] == ["12.3", "0.900"]
    point = OperatingPoint(8, 128, None, 10.0, 0.9, 0.002, 0.003, 0.123)
    (line,) = _advice(Recommendation(point, (), None), 10.0, watts=True)
    assert "ms 95th percentile, 0.12 W, quality" in line


def test_numbers_of_threads_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    from veca_edge.cli import profile, thread_table
    from veca_edge.governor.quality import LatencyRow, LatencyTable
    from veca_edge.runtime.profile import Profile, this_device

    opened, shown = list[int](), list[float]()

    class Model(FakeModel):
        digest = ""

        def __enter__(self) -> Model:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def measure(model: Model, again: bool, advance: Callable[[float], None]) -> Profile:
        threads, rows = opened[-1], list[LatencyRow]()
        for size in (64, 256):
            time = 0.002 if size == 64 else 0.02 / threads
            rows.append(LatencyRow(8, size, None, time, time, time, 16, time, joules=0.01 * threads))
        advance(1.0)
        return Profile(LatencyTable(tuple(rows)), this_device(threads), 2, 1.0, 0.0 if again else 1.0)

    def opens(request: profile.ProfileRequest) -> Model:
        opened.append(request.threads or 0)
        return Model()

    monkeypatch.setattr(profile, "_open", opens)
    monkeypatch.setattr(profile, "Stages", lambda: lambda _, done: shown.append(done))
    monkeypatch.setattr(thread_table, "profile_device", measure)
    monkeypatch.setattr(thread_table, "default_threads", lambda: 4)
    done = _profile("--compare-threads", "--again")
    assert done.exit_code == 0, done.output
    assert opened == [1, 2, 4]
    assert shown == pytest.approx([1 / 3, 2 / 3, 1])
    assert done.stdout.splitlines()[-2:] == [
        "256 px: fastest with 4 threads, least energy with 1",
        "64 px: fastest with 1 thread, least energy with 1",
    ]
    assert done.stderr.splitlines()[-1] == "next: veca-edge run --threads 1"
    facts = json.loads(_profile("--compare-threads", "--json").stdout)
    assert (facts["fastest"], facts["least_energy"]) == ({"256": 4, "64": 1}, {"256": 1, "64": 1})
    assert (facts["trusted"], len(facts["rows"])) == (False, 6)


def test_a_comparison_chooses_the_threads_itself() -> None:
    done = _profile("--compare-threads", "--threads", 2)
    assert done.exit_code == 2
    assert "--compare-threads goes without --threads and --target-fps" in done.stderr


def test_a_rate_that_no_point_keeps(default_model_file: Path) -> None:
    from veca_edge.cli.profile import _advice
    from veca_edge.governor.points import OperatingPoint
    from veca_edge.governor.recommendation import Recommendation

    fastest = OperatingPoint(8, 128, None, 60.0, 0.9, 0.1, 0.2, 6.0)
    lines = list(_advice(Recommendation(None, (), fastest), 60.0))
    assert lines[0] == "no operating point keeps 60 fps here; the fastest:"
    assert lines[1].endswith("(too slow for this rate)")


def test_a_file_without_a_quality_table_says_what_to_do(golden_model_file: Path) -> None:
    done = _profile(golden_model_file)
    assert done.exit_code == 2
    message = "published-96 has no quality table: convert the checkpoint again with `veca-edge convert`"
    assert done.stderr.splitlines()[-1] == f"veca-edge: {message}"
