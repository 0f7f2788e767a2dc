"""What the governor needs of this device: how long each way of running takes, measured once and remembered.

What a way of running is worth is in the model file; what it costs only the device knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from veca_edge.errors import VecaError
from veca_edge.files import cache_folder, replacing
from veca_edge.governor.points import Front, operating_points
from veca_edge.governor.quality import LatencyTable, QualityTable
from veca_edge.image.clip import clip_frames
from veca_edge.runtime.machine import BUSY_OTHERS, OthersClock, read_machine
from veca_edge.runtime.timing import FRAMES, SECONDS, START, opener, time_ways

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model

FORMAT = 1
LARGEST = 2**20  # bytes of a remembered profile; ours have 10 kB


@dataclass(frozen=True)
class Device:
    """What a profile holds on: if any of this changes, it is measured anew.

    Attributes:
        processor: its name.
        cores: logical processors that may be used.
        threads: of them, those that the model uses.
        runtime: what computes, with versions.
    """

    processor: str
    cores: int
    threads: int
    runtime: str


@dataclass(frozen=True)
class Profile:
    """The latencies of a model on a device.

    Attributes:
        table: of every way of running that the model file judges.
        device: see `Device`.
        timed: ways that were timed; the others lie between them and are interpolated (slow devices).
        seconds: that it took.
        others: processors' worth of other work meanwhile, or None where the system does not tell.
        remembered: whether it comes from an earlier start.
    """

    table: LatencyTable
    device: Device
    timed: int
    seconds: float
    others: float | None
    remembered: bool = False

    @property
    def complaint(self) -> str | None:
        """One line if the figures are not to be trusted."""
        if self.others is None or self.others < BUSY_OTHERS:
            return None
        return (
            f"other work took {self.others:.1f} processors while this was measured: do not trust the figures, and "
            "measure again when it is quiet (veca-edge profile --again)"
        )


def front_of(
    model: Model,
    target_fps: float,
    image_size: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Front:
    """The operating points of a model on this device.

    Args:
        model: from a model file with a quality table.
        target_fps: frames per second that the app wants.
        image_size: keep to this one, in pixels; None for all that were judged.
        say: receives a line if something takes seconds, or is not to be trusted.

    Raises:
        VecaError: no quality table, or none for that image size.
    """
    quality = quality_of(model)
    rows = tuple(row for row in quality.rows if image_size in (None, row.image_size))
    if not rows:
        judged = sorted({row.image_size for row in quality.rows})
        raise VecaError(f"{image_size} px was not judged at conversion: use one of {', '.join(map(str, judged))}")
    profile = profile_device(model, say=say)
    if profile.complaint:
        say(profile.complaint)
    return Front.of(operating_points(replace(quality, rows=rows), profile.table, target_fps))


def quality_of(model: Model) -> QualityTable:
    """What the model file says its ways of running are worth.

    Raises:
        VecaError: nothing, or nonsense.
    """
    if not model.quality:
        raise VecaError("the model file does not judge its operating points: convert the checkpoint anew")
    table = QualityTable.from_dict(model.quality)
    for row in table.rows:
        model.check_budget(row.cores)
    return table


def profile_device(
    model: Model,
    *,
    again: bool = False,
    say: Callable[[str], None] = lambda _: None,
    advance: Callable[[float], None] = lambda _: None,
) -> Profile:
    """The profile of a model on this device: the remembered one if it still holds, else measured now.

    Args:
        model: from a model file with a quality table.
        again: measure in any case.
        say: receives a line before seconds of measuring.
        advance: called with how much is measured, 0..1.

    Raises:
        VecaError: no quality table, or one that speaks of what the model cannot do.
    """
    ways = [row.way for row in quality_of(model).rows]
    device, path = this_device(model.engine.threads), _path(model)
    known = None if again or path is None else _recall(path)
    if known is not None and known.device == device and {row.way for row in known.table.rows} >= set(ways):
        return known
    say(f"measuring {len(ways)} ways of running on this device, once, for about {SECONDS:.0f} s")
    others, start = OthersClock(), perf_counter()
    rows, timed = time_ways(opener(model), ways, clip_frames(START, FRAMES), advance)
    found = Profile(LatencyTable(tuple(rows)), device, timed, perf_counter() - start, others.cores())
    if path is not None:
        _remember(path, found)
    return found


def this_device(threads: int) -> Device:
    """This device, computing with so many threads."""
    machine = read_machine()
    engine = {name: machine.versions.get(name) for name in ("veca-edge", "executorch")}
    runtime = ", ".join(f"{name} {number}" for name, number in engine.items() if number)
    return Device(machine.processor, machine.usable_cores, threads, runtime)


def _path(model: Model) -> Path | None:
    """Where the profile is remembered; None for a model that does not come from a file."""
    if not model.digest:
        return None
    return cache_folder() / "profiles" / f"{model.digest[:24]}-{model.engine.threads}.json"


def _recall(path: Path) -> Profile | None:
    """The profile in a file; None if there is none, or it is damaged or of another version."""
    with suppress(OSError, ValueError, RecursionError, VecaError):
        if path.stat().st_size <= LARGEST:
            return _from_json(json.loads(path.read_text("utf-8")))
    return None


def _from_json(values: Any) -> Profile:
    """A remembered profile.

    Raises:
        VecaError, ValueError: it is none.
    """
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise VecaError("not a profile of this version")
    device, rows = values.get("device"), values.get("rows")
    timed, seconds, others = (values.get(name, 0) for name in ("timed", "seconds", "others"))
    if not isinstance(device, dict) or sorted(device) != sorted(Device.__dataclass_fields__):
        raise VecaError("the profile does not say which device it is of")
    if not isinstance(rows, list) or not all(map(_is_count, (timed, seconds, others or 0))):
        raise VecaError("the profile's numbers make no sense")
    # Nothing is done with the device but comparing it with this one.
    return Profile(LatencyTable.from_rows(rows), Device(**device), int(timed), seconds, others, remembered=True)


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9


def _remember(path: Path, profile: Profile) -> None:
    """Keep a profile; without a cache folder it is measured again next time."""
    values = {
        "format": FORMAT,
        "device": asdict(profile.device),
        "timed": profile.timed,
        "seconds": profile.seconds,
        "others": profile.others,
        "rows": profile.table.to_rows(),
    }
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(json.dumps(values), "utf-8")
