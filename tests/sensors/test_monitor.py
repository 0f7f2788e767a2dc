"""The monitor bears readers that fail, hang, lie and come back, and never makes its caller wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import Clock
from veca_edge.sensors.monitor import STALE, Monitor
from veca_edge.sensors.reading import Reading, Sensed
from veca_edge.sensors.state import DeviceState

FAST = 0.01  # seconds between reads in these tests


class Source:
    """A reader that does what a test wants at each read."""

    def __init__(self, act: Callable[[], Any], name: str = "source", field: str = "battery") -> None:
        self.name, self.field, self.interval = name, field, FAST
        self.act, self.reads, self.closed = act, 0, threading.Event()

    def read(self) -> Reading:
        self.reads += 1
        value = self.act()
        return {self.field: Sensed(value, self.name)}

    def close(self) -> None:
        self.closed.set()


def eventually(holds: Callable[[], bool], seconds: float = 3.0) -> bool:
    """Whether something becomes true while other threads work."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(FAST / 4)
    return holds()


def test_no_readers_are_a_state_of_unknowns(clock: Clock) -> None:
    with Monitor([], clock=clock) as monitor:
        assert monitor.wait(0)
        assert monitor.state == DeviceState(time=100.0)


def test_values_come_with_their_sources(clock: Clock) -> None:
    readers = [Source(lambda: 0.5, "gauge"), Source(lambda: 7.0, "meter", "power")]
    with Monitor(readers, FAST, clock) as monitor:
        assert monitor.wait(3)
        clock.advance(2)
        look = monitor.look()
    assert look.state == DeviceState(time=102.0, battery=0.5, power=7.0)
    assert {field: item.source for field, item in look.sensed.items()} == {"battery": "gauge", "power": "meter"}


def test_new_values_arrive(clock: Clock) -> None:
    source = Source(lambda: 0.5)
    with Monitor([source], FAST, clock) as monitor:
        monitor.wait(3)
        source.act = lambda: 0.4
        assert eventually(lambda: monitor.state.battery == 0.4)


def test_before_the_first_answer_all_is_unknown(clock: Clock, told: list[str]) -> None:
    gate = threading.Event()
    with Monitor([Source(lambda: gate.wait(5) and 0.5)], FAST, clock, told.append) as monitor:
        assert monitor.state == DeviceState(time=100.0)
        assert not monitor.wait(0.05)
        gate.set()
        assert monitor.wait(3)
    assert told == []


def test_a_reader_that_hangs_goes_unknown_with_one_warning_and_comes_back(clock: Clock, told: list[str]) -> None:
    gate = threading.Event()
    gate.set()
    hanging = Source(lambda: gate.wait(10) and 0.5, "slow")
    other = Source(lambda: 3.0, "quick", "power")
    with Monitor([hanging, other], FAST, clock, told.append) as monitor:
        monitor.wait(3)
        gate.clear()
        seen = hanging.reads
        eventually(lambda: hanging.reads > seen)
        assert monitor.state.battery == 0.5  # still young
        clock.advance(FAST + STALE + 0.1)
        seen = other.reads
        assert eventually(lambda: other.reads > seen + 1)  # the other one goes on
        assert monitor.state.power == 3.0
        start = time.perf_counter()
        states = [monitor.state for _ in range(100)]
        assert time.perf_counter() - start < 1.0  # a hanging reader holds nobody up
        assert {state.battery for state in states} == {None}
        assert len(told) == 1
        assert told[0].startswith("sensors: slow: no answer for 5 s")
        gate.set()
        assert eventually(lambda: monitor.state.battery == 0.5)
    assert len(told) == 1


def test_a_reader_that_never_answers_is_told_of(clock: Clock, told: list[str]) -> None:
    gate = threading.Event()
    with Monitor([Source(lambda: gate.wait(10) and 0.5)], FAST, clock, told.append) as monitor:
        clock.advance(2 * STALE)
        assert monitor.state.battery is None
        assert "no answer for 10 s" in told[0]
        gate.set()


def test_a_reader_that_fails_goes_unknown_with_one_warning_and_comes_back(clock: Clock, told: list[str]) -> None:
    def fail() -> float:
        raise OSError("the bus is gone")

    source = Source(lambda: 0.5)
    with Monitor([source], FAST, clock, told.append) as monitor:
        monitor.wait(3)
        source.act = fail
        assert eventually(lambda: monitor.state.battery is None)
        seen = source.reads
        assert eventually(lambda: source.reads >= seen + 2)
        source.act = lambda: 0.6
        assert eventually(lambda: monitor.state.battery == 0.6)
    assert told == ["sensors: source: OSError: the bus is gone; its values are unknown until it works"]


def test_failing_again_and_again_becomes_rare(clock: Clock, told: list[str]) -> None:
    source = Source(lambda: 1 / 0)
    with Monitor([source], FAST, clock, told.append) as monitor:
        monitor.wait(3)
        time.sleep(30 * FAST)
        assert source.reads < 8  # 30 without a pause that doubles
    assert len(told) == 1


@pytest.mark.parametrize("nonsense", [None, 5, [1], {"battery": 0.5}, {"fan": Sensed(1, "")}])
def test_a_reader_that_returns_no_reading_has_failed(clock: Clock, told: list[str], nonsense: Any) -> None:
    source = Source(lambda: 0)
    source.read = lambda: nonsense  # type: ignore[method-assign]
    with Monitor([source], FAST, clock, told.append) as monitor:
        assert monitor.wait(3)
        assert monitor.state == DeviceState(time=100.0)
    assert len(told) == 1


def test_a_reader_that_lies_is_unknown_with_one_warning(clock: Clock, told: list[str]) -> None:
    source = Source(lambda: 1e9)
    with Monitor([source], FAST, clock, told.append) as monitor:
        assert eventually(lambda: source.reads > 2)
        assert monitor.state.battery is None
        source.act = lambda: 0.5
        assert eventually(lambda: monitor.state.battery == 0.5)
    assert told == ["sensors: source: battery 1000000000.0 is not plausible and counts as unknown"]


def test_warnings_go_to_the_log_if_nobody_takes_them(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with Monitor([Source(lambda: -1)], FAST, clock) as monitor:
        monitor.wait(3)
    assert [record.getMessage() for record in caplog.records] == [
        "sensors: source: battery -1 is not plausible and counts as unknown"
    ]


def test_a_warning_that_finds_no_way_out_ends_nothing(clock: Clock) -> None:
    def refuse(message: str) -> None:
        raise BrokenPipeError(message)

    source = Source(lambda: -1)
    with Monitor([source], FAST, clock, refuse) as monitor:
        monitor.wait(3)
        source.act = lambda: 0.5
        assert eventually(lambda: monitor.state.battery == 0.5)


def test_readers_are_closed_in_their_own_thread(clock: Clock) -> None:
    threads: list[threading.Thread] = []

    def read() -> float:
        threads.append(threading.current_thread())
        return 0.5

    source = Source(read)
    source.close = lambda: threads.append(threading.current_thread())  # type: ignore[method-assign]
    with Monitor([source], FAST, clock) as monitor:
        monitor.wait(3)
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon


def test_stopping_does_not_wait_for_a_reader_that_hangs(clock: Clock, told: list[str]) -> None:
    gate = threading.Event()
    source = Source(lambda: gate.wait(10) and 0.5)
    monitor = Monitor([source], FAST, clock, told.append)
    monitor.start()
    eventually(lambda: source.reads == 1)
    start = time.perf_counter()
    monitor.stop()
    assert time.perf_counter() - start < 2
    gate.set()
    assert source.closed.wait(3)  # its thread ends when it can
    clock.advance(100)
    assert monitor.state == DeviceState(time=200.0)
    assert told == []  # nothing is wrong with a monitor that was stopped


def test_stopping_is_quick_and_can_be_undone(clock: Clock) -> None:
    source = Source(lambda: 0.5)
    source.interval = 60.0
    monitor = Monitor([source], FAST, clock)
    for _ in range(2):
        monitor.start()
        monitor.start()  # nothing happens
        assert monitor.wait(3)
        start = time.perf_counter()
        monitor.stop()
        monitor.stop()
        assert time.perf_counter() - start < 1
    assert source.reads == 2


def test_readers_may_ask_for_more_time(clock: Clock) -> None:
    source = Source(lambda: 0.5)
    source.interval = 60.0
    with Monitor([source], FAST, clock) as monitor:
        monitor.wait(3)
        time.sleep(5 * FAST)
        assert source.reads == 1
        clock.advance(60 + STALE)
        assert monitor.state.battery == 0.5  # not stale: it is not due for long
        clock.advance(0.1)
        assert monitor.state.battery is None


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_intervals_must_be_possible(interval: float) -> None:
    with pytest.raises(ValueError, match="interval"):
        Monitor([], interval)
