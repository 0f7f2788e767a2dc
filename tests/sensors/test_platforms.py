"""Which readers a platform gets, and what looking costs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from veca_edge.sensors.monitor import Monitor
from veca_edge.sensors.platforms import detect, this_platform

BRIDGES = ("java", "jnius", "rubicon", "Foundation", "psutil")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes exactly these packages look installed."""

    def only(*names: str) -> None:
        for name in BRIDGES:
            module = SimpleNamespace(__spec__=SimpleNamespace()) if name in names else None
            if module is None:
                monkeypatch.delitem(sys.modules, name, raising=False)
            else:
                monkeypatch.setitem(sys.modules, name, module)

        def find(name: str) -> Any:
            return SimpleNamespace() if name in names else None

        monkeypatch.setattr("veca_edge.sensors.platforms.find_spec", find)
        monkeypatch.setattr("veca_edge.sensors.android.find_spec", find)

    return only


LINUX = ["thermal zones", "cpufreq", "powercap", "power supplies"]


@pytest.mark.parametrize(
    ("platform", "packages", "names"),
    [
        ("linux", (), LINUX),
        ("linux", ("psutil",), LINUX),
        ("android", ("java",), ["Android", "cpufreq"]),
        ("android", ("jnius",), ["Android", "cpufreq"]),
        ("android", (), LINUX),
        ("ios", ("rubicon",), ["ProcessInfo", "UIDevice"]),
        ("ios", (), []),
        ("darwin", (), ["thermal pressure", "pmset"]),
        ("darwin", ("Foundation", "psutil"), ["ProcessInfo", "thermal pressure", "psutil", "pmset"]),
        ("win32", (), ["power status"]),
        ("win32", ("psutil",), ["power status", "psutil"]),
        ("freebsd14", ("psutil",), ["psutil"]),
        ("freebsd14", (), []),
    ],
)
def test_readers(
    installed: Callable[..., Any], tmp_path: Path, platform: str, packages: tuple[Any, ...], names: list[Any]
) -> None:
    installed(*packages)
    assert [reader.name for reader in detect(platform, str(tmp_path))] == names


def test_a_raspberry_pi_has_one_more(grow: Callable[..., str]) -> None:
    root = grow("proc/device-tree", model="Raspberry Pi 4 Model B\0")
    assert [reader.name for reader in detect("linux", root)] == ["Raspberry Pi firmware", *LINUX]


def test_android_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("ANDROID_ARGUMENT", raising=False)
    monkeypatch.delattr(sys, "getandroidapilevel", raising=False)
    assert this_platform() == "linux"
    monkeypatch.setenv("ANDROID_ARGUMENT", "app")
    assert this_platform() == "android"
    monkeypatch.delenv("ANDROID_ARGUMENT")
    monkeypatch.setattr(sys, "getandroidapilevel", lambda: 30, raising=False)
    assert this_platform() == "android"


@pytest.mark.parametrize("platform", ["linux", "android", "ios", "darwin", "win32"])
def test_anywhere_without_anything_there_are_only_unknowns(
    installed: Callable[..., Any], tmp_path: Path, platform: str
) -> None:
    """The readers of other platforms fail here, or find nothing; the monitor bears it."""
    installed()
    readers = detect(platform, str(tmp_path))
    told: list[str] = []
    with Monitor(readers, notify=told.append) as monitor:
        assert monitor.wait(5)
        state = monitor.state
    assert (state.battery, state.thermal, state.headroom, state.frequency, state.power) == (None,) * 5
    assert len(told) <= len(readers)


def test_the_package_takes_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import veca_edge.sensors; "
        "print({n.split('.')[0] for n in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in eval(done.stdout) if not name.startswith("_")} <= {"veca_edge", "numpy"}


def test_looking_is_cheap(grow: Callable[..., str]) -> None:
    """Below 1 ms of processor time per look: 0.1 % of a core."""
    for number in range(20):
        trips = {
            f"trip_point_{trip}_{what}": value
            for trip in (0, 1)
            for what, value in (("type", "passive"), ("temp", 90000))
        }
        grow(f"sys/class/thermal/thermal_zone{number}", type=f"zone{number}", temp=50000, **trips)
    root = grow("sys/devices/system/cpu/cpufreq/policy0", scaling_cur_freq=1, cpuinfo_max_freq=2)
    readers = detect("linux", root)
    for reader in readers:
        reader.read()  # finds out what there is, once a minute
    rounds = 50
    start = time.thread_time()
    for _ in range(rounds):
        for reader in readers:
            reader.read()
    assert (time.thread_time() - start) / rounds < 1e-3
