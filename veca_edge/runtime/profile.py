"""What the governor needs of this device: what each run configuration costs, measured once and remembered.

What a configuration is worth is in the model file; what it costs only the device knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from veca_edge.documents import parse_json
from veca_edge.errors import VecaError
from veca_edge.files import CACHE, cache_folder, regular_file, write_whole
from veca_edge.governor.points import DIVISORS, Front, OperatingPoint, operating_points
from veca_edge.governor.quality import LatencyTable, QualityTable
from veca_edge.image.clip import clip_frames
from veca_edge.numbers import finite
from veca_edge.runtime.machine import BUSY_OTHERS, OthersClock, read_machine
from veca_edge.runtime.timing import FRAMES, SECONDS, START, opener, time_configurations
from veca_edge.sensors.platforms import energy_meter

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model

FORMAT = 1
LARGEST = 2**20  # bytes of a remembered profile; ours have 10 kB


@dataclass(frozen=True)
class Device:
    """What a profile holds on: if any of this changes, it is measured again.

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
    """What a model's run configurations cost on a device.

    Attributes:
        table: of every run configuration in the model file's quality table.
        device: see `Device`.
        timed: configurations that were timed; the others lie between them and are interpolated (slow devices).
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

    def points(
        self, quality: QualityTable, target_fps: float, divisors: Sequence[int] = DIVISORS
    ) -> list[OperatingPoint]:
        """As `operating_points` with these latencies; power is in watts where the energies are known.

        Raises:
            VecaError: no configuration in common.
        """
        points, joules = operating_points(quality, self.table, target_fps, divisors), self.table.energies
        if joules is None:
            return points
        return [replace(point, power=joules[point.configuration] * point.rate) for point in points]

    @property
    def complaint(self) -> str | None:
        """One line if the figures are not to be trusted."""
        if self.others is None or self.others < BUSY_OTHERS:
            return None
        return (
            f"other programs used {self.others:.1f} processors while this was measured, so the figures are too "
            "high: close them and run `veca-edge profile --again`"
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
        image_size: keep to this one, in pixels; None for all in the quality table.
        say: receives a line if something takes seconds, or is not to be trusted.

    Raises:
        VecaError: no quality table, or none for that image size.
    """
    quality = quality_of(model)
    if image_size is not None:
        quality = quality.at_size(image_size)
    profile = profile_device(model, say=say)
    if profile.complaint and not profile.remembered:  # it was said when this was measured
        say(profile.complaint)
    return Front.of(profile.points(quality, target_fps))


def quality_of(model: Model) -> QualityTable:
    """What the model file says its run configurations are worth.

    Raises:
        VecaError: it does not say.
    """
    if model.quality is None:
        raise VecaError(f"{model.name} has no quality table: convert the checkpoint again with `veca-edge convert`")
    return model.quality


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
        VecaError: no quality table, or a row of it that the model cannot run.
    """
    wanted = quality_of(model).configurations
    device, path = this_device(model.engine.threads), _path(model)
    known = None if again or path is None else _recall(path)
    if known is not None and known.device == device and known.table.configurations >= set(wanted):
        return known
    say(f"measuring {len(wanted)} run configurations on this device, once, for about {SECONDS:.0f} s")
    others, start = OthersClock(), perf_counter()
    frames = clip_frames(START, FRAMES)
    rows, timed = time_configurations(opener(model), wanted, frames, advance, energy_meter())
    found = Profile(LatencyTable(tuple(rows)), device, timed, perf_counter() - start, others.cores())
    if model.digest and (path is None or not _remember(path, found)):
        say(f"the measurement cannot be kept and is made again next time: set {CACHE} to a folder for it")
    return found


def this_device(threads: int) -> Device:
    """This device, computing with so many threads."""
    machine = read_machine()
    engine = {name: machine.versions.get(name) for name in ("veca-edge", "executorch")}
    runtime = ", ".join(f"{name} {number}" for name, number in engine.items() if number)
    return Device(machine.processor, machine.usable_cores, threads, runtime)


def _path(model: Model) -> Path | None:
    """Where the profile is remembered; None without a cache folder, or for a model that is not from a file."""
    folder = cache_folder()
    if not model.digest or folder is None:
        return None
    return folder / "profiles" / f"{model.digest[:24]}-{model.engine.threads}.json"


def _recall(path: Path) -> Profile | None:
    """The profile in a file; None if there is none, or it is damaged or of another version."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, VecaError):
        with regular_file(path).open("rb") as file:
            values = parse_json(file.read(LARGEST + 1), LARGEST)
        timed, seconds, others = (finite(values[name], 0, 1e9) for name in ("timed", "seconds", "others"))
        if timed is None or seconds is None or (others is None and values["others"] is not None):
            return None
        if values["format"] == FORMAT:
            rows = LatencyTable.from_rows(values["rows"])
            # Nothing is done with the device but comparing it with this one.
            return Profile(rows, Device(**values["device"]), int(timed), seconds, others, remembered=True)
    return None


def _remember(path: Path, profile: Profile) -> bool:
    """Keep a profile; whether that was possible."""
    values = {
        "format": FORMAT,
        "device": asdict(profile.device),
        "timed": profile.timed,
        "seconds": profile.seconds,
        "others": profile.others,
        "rows": profile.table.to_rows(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(values).encode())
    except (OSError, VecaError):
        return False
    return True
