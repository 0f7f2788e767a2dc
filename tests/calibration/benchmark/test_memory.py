"""Start-up and memory, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from veca_edge.calibration.benchmark import memory
from veca_edge.calibration.benchmark.memory import Memory, Resident, resident, summarize
from veca_edge.errors import VecaError


def test_resident_memory_of_linux(tmp_path: Path) -> None:
    status, rollup = tmp_path / "status", tmp_path / "rollup"
    status.write_text("VmPeak:\t 900 kB\nVmRSS:\t 300 kB\n")
    assert resident(status, rollup) == Resident(300 * 1024, None, "VmRSS of /proc")
    rollup.write_text("Rss: 300 kB\nAnonymous:   120 kB\n")
    assert resident(status, rollup) == Resident(300 * 1024, 120 * 1024, "VmRSS and smaps_rollup of /proc")


HOLD = """
from pathlib import Path
import numpy as np
from veca_edge.calibration.benchmark import memory
memory.forget_peak()
before = memory.peak()
held = np.ones(50_000_000, np.uint8)
assert held.sum() == held.size
del held
print(before, memory.peak(), memory.peak(Path("none")))  # the last: the system's own count, where there is no /proc
"""


def test_the_peak_is_what_was_held_at_most(tmp_path: Path) -> None:
    if memory.resident().bytes is None:
        pytest.skip("this system does not tell")
    # In a process of its own: here, what other tests leave for the system to free would hide what is held.
    ended = subprocess.run([sys.executable, "-c", HOLD], cwd=tmp_path, capture_output=True, text=True, check=True)
    before, peak, elsewhere = map(int, ended.stdout.split())
    assert peak - before > 40_000_000
    assert elsewhere >= before


def test_unknown_memory_stays_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    found = resident(tmp_path / "none")
    assert (found.bytes, found.anonymous) == (None, None)


def child(load: int, held: int | None) -> dict[str, Any]:
    facts = {"load_ms": load, "first_call_ms": 2 * load, "baseline": 100, "source": "test"}
    memory = [{"after": "load", "bytes": held, "anonymous": None}]
    return {**facts, "memory": memory, "peak": None if held is None else 2 * held}


def test_startup_is_the_median_of_the_processes() -> None:
    found = summarize([child(5, 80), child(3, 20), child(30, 200)], weight_bytes=40)
    assert (found.processes, found.load_ms, found.first_call_ms, found.baseline) == (3, 5, 10, 100)
    assert (found.memory, found.peak) == ((Memory("load", 80, None, 2.0),), 160)
    unknown = summarize([child(5, 80), child(5, None)], 40)
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
