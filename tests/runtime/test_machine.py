"""How busy the machine is with other things, and what its processor is called."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.fakes import Clock
from veca_edge.runtime import machine
from veca_edge.runtime.machine import OthersClock, processor_name


def test_other_work_is_what_is_busy_beyond_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat, fake, own = tmp_path / "stat", Clock(0.0), [3.0]
    monkeypatch.setattr(time, "perf_counter", fake)
    monkeypatch.setattr(machine, "_own_seconds", lambda: own[0])
    tick = os.sysconf("SC_CLK_TCK")

    def busy(user: int, stolen: int) -> None:
        idle, waiting = 10**9, 10**6
        stat.write_text(f"cpu  {user * tick} 0 0 {idle} {waiting} 0 0 {stolen * tick} 0 0\ncpu0 1 2 3\n")

    busy(100, 0)
    others = OthersClock(stat)
    assert others.cores() is None  # nothing has happened yet
    busy(115, 5)
    fake.now, own[0] = 10.0, 13.0
    assert others.cores() == pytest.approx(1.0)  # 20 s of work in 10 s, 10 s of it ours
    own[0] = 30.0
    assert others.cores() == 0
    stat.unlink()
    assert others.cores() is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n", "Some CPU @ 2 GHz"),
        ("processor\t: 0\nBogoMIPS: 48\nHardware\t: BCM2835\n", "BCM2835"),
    ],
)
def test_processor_name(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    board = tmp_path / "model"
    assert processor_name(path, board) == name
    board.write_bytes(b"\x01\xff")
    assert processor_name(path, board) == name
    board.write_text("Raspberry Pi 4 Model B Rev 1.4\0")
    assert processor_name(path, board) == "Raspberry Pi 4 Model B Rev 1.4"


def test_what_is_no_text_has_no_name(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_bytes(b"\xff\xfe\x00: \nHardware\t: \n")
    assert processor_name(path, tmp_path / "model")
