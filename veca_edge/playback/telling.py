"""What is told of a frame's result: a line for a terminal, a record for the log, words for the panel."""

from __future__ import annotations

from typing import Any

from veca_edge.camera.frames import Frame
from veca_edge.gallery.gallery import Match
from veca_edge.modelfile.certainty import NOT_SURE
from veca_edge.playback.summary import ms
from veca_edge.runtime.result import Prediction, Result, computed_patches
from veca_edge.sensors.trace import state_record

LOGGED_LABELS = 5
SHARES_SAID = 4  # of the classes of a mask


def labels_of(result: Result) -> list[Prediction]:
    """The most likely labels, the best first; none without a head."""
    return result.top(LOGGED_LABELS) if result.logits is not None else []


def said_of(result: Result, masks: bool = False, match: Match | None = None) -> str:
    """What a model says of an image, in a few words.

    The most likely label with its probability, that the model is not sure of it, or that there are none.

    Args:
        masks: what dense heads say comes first, if there are any, and a label only if the model is sure of it.
        match: what a gallery says, instead of labels; None without a gallery.
    """
    if masks and result.dense:
        heads = (f"{name}: {dense.text(SHARES_SAID)}" for name, dense in result.dense.items())
        sure = result.sure if match is None else match.sure or bool(match.ties)
        return "; ".join((*heads, said_of(result, match=match)) if sure else heads)
    if match is not None:
        return said_of_match(match)
    if result.logits is None:
        return "no labels (the model has no head)"
    best = result.top(1)[0]
    return f"{best.label} {100 * best.probability:.0f} %" if result.sure else NOT_SURE


def said_of_match(match: Match) -> str:
    """The name or names that a picture is like, or that it is unknown, with the similarity in a few words."""
    if match.sure or match.ties:
        return f"{match.name} {match.similarity:.2f}"
    return f"{match.name} (most like {match.label}, {match.similarity:.2f})" if match.label else match.name


def match_record(match: Match) -> dict[str, Any]:
    """What a gallery says of a picture, ready for JSON; label and similarity are None for an empty one."""
    there = bool(match.label)
    return {
        "label": match.label if there else None,
        "similarity": round(match.similarity, 6) if there else None,
        "sure": match.sure,
        "ties": list(match.ties),
    }


def log_record(frame: Frame, result: Result, match: Match | None = None) -> dict[str, Any]:
    """A frame's line in the log; times in seconds, latency in milliseconds, sizes (height, width).

    Args:
        match: what a gallery says; None without one.
    """
    return (
        {
            "index": frame.index,
            "time": round(frame.time, 6),
            "name": frame.name,
            "cores": result.cores,
            "image_size": list(result.image_size),
            "latency_ms": ms(result.latency),
            "patches": computed_patches(result),
            "patches_total": result.features.shape[0] * result.features.shape[1],
            "keyframe": result.keyframe,
            "oldest": result.oldest,
            "top": [{"label": p.label, "probability": round(float(p.probability), 6)} for p in labels_of(result)],
            "sure": result.sure,
        }
        | ({} if match is None else {"gallery": match_record(match)})
        | dense_record(result)
        | governed(result)
    )


def dense_record(result: Result) -> dict[str, Any]:
    """For the log what each dense head says in all: shares of the picture, or values; nothing without heads."""
    return {"dense": {name: dense.summary() for name, dense in result.dense.items()}} if result.dense else {}


def governed(result: Result) -> dict[str, Any]:
    """What the governor decided and why, for the log; nothing outside of a session."""
    if result.point is None:
        return {}
    point, state = result.point, {} if result.state is None else state_record(result.state)
    return {
        "point": {"cores": point.cores, "image_size": point.image_size, "patch_budget": point.patch_budget}
        | {"rate": round(point.rate, 3)},
        "reason": result.reason,
        "state": {k: v for k, v in state.items() if v is not None and k not in ("time", "temperatures")},
    }


def hud_lines(result: Result, graphed: bool = False) -> tuple[str, ...]:
    """The device's state, unless a graph shows it, and the governor's reason, for the panel."""
    if result.point is None:
        return ()
    if graphed:
        return (result.reason,)
    state, words = result.state, []
    if state is not None and state.battery is not None:
        words.append(f"battery {state.battery:.0%}{', charging' if state.charging else ''}")
    if state is not None and state.thermal is not None:
        words.append(f"heat {state.thermal}")
    if state is not None and state.low_power:
        words.append("low-power mode")
    device = ", ".join(words) or "no sensors"
    return (f"auto, {result.point.fps} fps: {device}", result.reason)
