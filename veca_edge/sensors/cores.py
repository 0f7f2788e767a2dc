"""Which cores of an Arm processor are little ones, by their part numbers.

Clocks alone do not tell: an RK3588's little cores run at 0.78 of the big ones' frequency and do a third of their
work.

Source: Arm's MIDR_EL1 (implementer in bits 24-31, part number in bits 4-15), which the kernel shows per core
(Documentation/arch/arm64/cpu-feature-registers.rst) and in /proc/cpuinfo; names as in util-linux' lscpu-arm.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from veca_edge.sensors.sysfs import read_text, under

CPUS = "/sys/devices/system/cpu"
CPUINFO = "/proc/cpuinfo"
LITTLE = {
    0x41: {  # Arm: Cortex-A5, A7, A32, A34, A53, A35, A55, A65, A65AE, A510, A520, A520AE, C1 Nano
        *(0xC05, 0xC07, 0xD01, 0xD02, 0xD03, 0xD04, 0xD05, 0xD06, 0xD43, 0xD46, 0xD80, 0xD88, 0xD8A),
    },
    0x51: {0x801, 0x803, 0x805},  # Qualcomm: Kryo 2xx, 3xx and 4xx Silver
    0x61: {0x020, 0x022, 0x024, 0x028, 0x030, 0x032, 0x034, 0x038},  # Apple: Icestorm and Blizzard
}


def little_cores(cores: Iterable[int], root: str = "/", cpus: str | None = None) -> frozenset[int]:
    """The little ones among cores, if there are others among them as well; none where part numbers are unknown.

    Args:
        cores: their numbers.
        root: what stands for /.
        cpus: the folder of the kernel's cpu0, cpu1, …, if it is another than below the root.
    """
    cores, cpus = frozenset(cores), cpus or under(root, CPUS)
    parts: dict[int, tuple[int, int]] = {}
    for core in cores:
        midr = _hexadecimal(read_text(f"{cpus}/cpu{core}/regs/identification/midr_el1"))
        if midr is not None:
            parts[core] = midr >> 24 & 0xFF, midr >> 4 & 0xFFF
    if len(parts) < len(cores):
        parts = {**_listed(under(root, CPUINFO)), **parts}
    little = frozenset(core for core in cores & parts.keys() if parts[core][1] in LITTLE.get(parts[core][0], ()))
    return frozenset() if little == cores else little


def _listed(cpuinfo: str) -> dict[int, tuple[int, int]]:
    """(implementer, part number) by core, from /proc/cpuinfo."""
    try:
        text = Path(cpuinfo).read_text(errors="replace")
    except OSError:
        return {}
    found: dict[int, tuple[int, int]] = {}
    for block in re.split(r"\n\s*\n", text):
        facts = dict(re.findall(r"^([^:\n]*?)\s*:[ \t]*(.*?)\s*$", block, re.MULTILINE))
        core, implementer, part = (facts.get(name, "") for name in ("processor", "CPU implementer", "CPU part"))
        values = _hexadecimal(implementer), _hexadecimal(part)
        if re.fullmatch(r"[0-9]{1,5}", core) and values[0] is not None and values[1] is not None:
            found[int(core)] = values[0], values[1]
    return found


def _hexadecimal(text: str | None) -> int | None:
    """The number in `0x410fd034`, None if there is none."""
    return int(text, 16) if text and re.fullmatch(r"0x[0-9a-fA-F]{1,16}", text) else None
