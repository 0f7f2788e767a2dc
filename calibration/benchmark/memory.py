"""Start-up time and memory of a model, each measured in a process that has done nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from veca_edge.runtime.child import answer, run_child

TIMEOUT = 600.0  # seconds for one process; a large model on a small board needs minutes
STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
ROLLUP = Path("/proc/self/smaps_rollup")


@dataclass(frozen=True)
class Resident:
    """Memory of a process.

    Attributes:
        bytes: resident in RAM, None if the system does not tell.
        anonymous: of them, those that are no file's and cannot be dropped; None if unknown.
        source: where the numbers come from.
    """

    bytes: int | None
    anonymous: int | None
    source: str


@dataclass(frozen=True)
class Memory:
    """Memory after some point, beyond what the process held with torch and ExecuTorch imported.

    Attributes:
        after: "load", or "256 px" for every budget having run at that image size (and all sizes before it).
        bytes: resident memory added, None if unknown.
        anonymous: of it, memory that no file backs, None if unknown.
        ratio: `bytes` over the bytes of the file's weights, None if unknown.
    """

    after: str
    bytes: int | None
    anonymous: int | None
    ratio: float | None


@dataclass(frozen=True)
class Startup:
    """Medians over fresh processes; imports are done before the clock starts, the file is in the system's cache.

    Attributes:
        processes: how many.
        load_ms: `veca_edge.load`.
        first_call_ms: the first call at the largest budget, at the smallest measured size.
        baseline: bytes resident before loading, None if unknown.
        memory: after load, then after each image size; the last is what a process settles at.
        peak: the most bytes at any moment in between, beyond what was resident before; None if unknown.
        source: where the memory numbers come from.
    """

    processes: int
    load_ms: float
    first_call_ms: float
    baseline: int | None
    memory: tuple[Memory, ...]
    peak: int | None
    source: str


def resident(status: Path = STATUS, rollup: Path = ROLLUP) -> Resident:
    """This process's resident memory now: Linux's own numbers, else psutil's if it is installed."""
    try:
        held = _kilobytes(status, "VmRSS:")
    except (OSError, ValueError):
        return _resident_elsewhere()
    try:
        return Resident(held, _kilobytes(rollup, "Anonymous:"), "VmRSS and smaps_rollup of /proc")
    except (OSError, ValueError):
        return Resident(held, None, "VmRSS of /proc")


def forget_peak(clear: Path = CLEAR) -> None:
    """Make `peak` count from now on, where Linux lets a process do that."""
    with suppress(OSError):
        clear.write_text("5")


def peak(status: Path = STATUS) -> int | None:
    """The most bytes that this process ever had resident, None where the system keeps no count."""
    try:
        return _kilobytes(status, "VmHWM:")
    except (OSError, ValueError):
        try:
            import resource
        except ImportError:
            return None
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _kilobytes(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise ValueError(f"{path} has no {name}")


def _resident_elsewhere() -> Resident:
    # Without psutil only the peak is known (`resource`), and a peak cannot be subtracted from.
    try:
        import psutil  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return Resident(None, None, "unknown on this system without psutil")
    return Resident(int(psutil.Process().memory_info().rss), None, "resident set size by psutil")


def measure_startup(
    path: Path,
    threads: int,
    budgets: Sequence[int],
    shapes: Sequence[tuple[int, int]],
    weight_bytes: int,
    processes: int = 1,
) -> Startup:
    """Load a model file in fresh processes and run it.

    Args:
        path: the model file.
        threads: for the engine.
        budgets: core counts to run, the largest last.
        shapes: (height, width) in pixels of the model's input, ascending.
        weight_bytes: bytes of the file's weights, for the ratio.
        processes: how many fresh processes to take the median of.

    Raises:
        VecaError: a process ended early.
    """
    order = {"threads": threads, "budgets": list(budgets), "shapes": list(shapes)}
    return summarize([_child(path, order) for _ in range(processes)], weight_bytes)


def summarize(children: Sequence[dict[str, Any]], weight_bytes: int) -> Startup:
    """Medians over what the processes reported (see `_measure`)."""

    def middle(values: Iterable[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return int(median(known)) if len(known) == len(children) else None

    memory = []
    for steps in zip(*(child["memory"] for child in children), strict=True):
        held, anonymous = (middle(step[name] for step in steps) for name in ("bytes", "anonymous"))
        memory.append(Memory(steps[0]["after"], held, anonymous, None if held is None else held / weight_bytes))
    return Startup(
        processes=len(children),
        load_ms=median(child["load_ms"] for child in children),
        first_call_ms=median(child["first_call_ms"] for child in children),
        baseline=middle(child["baseline"] for child in children),
        memory=tuple(memory),
        peak=middle(child["peak"] for child in children),
        source=children[0]["source"],
    )


def _beyond(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else now - before


def _child(path: Path, order: dict[str, Any]) -> dict[str, Any]:
    return run_child("veca_edge.calibration.benchmark.memory", path, json.dumps(order), timeout=TIMEOUT)


def _measure(path: str, text: str, progress: Callable[[float], None]) -> dict[str, Any]:
    """What a fresh process does: import, note memory, load, call, then every budget at every size."""
    import numpy as np

    from veca_edge.runtime.engines.binding import load_binding
    from veca_edge.runtime.model import load
    from veca_edge.runtime.native import quiet

    with quiet():
        load_binding()
    order, random = json.loads(text), np.random.default_rng(0)
    shapes = [tuple(shape) for shape in order["shapes"]]
    images = [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    baseline, memory = resident(), list[dict[str, Any]]()

    def note(after: str) -> None:
        now = resident()
        added = {name: _beyond(getattr(now, name), getattr(baseline, name)) for name in ("bytes", "anonymous")}
        memory.append({"after": after, **added})

    forget_peak()
    before = peak()
    start = perf_counter()
    model = load(path, threads=order["threads"])
    load_ms = (perf_counter() - start) * 1e3
    note("load")
    start = perf_counter()
    model.engine.encode(images[0], order["budgets"][-1])
    first_call_ms = (perf_counter() - start) * 1e3
    for image in images:
        for cores in order["budgets"]:
            model.engine.encode(image, cores)
        note(f"{min(image.shape[:2])} px")
    most = peak()
    grew = most is not None and before is not None and most > before  # else the count is of the imports
    return {
        "load_ms": load_ms,
        "first_call_ms": first_call_ms,
        "baseline": baseline.bytes,
        "memory": memory,
        "peak": _beyond(most, baseline.bytes) if grew else None,
        "source": baseline.source,
    }


if __name__ == "__main__":
    answer(_measure)
