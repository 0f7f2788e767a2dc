from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.known import known
from veca_edge.calibration.benchmark import latency as benchmark
from veca_edge.calibration.benchmark import memory, turns
from veca_edge.calibration.benchmark import target as subject
from veca_edge.calibration.benchmark.against.comparison import Comparison
from veca_edge.calibration.benchmark.latency import Against, Benchmark, Row, Saving, Switch
from veca_edge.calibration.benchmark.machine import Machine, read_machine
from veca_edge.calibration.benchmark.memory import Memory, Resident, Startup, resident, summarize
from veca_edge.calibration.benchmark.report import (
    Table,
    describe,
    markdown_table,
    method,
    text_table,
    warnings,
)
from veca_edge.calibration.benchmark.target import Request, choose_cores, noise, prepare
from veca_edge.calibration.benchmark.timings import (
    Growth,
    Latency,
    cosine,
    growth,
    latency,
    median_extra_ms,
    median_ratio,
)
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint, default_preprocessing, write_checkpoint
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import random_veca

BUDGETS = (8, 16, 24, 32)


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(turns, "perf_counter", fake)
    return fake


def some_latency(p50: float, minimum: float | None = None) -> Latency:
    fastest = p50 / 1000 if minimum is None else minimum / 1000
    return replace(latency([p50 / 1000]), minimum=fastest * 1000)


def a_benchmark(**changes: Any) -> Benchmark:
    rows = tuple(
        Row(cores, size, (size // 16) ** 2, some_latency(ms), some_latency(ms + 1))
        for size, cores, ms in ((256, 8, 25.0), (256, 64, 32.0), (512, 8, 98.5), (512, 64, 110.0))
    )
    comparisons = (
        Comparison("veca-edge", "int8", 64, 256, some_latency(32.0), 1.0, 0.9987, 0.9999),
        Comparison("torch", "fp32", 64, 256, some_latency(99.5), 0.322, 1.0, 1.0),
        Comparison("dense", "int8", 64, 256, some_latency(42.0), 0.762, None, None),
    )
    steps = (Memory("load", 2_600_000, 2_200_000, 0.118), Memory("256 px", 37_500_000, 34_500_000, 1.697))
    whole = Benchmark(
        name="VECA small, random weights",
        family="small",
        quantization="int8",
        random_weights=True,
        file_bytes=23_700_000,
        weight_bytes=22_100_000,
        max_patches=1024,
        machine=Machine("A processor", 2, "Linux 6 x86_64", {"python": "3.11", "veca-edge": "0.1.0"}, 0.1),
        threads=2,
        rounds=30,
        picture="a frame",
        rows=rows,
        savings=(Saving(256, 8, 64, 0.781), Saving(512, 8, 64, 0.895)),
        growth=(Growth(8, 0.99, 0.99), Growth(64, 0.89, 0.89)),
        switches=(Switch(8, 0.4), Switch(64, 1.3)),
        comparisons=comparisons,
        rivals={"torch fp32": "eager PyTorch", "dense int8": "a dense ViT"},
        notes=(),
        startup=Startup(3, 33.3, 177.0, 370_000_000, steps, 61_100_000, "VmRSS of /proc"),
        power=None,
        seed=0,
        digests={"program": "0123456789abcdef" * 4},
        other_work=0.02,
    )
    return replace(whole, **changes)


# -- statistics


def test_latency_is_in_milliseconds() -> None:
    found = latency([ms / 1000 for ms in range(1, 101)])
    assert (found.p50, found.p95, found.p99) == pytest.approx((50.5, 95.05, 99.01))
    assert (found.minimum, found.per_second) == pytest.approx((1.0, 1000 / 50.5))


def test_ratio_within_rounds_cancels_what_disturbs_both() -> None:
    ours = [1.0, 8.0, 1.1, 9.0, 0.9]
    assert median_ratio([2 * seconds for seconds in ours], ours) == pytest.approx(2)
    # The medians alone, 3 and 10, would say 0.3.
    assert median_ratio([3, 3, 30], [1, 10, 10]) == pytest.approx(3)


def test_extra_time_is_paired_and_may_be_negative() -> None:
    assert median_extra_ms([1.0, 5.002, 3.001], [0.999, 5.0, 3.0]) == pytest.approx(1)
    assert median_extra_ms([0.010], [0.011]) == pytest.approx(-1)


@pytest.mark.parametrize(("power", "constant"), [(1, 0.5), (2, 3.0)])
def test_growth_finds_the_exponent_in_any_order(power: int, constant: float) -> None:
    patches = [1024, 256, 4096]
    found = growth(8, patches, [constant * n**power for n in patches])
    assert (found.cores, found.overall, found.steepest) == pytest.approx((8, power, power))


def test_growth_reports_the_steepest_step() -> None:
    found = growth(64, [1, 2, 4], [1.0, 1.0, 4.0])
    assert (found.overall, found.steepest) == pytest.approx((1, 2))


def test_cosine_is_the_mean_over_rows() -> None:
    assert cosine(np.array([1.0, 2]), np.array([2.0, 4])) == pytest.approx(1)
    assert cosine(np.array([[1.0, 0], [1, 0]]), np.array([[5.0, 0], [0, 5]])) == pytest.approx(0.5)


# -- measuring


def test_tasks_take_turns_and_only_the_second_call_is_timed(clock: FakeClock) -> None:
    order: list[Any] = []
    advanced: list[Any] = []

    def task(name: str, seconds: int) -> Callable[..., Any]:
        def run() -> None:
            cold = not order or order[-1] != name
            clock.now += 100 if cold else seconds
            order.append(name)

        return run

    keys = [("encode", 8, 64), ("call", 8, 64), ("torch", 8, 64)]
    tasks = {key: task(key[0], index + 1) for index, key in enumerate(keys)}
    samples = turns.take_turns(tasks, 3, lambda: advanced.append(len(order)))
    forward = ["encode", "encode", "call", "call", "torch", "torch"]
    assert order[:6] == forward
    assert order[6:12] == forward[::-1]
    assert order[12:] == forward
    assert advanced == [6, 12, 18]
    assert samples == {keys[0]: [1, 1, 1], keys[1]: [2, 2, 2], keys[2]: [3, 3, 3]}


def test_short_calls_are_repeated_until_threads_of_others_have_stopped_to_spin(clock: FakeClock) -> None:
    spinning, calls = [turns.SETTLE - 0.001], []

    def call() -> None:
        clock.now += 0.002 if clock.now < spinning[0] else 0.001
        calls.append(clock.now)

    samples = turns.take_turns({("encode", 8, 64): call}, 1)
    assert samples["encode", 8, 64] == pytest.approx([0.001])
    assert len(calls) == 14


def test_a_switch_is_the_extra_time_of_the_first_call(clock: FakeClock) -> None:
    last = [0]

    def encode(cores: int) -> None:
        clock.now += cores + (0.25 * cores if last[0] != cores else 0)
        last[0] = cores

    assert benchmark.time_switches(encode, (8, 64), rounds=3) == (Switch(8, 2000.0), Switch(64, 16000.0))
    assert benchmark.time_switches(encode, (8,), rounds=3) == ()


# -- memory


def test_resident_memory_of_linux(tmp_path: Path) -> None:
    status, rollup = tmp_path / "status", tmp_path / "rollup"
    status.write_text("VmPeak:\t 900 kB\nVmRSS:\t 300 kB\n")
    assert resident(status, rollup) == Resident(300 * 1024, None, "VmRSS of /proc")
    rollup.write_text("Rss: 300 kB\nAnonymous:   120 kB\n")
    assert resident(status, rollup) == Resident(300 * 1024, 120 * 1024, "VmRSS and smaps_rollup of /proc")


def test_the_peak_is_what_was_held_at_most(tmp_path: Path) -> None:
    if memory.resident().bytes is None:
        pytest.skip("this system does not tell")
    memory.forget_peak()
    before = known(memory.peak())
    held = np.ones(50_000_000, np.uint8)
    assert held.sum() == held.size
    del held
    assert known(memory.peak()) - before > 40_000_000
    assert known(memory.peak(tmp_path / "none")) >= before  # the system's own count, where there is no /proc


def test_unknown_memory_stays_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    found = resident(tmp_path / "none")
    assert (found.bytes, found.anonymous) == (None, None)


def child(load: int, held: int, known: bool = True) -> dict[str, Any]:
    reading = {"bytes": 100, "anonymous": 50, "source": "test"}
    now = {"bytes": held if known else None, "anonymous": None, "source": "test"}
    times = {"load_ms": load, "first_call_ms": 2 * load}
    return {**times, "baseline": reading, "readings": [now], "after": ["load"], "peak": 2 * held if known else None}


def test_startup_is_the_median_of_the_processes() -> None:
    found = summarize([child(5, 180), child(3, 120), child(30, 300)], weight_bytes=40)
    assert (found.processes, found.load_ms, found.first_call_ms, found.baseline) == (3, 5, 10, 100)
    assert found.memory == (Memory("load", 80, None, 2.0),)
    assert found.peak == 260
    unknown = summarize([child(5, 180), child(5, 0, known=False)], 40)
    assert (unknown.memory, unknown.peak) == ((Memory("load", None, None, None),), None)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.kill(os.getpid(), 9)", "was killed: free some memory"),
        ("raise SystemExit('no luck')", "the process that ran it failed: no luck"),
    ],
)
def test_a_process_that_ends_early_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\n{code}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(VecaError, match=message):
        memory.measure_startup(tmp_path / "model.pte", 1, (8,), [(64, 64)], 1)


# -- what to measure


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [(None, (8, 32)), ((), BUDGETS), ((32, 8, 8), (8, 32)), ((16,), (16,))],
)
def test_cores(asked: tuple[Any, ...] | None, chosen: tuple[Any, ...]) -> None:
    assert choose_cores(asked, BUDGETS) == chosen
    assert choose_cores(None, (8,)) == (8,)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(random="tiny"), "unknown model family 'tiny': use one of small, splus, base, large"),
        (Request(random="small", cores=(12,)), "12 cores: this model offers 8, 16, 24, 32, 40, 48, 56, 64"),
        (Request(random="small", image_sizes=(100,)), "image size 100 is not a multiple of the patch size 16"),
        (Request(random="small", quantize="int3"), "unknown quantization 'int3': use int8, int4, fp32"),
    ],
)
def test_impossible_requests_are_refused_before_any_conversion(
    tmp_path: Path, request_: Request, message: str
) -> None:
    said: list[Any] = []
    with pytest.raises(VecaError) as error:
        prepare(request_, tmp_path, said.append)
    assert (str(error.value), said) == (message, [])


def test_without_opencv_the_picture_is_noise_at_the_models_size(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "find_spec", lambda name: None)
    found = prepare(Request(tiny, image_sizes=(32,)), tmp_path)
    assert found.picture.startswith("random pixels")
    assert np.array_equal(found.cases[0].picture, noise(32))
    assert np.array_equal(found.cases[0].fitted, noise(32))


# -- for readers


def test_columns_line_up() -> None:
    table = Table("title", ("name", "ms"), (("a", "1.00"), ("longer", "100")), words=1)
    assert text_table(table) == "  name      ms\n  a       1.00\n  longer   100"
    assert text_table(replace(table, columns=("", ""))) == "  a       1.00\n  longer   100"
    assert markdown_table(table) == "| name | ms |\n| --- | ---: |\n| a | 1.00 |\n| longer | 100 |"


def text_of(result: Any) -> Any:
    return describe(result).text()


def test_text_report_shows_everything_within_a_terminal() -> None:
    lines = text_of(a_benchmark()).splitlines()
    assert (
        lines[0]
        == "VECA small, random weights, int8: 23.7 MB file, of which 22.1 MB weights, for up to 1024 patches"
    )
    assert "A processor, 2 logical processors, 2 threads used; Linux 6 x86_64" in lines
    assert "      8  512 px     1024  98.5  98.5  98.5  98.5      10.2" in lines
    assert "  512 px   0.90" in lines
    assert "     64                 0.89           0.89" in lines
    assert "  veca-edge  int8        64  32.0  32.0        1.00            0.9987          0.9999" in lines
    assert "  torch      fp32        64  99.5  99.5        0.32            1.0000          1.0000" in lines
    assert "  dense      int8        64  42.0  42.0        0.76                 -               -" in lines
    assert "  most at once            61.1 MB                                 2.76 x" in lines
    assert "  dense int8: a dense ViT." in lines
    assert "  SHA-256: program 0123456789abcdef. Seed: 0." in lines
    assert "  Energy: unknown; no sensor here tells the power (see `veca-edge sensors`)." in lines
    assert "  change of cores  +1.30 ms, within the target of 2 ms" in lines
    assert "  every budget at 256 px  37.5 MB               34.5 MB           1.70 x" in lines
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if line.endswith(" ") or line.startswith("warning")]


def test_a_slow_switch_is_called_slow() -> None:
    assert "+2.10 ms, above the target of 2 ms" in text_of(a_benchmark(switches=(Switch(8, 2.1),)))


def test_a_single_configuration_leaves_out_what_compares() -> None:
    rows = a_benchmark().rows[:1]
    text = text_of(a_benchmark(savings=(), growth=(), switches=(), comparisons=(), rows=rows))
    for word in ("part of the time", "exponent", "PyTorch", "change of cores", "Change of cores", "Ratios"):
        assert word not in text


def test_energy_is_shown_where_it_is_known() -> None:
    row = replace(a_benchmark().rows[0], energy_mj=123.4)
    text = text_of(a_benchmark(rows=(row, *a_benchmark().rows[1:]), power="a meter"))
    whole = text.partition("Whole call")[2].splitlines()
    assert whole[1].endswith("images/s  mJ/image")
    assert whole[2].endswith("38.5       123")
    assert whole[3].endswith("30.3   unknown")
    assert "idle parts included; from a meter." in text


def test_unknown_memory_and_load_are_called_unknown() -> None:
    startup = Startup(1, 3.0, 4.0, None, (Memory("load", None, None, None),), None, "nowhere")
    bare = replace(a_benchmark().machine, load_average=None)
    text = text_of(a_benchmark(startup=startup, machine=bare, other_work=None))
    assert "  load          unknown               unknown          unknown" in text
    assert "  most at once  unknown                                unknown" in text
    assert "Load average at the start: unknown. Other programs during the rounds: unknown." in text


def test_markdown_is_made_of_whole_tables() -> None:
    text = describe(a_benchmark()).markdown()
    assert "| 8 | 256 px | 256 | 25.0 | 25.0 | 25.0 | 25.0 | 40.0 |" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            counts = {line.count("|") for line in block.splitlines()}
            assert len(counts) == 1
            assert set(block.splitlines()[1]) <= set("|-: ")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"other_work": 0.8, "comparisons": ()}, ["other programs used 0.80 processors"]),
        ({"other_work": 0.8}, ["other programs used 0.80 processors", "some runtimes suffer more"]),
        ({"other_work": 0.0, "machine": Machine("", 2, "", {}, 3.0)}, []),
        (
            {"other_work": None, "machine": Machine("", 2, "", {}, 3.0), "comparisons": ()},
            ["the load average was 3.00"],
        ),
        ({"threads": 4}, ["4 threads share 2 processors"]),
        (
            {"rows": (Row(8, 256, 256, some_latency(20.0, 10.0), some_latency(20.0)),)},
            ["timings are unsteady: the median is 2.0 times the fastest call for 8 cores at 256 px"],
        ),
        (
            {"comparisons": (Comparison("openvino", "bf16", 8, 256, some_latency(9.0), 0.3, 0.99, 0.5),)},
            ["the outputs of openvino bf16 differ from PyTorch's with 8 cores at 256 px"],
        ),
        (
            {"notes": ("openvino is left out: it needs openvino",)},
            ["openvino is left out"],
        ),
    ],
)
def test_warnings(changes: dict[str, Any], expected: list[Any]) -> None:
    found = list(warnings(a_benchmark(**changes)))
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


def test_few_rounds_and_random_weights_are_admitted() -> None:
    assert any("p99 is close to the slowest call" in line for line in method(a_benchmark(rounds=99)))
    assert not any("p99" in line for line in method(a_benchmark(rounds=100)))
    assert any("weights are random" in line for line in method(a_benchmark()))
    assert not any("random" in line for line in method(a_benchmark(random_weights=False)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint small enough to convert in a moment."""
    config = VecaConfig.from_family("small", hidden_dim=64, num_heads=1, num_layers=2, num_cores=16, ffn_dim=96)
    path = tmp_path_factory.mktemp("tiny") / "tiny.pt"
    state = random_veca(config).state_dict()
    write_checkpoint(Checkpoint(config, state, None, (), default_preprocessing()), path)
    return path


def check_comparisons(result: Benchmark, said: list[Any]) -> None:
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
    assert set(result.rivals) == {"torch fp32", "torch int8", "dense int8"}
    assert "preparing torch int8 for 16 cores at 32 px" in said
    assert "preparing dense int8 for 32 px" in said


def test_measures_a_checkpoint_against_torch_and_a_dense_model(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The trial of foreign files takes a process more, and is tested with the runtime.
    monkeypatch.setattr("veca_edge.runtime.trust.ensure_harmless", lambda file: None)
    monkeypatch.setenv("VECA_EDGE_CACHE", str(tmp_path / "cache"))
    said: list[str] = []
    advanced: list[Any] = []
    request = Request(tiny, image_sizes=(64, 32), against=("torch", "dense"))
    found = prepare(request, tmp_path, said.append)
    assert said == ["converting custom (tiny.pt) to int8"]
    assert set(found.digests) == {"program", "checkpoint", "pictures"}
    against = Against(request.against, tmp_path)
    result = benchmark.measure(found, read_machine(), 3, 1, against, lambda: advanced.append(1), said.append)
    assert len(advanced) == benchmark.steps(found, 3) == 7
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
    assert not [w for w in warnings(result) if "differ" in w]
