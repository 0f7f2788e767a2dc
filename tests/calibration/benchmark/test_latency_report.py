"""Benchmarks of latency as their readers see them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.calibration.benchmark.small_models import measured_facts
from veca_edge.calibration.benchmark.against.comparison import Comparison
from veca_edge.calibration.benchmark.latency import Benchmark, Growth, Row, Saving, Switch
from veca_edge.calibration.benchmark.latency_report import describe_latency
from veca_edge.calibration.benchmark.memory import Memory, Startup
from veca_edge.runtime.machine import Machine
from veca_edge.runtime.measuring import Latency, latency


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
    facts = measured_facts(
        name="VECA small, random weights",
        random_weights=True,
        file_bytes=23_700_000,
        weight_bytes=22_100_000,
        digests={"program": "0123456789abcdef" * 4},
    )
    whole = Benchmark(
        **facts,
        family="small",
        rounds=30,
        picture="a frame",
        rows=rows,
        savings=(Saving(256, 8, 64, 0.781), Saving(512, 8, 64, 0.895)),
        growth=(Growth(8, 0.99, 0.99), Growth(64, 0.89, 0.89)),
        switches=(Switch(8, 0.4), Switch(64, 1.3)),
        comparisons=comparisons,
        baselines={"torch fp32": "eager PyTorch", "dense int8": "a dense ViT"},
        notes=(),
        startup=Startup(3, 33.3, 177.0, 370_000_000, steps, 61_100_000, "VmRSS of /proc"),
        power=None,
    )
    return replace(whole, **changes)


def text_of(result: Benchmark) -> str:
    return describe_latency(result).text()


SHOWN = """\
A processor, 2 logical processors, 2 threads used; Linux 6 x86_64
      8  512 px     1024  98.5  98.5  98.5  98.5      10.2
  512 px   0.90
     64                 0.89           0.89
  veca-edge  int8        64  32.0  32.0        1.00            0.9987          0.9999
  torch      fp32        64  99.5  99.5        0.32            1.0000          1.0000
  dense      int8        64  42.0  42.0        0.76                 -               -
  peak                    61.1 MB                                 2.76 x
  dense int8: a dense ViT.
  SHA-256: program 0123456789abcdef. Seed: 0.
  Energy: unknown; no sensor here tells the power (see `veca-edge sensors`).
  change of cores  +1.30 ms, within the target of 2 ms
  every budget at 256 px  37.5 MB               34.5 MB           1.70 x
"""


def test_text_report_shows_everything_within_a_terminal() -> None:
    lines = text_of(a_benchmark()).splitlines()
    size = "23.7 MB file, of which 22.1 MB weights, for up to 1024 patches"
    assert lines[0] == f"VECA small, random weights, int8: {size}"
    assert set(SHOWN.splitlines()) <= set(lines)
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
    assert "  load   unknown               unknown          unknown" in text
    assert "  peak   unknown                                unknown" in text
    assert "Load average at the start: unknown. Other programs meanwhile: unknown." in text


def test_markdown_is_made_of_whole_tables() -> None:
    text = describe_latency(a_benchmark()).markdown()
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
        ({"notes": ("openvino is left out: it needs openvino",)}, ["openvino is left out"]),
    ],
)
def test_warnings(changes: dict[str, Any], expected: list[str]) -> None:
    found = describe_latency(a_benchmark(**changes)).warnings
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


def test_few_rounds_and_random_weights_are_admitted() -> None:
    assert "p99 is close to the slowest call" in " ".join(describe_latency(a_benchmark(rounds=99)).method)
    assert "p99" not in " ".join(describe_latency(a_benchmark(rounds=100)).method)
    assert "weights are random" in " ".join(describe_latency(a_benchmark()).method)
    assert "random" not in " ".join(describe_latency(a_benchmark(random_weights=False)).method)
