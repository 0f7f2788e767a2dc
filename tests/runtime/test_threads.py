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
    assert threads.default_threads(str(tmp_path), str(tmp_path)) == 3


ARM, QUALCOMM, APPLE = 0x41, 0x51, 0x61
A53, A55, A510, A72, A73, A76, A78AE, A710, A715, X3 = (
    *(0xD03, 0xD05, 0xD46, 0xD08, 0xD09, 0xD0B, 0xD42, 0xD47, 0xD4D, 0xD4E),
)
BOARDS = {  # cores: (how many, implementer, part, highest clock in MHz), and how many of them are big
    "RK3588": ([(4, ARM, A55, 1800), (4, ARM, A76, 2304)], 4),
    "RK3588 with its fastest pair": ([(4, ARM, A55, 1800), (2, ARM, A76, 2256), (2, ARM, A76, 2400)], 4),
    "RK3399": ([(4, ARM, A53, 1416), (2, ARM, A72, 1800)], 2),
    "Raspberry Pi 3": ([(4, ARM, A53, 1200)], 4),  # all are little: they are what there is
    "Raspberry Pi 4": ([(4, ARM, A72, 1800)], 4),
    "Raspberry Pi 5": ([(4, ARM, A76, 2400)], 4),
    "Jetson AGX Orin": ([(12, ARM, A78AE, 2202)], 12),
    "Snapdragon 8 Gen 2": (
        [(3, ARM, A510, 2016), (2, ARM, A710, 2803), (2, ARM, A715, 2803), (1, ARM, X3, 3187)],
        5,
    ),
    "Snapdragon 845": ([(4, QUALCOMM, 0x803, 2150), (4, QUALCOMM, 0x802, 2803)], 4),
    "Apple M1 under Asahi": ([(4, APPLE, 0x022, 2600), (4, APPLE, 0x023, 3204)], 4),
    "Amlogic S922X": ([(2, ARM, A53, 1896), (4, ARM, A73, 2208)], 4),
    "an unknown part": ([(4, ARM, 0xFFF, 2000), (4, 0x99, A55, 2000)], 8),
}


def _board(root: Path, cores: list[tuple[int, int, int, int]], midr: bool) -> int:
    """The files of a board without `cpu_capacity`; how many cores it has."""
    cpus, blocks, number = root / "sys/devices/system/cpu", ["BogoMIPS\t: 48.00\n"], 0
    for count, implementer, part, clock in cores:
        for _ in range(count):
            folder = cpus / f"cpu{number}"
            (folder / "cpufreq").mkdir(parents=True)
            (folder / "cpufreq/cpuinfo_max_freq").write_text(f"{clock * 1000}\n")
            if midr:
                (folder / "regs/identification").mkdir(parents=True)
                value = implementer << 24 | 0x2 << 20 | 0xF << 16 | part << 4 | 0x1
                (folder / "regs/identification/midr_el1").write_text(f"{value:#018x}\n")
            blocks.append(
                f"processor\t: {number}\nCPU implementer\t: {implementer:#x}\nCPU architecture: 8\n"
                f"CPU variant\t: 0x2\nCPU part\t: {part:#x}\nCPU revision\t: 1\n"
            )
            number += 1
    if not midr:
        (root / "proc").mkdir()
        (root / "proc/cpuinfo").write_text("\n".join([*blocks, "Hardware\t: whatever\n"]))
    return number


@pytest.mark.parametrize("midr", [True, False], ids=["midr", "cpuinfo"])
@pytest.mark.parametrize("board", BOARDS)
def test_boards_without_capacities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: str, midr: bool) -> None:
    cores, big = BOARDS[board]
    count = _board(tmp_path, cores, midr)
    monkeypatch.setattr(threads, "usable_cores", lambda: list(range(count)))
    assert threads.default_threads(root=str(tmp_path)) == big


def test_nonsense_in_cpuinfo_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: [0, 1])
    (tmp_path / "proc").mkdir()
    text = (
        f"processor: {'9' * 5000}\nCPU part: 0x{'f' * 9999}\n\nprocessor: 0\nCPU implementer: 0x41\nCPU part: -1\n"
    )
    (tmp_path / "proc/cpuinfo").write_bytes(text.encode() + b"\xff\x00\n")
    assert threads.default_threads(root=str(tmp_path)) == 2


V1, V2 = "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup"
POD = "9:memory:/pod\n4:cpu,cpuacct:/pod/app\n"


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {f"{V2}/cpu.max": "200000 100000"}, 2),  # a container sees its own group at the root
        ("0::/\n", {f"{V2}/cpu.max": "max 100000"}, None),
        (None, {f"{V2}/cpu.max": "300000 100000"}, 3),
        ("0::/\n", {f"{V2}/cpu.max": "190000 100000"}, 1),
        ("0::/\n", {f"{V2}/cpu.max": "50000 100000"}, 0),
        ("0::/\n", {f"{V2}/cpu.max": "250000"}, 2),
        ("0::/\n", {f"{V2}/cpu.max": " 250000\t100000 9\n"}, 2),
        ("0::/\n", {f"{V2}/cpu.max": ""}, None),
        ("0::/a\0b\n", {f"{V2}/cpu.max": "250000 100000"}, 2),
        ("0::/a/b\n", {f"{V2}/a/cpu.max": "200000 100000", f"{V2}/a/b/cpu.max": "max 100000"}, 2),
        ("0::/a/b\n", {f"{V2}/a/cpu.max": "400000 100000", f"{V2}/a/b/cpu.max": "30000 10000"}, 3),
        ("0::/a\n", {f"{V2}/other/cpu.max": "100000 100000"}, None),
        ("0::/a\n", {f"{V2}/unified/a/cpu.max": "200000 100000"}, 2),
        ("0::/../../x\n", {f"{V2}/cpu.max": "200000 100000"}, 2),
        (POD, {f"{V1}/pod/cpu.cfs_quota_us": 400000, f"{V1}/pod/cpu.cfs_period_us": 100000}, 4),
        (POD, {f"{V1}/cpu.cfs_quota_us": 150000, f"{V1}/cpu.cfs_period_us": 50000}, 3),
        (POD, {f"{V1}/pod/app/cpu.cfs_quota_us": -1, f"{V1}/pod/app/cpu.cfs_period_us": 100000}, None),
        (POD, {f"{V1}/cpu.cfs_quota_us": 150000}, None),
        ("nonsense\n::\n\n", {f"{V2}/cpu.max": "200000 100000"}, 2),
        *(
            ("0::/\n", {f"{V2}/cpu.max": text}, None)
            for text in ("", "0 100000", "-1 100000", "200000 0", "1 100000", "200000 -5", "nan 100000", "1e5 1e5")
        ),
        ("0::/\n", {f"{V2}/cpu.max": f"{'9' * 5000} 100000"}, None),
        ("0::/\n", {f"{V2}/cpu.max": "200000 99999999999"}, None),
        (POD, {f"{V1}/cpu.cfs_quota_us": 10**400, f"{V1}/cpu.cfs_period_us": 0}, None),
    ],
)
def test_a_quota_limits_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str | None, files: dict[str, object], quota: int | None
) -> None:
    if groups is not None:
        files = {**files, "proc/self/cgroup": groups}
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(content))
    assert threads.cpu_quota(str(tmp_path)) == quota
    monkeypatch.setattr(threads, "usable_cores", lambda: list(range(64)))
    assert threads.default_threads(root=str(tmp_path)) == (64 if quota is None else max(1, quota))


@pytest.mark.parametrize("count", [0, -1, 100_000])
def test_impossible_counts_are_refused(count: int) -> None:
    with pytest.raises(VecaError, match=rf"{count} threads: use a whole number from 1 to \d+"):
        threads.check_threads(count)
