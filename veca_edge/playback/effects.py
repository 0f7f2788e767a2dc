"""Options of a run that would do nothing, beside the others or with this source and model, are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from veca_edge.camera.frames import Source
from veca_edge.errors import VecaError
from veca_edge.playback.request import FOR_AUTO, FOR_FIXED, RunRequest


class Run(NamedTuple):
    """What decides whether an option does anything."""

    request: RunRequest
    source: Source
    model_streams: bool
    auto: bool


class Rule(NamedTuple):
    """Options, what they work with, in words, and whether a run has that."""

    options: tuple[str, ...]
    needs: str
    holds: Callable[[Run], bool]


RULES = (
    Rule(("view",), "a window, --serve or --save", lambda run: run.request.is_drawn),
    Rule(
        ("head",),
        "--save-masks, a window, --serve, or --save and --view masks",
        lambda run: run.request.shows_masks or run.request.save_masks is not None,
    ),
    Rule(("stream", *FOR_FIXED, *FOR_AUTO, "target_fps"), "a video or a camera", lambda run: run.source.continuous),
    Rule(("loop",), "files", lambda run: not run.source.live),
    Rule(("retry",), "a camera or a live address", lambda run: run.source.live),
    Rule(FOR_FIXED, "--stream", lambda run: run.request.stream),
    Rule(FOR_FIXED, "a .pte file of `veca-edge convert`", lambda run: run.model_streams),
    Rule(FOR_AUTO, "--cores auto", lambda run: run.auto),
    Rule(("trace_speed",), "--trace", lambda run: run.request.trace is not None),
)


def check_effects(request: RunRequest, source: Source, model_streams: bool = True, auto: bool = True) -> None:
    """Raise a VecaError for the first option of a request that would have no effect.

    An option with its default value is taken as not given.

    Args:
        source: what is open.
        model_streams: whether the model can compute some of an image's patches; True as long as that is unknown.
        auto: whether the governor chooses; True as long as that is unknown.
    """
    run = Run(request, source, model_streams, auto)
    for rule in RULES:
        if (option := request.given(rule.options)) and not rule.holds(run):
            raise VecaError(f"{option} works with {rule.needs} only: leave it out")
