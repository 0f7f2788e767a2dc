"""A run's numbers as plain values, for the page."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from veca_edge.playback.protocols import Shown
from veca_edge.playback.summary import ms
from veca_edge.playback.teaching import Taught
from veca_edge.playback.telling import match_record

LABELS = 5


@dataclass(frozen=True)
class Choices:
    """What a run offers its viewers.

    Attributes:
        model: its name.
        source: the camera's or file's name.
        budgets: core counts, ascending.
        auto: whether the model can choose the cores.
        alternating: the cores alternate by themselves and cannot be chosen.
        views: what can be drawn.
        heads: the dense heads whose masks can be drawn.
        teaches: whether names can be taught.
    """

    model: str
    source: str
    budgets: tuple[int, ...]
    auto: bool
    alternating: bool
    views: tuple[str, ...]
    heads: tuple[str, ...] = ()
    teaches: bool = False


def frame_status(shown: Shown) -> dict[str, Any]:
    """A frame's numbers: times in milliseconds, sizes (height, width); None where nothing is known.

    The budgets and the rate are those of the governor's point; without a governor they are None.
    """
    hud, point = shown.hud, shown.result.point
    computed, total = hud.patches or (None, None)
    if computed is None:
        rows, columns = shown.result.features.shape[:2]
        computed = total = int(rows * columns)
    return {
        "index": shown.frame.index,
        "name": shown.frame.name,
        "time": finite(shown.frame.time),
        "cores": hud.cores,
        "image_size": list(hud.image_size),
        "latency_ms": finite(ms(hud.latency)),
        "fps": finite(hud.fps),
        "patches": computed,
        "patches_total": total,
        "patch_budget": None if point is None else point.patch_budget,
        "rate": None if point is None else finite(point.rate),
        "reason": shown.result.reason,
        "labels": [
            {"label": entry.label, "probability": finite(float(entry.probability), 4)}
            for entry in shown.labels[:LABELS]
        ],
        "sure": shown.result.sure,
        "gallery": None if shown.match is None else match_record(shown.match),
        "taught": None if shown.taught is None else _taught(shown.taught),
        "device": _device(shown),
        "chosen": {"cores": shown.state.cores, "view": shown.state.view, "paused": shown.state.paused}
        | {"head": shown.state.head},
    }


def _taught(taught: Taught) -> dict[str, Any]:
    """The names that can be taught, those in use and the next one, and what came of the last command."""
    return {"places": [asdict(place) for place in taught.on_show()], "steps": taught.steps, "told": taught.told}


def _device(shown: Shown) -> dict[str, Any]:
    """What the device says of itself; None without a governor, which alone asks it."""
    state = shown.result.state
    return {
        "battery": None if state is None else finite(state.battery),
        "charging": None if state is None else state.charging,
        "low_power": None if state is None else state.low_power,
        "thermal": None if state is None or state.thermal is None else str(state.thermal),
        "power": None if state is None else finite(state.power),
    }


def finite(value: float | None, digits: int = 3) -> float | None:
    """A number that JSON can carry."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)
