"""What a measurement ran on, and how busy the machine was before it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from veca_edge._version import __version__
from veca_edge.runtime.machine import BUSY_OTHERS, OthersClock, processor_name
from veca_edge.runtime.threads import usable_cores

__all__ = ["BUSY_LOAD", "BUSY_OTHERS", "Machine", "OthersClock", "processor_name", "read_machine"]

BUSY_LOAD = 0.5  # load average at which other work is likely to show in the timings


@dataclass(frozen=True)
class Machine:
    """The machine and the software.

    Attributes:
        processor: its name, or its architecture where the system does not tell more.
        usable_cores: logical processors this process may use.
        system: operating system and architecture.
        versions: of python, veca-edge, numpy, torch, executorch, and what is compared with, if installed.
        load_average: of the last minute before any work of ours, None where the system keeps none.
    """

    processor: str
    usable_cores: int
    system: str
    versions: dict[str, str]
    load_average: float | None


def read_machine(packages: Sequence[str] = ()) -> Machine:
    """Look at the machine; call it before any work, so that the load average is that of others.

    Args:
        packages: whose versions matter beside those that always do.
    """
    return Machine(
        processor=processor_name(),
        usable_cores=len(usable_cores()),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions=_versions(packages),
        load_average=_load_average(),
    )


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {"python": platform.python_version(), "veca-edge": __version__}
    for name in ("numpy", "torch", "executorch", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
