from __future__ import annotations

from pathlib import Path

import pytest

from veca_edge.errors import VecaError
from veca_edge.runtime import threads


def _tree(root: Path, name: str, values: list[int | str]) -> str:
    for core, value in enumerate(values):
        file = root / f"cpu{core}" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return str(root)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("cpu_capacity", [446, 446, 446, 446, 1024, 1024, 1024, 1024], 4),
        ("cpu_capacity", [250, 250, 250, 870, 870, 870, 1024, 1024], 5),
        ("cpufreq/cpuinfo_max_freq", [1800000] * 4 + [2400000] * 2, 3 * 2),
        ("cpufreq/cpuinfo_max_freq", [1500000, 1500000, 3000000, 3000000], 2),
        ("cpu_capacity", [1024] * 4, 4),
        ("cpu_capacity", ["?", 1024, 1024], 3),
    ],
)
def test_big_cores_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, values: list[int | str], expected: int
) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: list(range(len(values))))
    assert threads.default_threads(_tree(tmp_path, name, values)) == expected


def test_only_usable_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: [0, 1, 4])
    assert threads.default_threads(_tree(tmp_path, "cpu_capacity", [400, 400, 400, 400, 1024, 1024])) == 1


def test_without_sysfs_all_usable_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: [0, 2, 3])
    assert threads.default_threads(str(tmp_path)) == 3


@pytest.mark.parametrize("count", [0, -1, 100_000])
def test_impossible_counts_are_refused(count: int) -> None:
    with pytest.raises(VecaError, match=rf"{count} threads: use a whole number from 1 to \d+"):
        threads.check_threads(count)
