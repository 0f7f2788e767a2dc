"""Signs of life: at intervals of silence, across stages, and never after the end."""

from __future__ import annotations

import time

from veca_edge.reminder import Reminder

Told = list[tuple[str, float, float]]


def test_a_silent_stage_is_reminded_of_until_the_end() -> None:
    told: Told = []
    with Reminder(lambda *what: told.append(what), 0.02) as reminder:
        reminder("folding", 1.0)
        reminder("training", 0.4)
        deadline = time.monotonic() + 10
        while len(told) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert {(stage, done) for stage, done, _ in told} == {("training", 0.4)}
    assert told[0][2] < told[1][2] < told[2][2]
    count = len(told)
    time.sleep(0.1)
    assert len(told) == count


def test_short_stages_are_not_silent_together() -> None:
    told: Told = []
    with Reminder(lambda *what: told.append(what), 0.2) as reminder:
        deadline = time.monotonic() + 10
        for number in range(1000):
            reminder(f"stage {number}", 0.0)
            time.sleep(0.02)
            if told or time.monotonic() > deadline:
                break
            reminder(f"stage {number}", 1.0)
    assert told


def test_what_was_said_puts_the_reminder_off() -> None:
    told: Told = []
    with Reminder(lambda *what: told.append(what), 0.3) as reminder:
        time.sleep(0.31)
        reminder.said()
        reminder("short", 0.0)
        time.sleep(0.05)
    assert told == []
