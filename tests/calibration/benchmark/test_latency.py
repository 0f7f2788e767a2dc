"""Latency: its growth, what a change of cores costs, and a whole benchmark beside baselines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.calibration.benchmark.small_models import write_tiny
from tests.fakes import Clock
from tests.known import known
from veca_edge.calibration.benchmark.latency import Benchmark, Switch, growth, measure, time_switches
from veca_edge.calibration.benchmark.latency_report import describe_latency
from veca_edge.calibration.benchmark.request import BenchRequest
from veca_edge.calibration.benchmark.target import prepare
from veca_edge.runtime import measuring
from veca_edge.runtime.machine import read_machine


@pytest.mark.parametrize(("power", "constant"), [(1, 0.5), (2, 3.0)])
def test_growth_finds_the_exponent_in_any_order(power: int, constant: float) -> None:
    patches = [1024, 256, 4096]
    found = growth(8, patches, [constant * n**power for n in patches])
    assert (found.cores, found.overall, found.steepest) == pytest.approx((8, power, power))


def test_growth_reports_the_steepest_step() -> None:
    found = growth(64, [1, 2, 4], [1.0, 1.0, 4.0])
    assert (found.overall, found.steepest) == pytest.approx((1, 2))


def test_a_switch_is_the_extra_time_of_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, last = Clock(0.0), [0]
    monkeypatch.setattr(measuring, "perf_counter", clock)

    def encode(cores: int) -> None:
        clock.now += cores + (0.25 * cores if last[0] != cores else 0)
        last[0] = cores

    assert time_switches(encode, (8, 64), rounds=3) == (Switch(8, 2000.0), Switch(64, 16000.0))
    assert time_switches(encode, (8,), rounds=3) == ()


def check_comparisons(result: Benchmark, said: list[str]) -> None:
    """Eager PyTorch at every configuration, the dense model once per size, ours in front."""
    found = [(c.runtime, c.precision, c.cores, c.image_size) for c in result.comparisons]
    ours, eager, quantized = ("veca-edge", "int8"), ("torch", "fp32"), ("torch", "int8")
    few, most = (ours, eager, quantized), (ours, eager, quantized, ("dense", "int8"))
    assert found == [
        (*one, cores, size) for size in (32, 64) for cores, these in ((8, few), (16, most)) for one in these
    ]
    for one in result.comparisons:
        assert one.ratio > 0
        if one.runtime == "dense":
            assert (one.embedding_cosine, one.feature_cosine) == (None, None)
        else:
            least = 1 - 1e-9 if one.precision == "fp32" else 0.95
            assert min(known(one.embedding_cosine), known(one.feature_cosine)) > least
    assert set(result.baselines) == {"torch fp32", "torch int8", "dense int8"}
    assert "preparing torch int8 for 16 cores at 32 px" in said
    assert "preparing dense int8 for 32 px" in said


def test_measures_a_checkpoint_against_torch_and_a_dense_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The trial of foreign files takes a process more, and is tested with the runtime.
    monkeypatch.setattr("veca_edge.runtime.trust.ensure_harmless", lambda file: None)
    monkeypatch.setenv("VECA_EDGE_CACHE", str(tmp_path / "cache"))
    said: list[str] = []
    done: list[float] = []
    request = BenchRequest(
        write_tiny(tmp_path), image_size=(64, 32), against=("torch", "dense"), rounds=3, threads=1
    )
    found = prepare(request, tmp_path, said.append)
    assert said == ["converting custom (tiny.pt) to int8"]
    assert set(found.digests) == {"program", "checkpoint", "pictures"}
    result = measure(found, request, read_machine(), done.append, said.append)
    assert done == pytest.approx([step / 7 for step in range(1, 8)])  # rounds, changes of cores, start-up
    assert [(row.image_size, row.cores, row.patches) for row in result.rows] == [
        (32, 8, 4),
        (32, 16, 4),
        (64, 8, 16),
        (64, 16, 16),
    ]
    for value in (timing for row in result.rows for timing in (row.encode, row.call)):
        assert 0 < value.minimum <= value.p50 <= value.p95 <= value.p99
    assert [(g.cores, g.overall == g.steepest) for g in result.growth] == [(8, True), (16, True)]
    assert [s.cores for s in result.switches] == [8, 16]
    assert [(s.image_size, s.fewest, s.most) for s in result.savings] == [(32, 8, 16), (64, 8, 16)]
    check_comparisons(result, said)
    assert (result.threads, result.random_weights) == (1, False)
    assert result.file_bytes > result.weight_bytes > 0
    assert [m.after for m in result.startup.memory] == ["load", "32 px", "64 px"]
    assert result.startup.load_ms > 0 < result.startup.first_call_ms
    assert not [w for w in describe_latency(result).warnings if "differ" in w]
