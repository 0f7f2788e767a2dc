"""The loop that everything is timed in, and what is made of the timings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fakes import Clock
from veca_edge.runtime import measuring
from veca_edge.runtime.measuring import interleaved, latency, median_extra_ms, median_ratio


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock(0.0)
    monkeypatch.setattr(measuring, "perf_counter", fake)
    return fake


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


def test_rounds_are_interleaved_and_only_warm_calls_are_timed(clock: Clock) -> None:
    order: list[str] = []
    advanced: list[int] = []

    def task(name: str, seconds: int) -> Callable[[], None]:
        def run() -> None:
            cold = not order or order[-1] != name
            clock.now += 100 if cold else seconds
            order.append(name)

        return run

    tasks = {name: task(name, index + 1) for index, name in enumerate(("encode", "call", "torch"))}
    samples = interleaved(tasks, 3, lambda: advanced.append(len(order)), warm_up=1)
    forward = ["encode", "encode", "call", "call", "torch", "torch"]
    assert order[:3] == list(tasks)
    assert order[3:] == [*forward, *forward[::-1], *forward]
    assert advanced == [9, 15, 21]
    assert samples == {"encode": [1, 1, 1], "call": [2, 2, 2], "torch": [3, 3, 3]}


def test_short_calls_are_repeated_until_threads_of_others_have_stopped_to_spin(clock: Clock) -> None:
    spinning, calls = measuring.SETTLE - 0.001, list[float]()

    def call() -> None:
        clock.now += 0.002 if clock.now < spinning else 0.001
        calls.append(clock.now)

    samples = interleaved({"encode": call}, 1, warm_up=0)
    assert samples["encode"] == pytest.approx([0.001])
    assert len(calls) == 14
