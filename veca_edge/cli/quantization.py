"""How `veca-edge convert` comes to a recipe and a rounding: as named, as written down, or by calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from veca_edge.cli.parsing import parse_drop, parse_size
from veca_edge.cli.progress import Stages, say
from veca_edge.errors import VecaError

if TYPE_CHECKING:
    from veca_edge.converters.executorch.convert import ConvertOptions
    from veca_edge.converters.recipes import QuantizationRecipe
    from veca_edge.model.checkpoint import Checkpoint

Command = TypeVar("Command", bound=Callable[..., Any])


def limit_options(file: str) -> Callable[[Command], Command]:
    """--max-drop and --max-size, for a command that chooses a recipe; `file` is what the size is of."""
    drop = click.option(
        "--max-drop", callback=parse_drop, metavar="0.5%", help="Find the smallest recipe that loses no more."
    )
    size = click.option(
        "--max-size", callback=parse_size, metavar="4MB", help=f"Find the best recipe for a {file} of this size."
    )
    return lambda command: drop(size(command))


def check_limits(drop: float | None, size: int | None) -> None:
    """Refuse both limits at once."""
    if drop is not None and size is not None:
        raise VecaError("--max-drop and --max-size: give one of them")


def check_quantization(given: Mapping[str, Any], quantize_chosen: bool) -> None:
    """Refuse options that contradict each other.

    Args:
        given: `recipe`, `calibration`, `max_drop` and `max_size`, None where not given.
        quantize_chosen: whether a ready recipe was named.

    Raises:
        VecaError: naming what goes together.
    """
    check_limits(given["max_drop"], given["max_size"])
    goals = [name for name in ("max_drop", "max_size") if given[name] is not None]
    if goals and given["calibration"] is None:
        raise VecaError(
            f"--{goals[0].replace('_', '-')} takes measuring: name a folder of images with --calibration"
        )
    ways = [*goals, *(["recipe"] if given["recipe"] else []), *(["quantize"] if quantize_chosen else [])]
    if len(ways) > 1:
        first, second = (f"--{name.replace('_', '-')}" for name in ways[:2])
        raise VecaError(f"{first} and {second} both say how layers are stored: give one of them")


def named_recipe(given: Mapping[str, Any]) -> QuantizationRecipe | None:
    """The recipe whose file was named, if one was; a VecaError if it cannot be read."""
    from veca_edge.converters.recipes import QuantizationRecipe

    return None if given["recipe"] is None else QuantizationRecipe.read(given["recipe"])


def recipe_name(given: Mapping[str, Any], calibrates: bool) -> str:
    """What a file made this way is called by default; a VecaError if the recipe's file cannot be read.

    Args:
        given: as in `check_quantization`.
        calibrates: whether a recipe within a budget is chosen for it.
    """
    recipe = named_recipe(given)
    if recipe is not None:
        return recipe.name
    goal = given["max_drop"] is not None or given["max_size"] is not None
    return "mixed" if goal and calibrates else str(given["quantize"])


def quantized(
    source: Checkpoint, options: ConvertOptions, given: Mapping[str, Any], stages: Stages | None
) -> ConvertOptions:
    """The options with the recipe and the rounding that were asked for.

    Raises:
        VecaError: a recipe that cannot be read, images that cannot be used, or no recipe within the budget.
    """
    from veca_edge.converters.recipes import ready_recipe

    images = given["calibration"]
    options = replace(options, recipe=named_recipe(given) or ready_recipe(given["quantize"]))
    return options if images is None else _calibrated(source, options, images, given, stages)


def _calibrated(
    source: Checkpoint, options: ConvertOptions, images: Path, given: Mapping[str, Any], stages: Stages | None
) -> ConvertOptions:
    from veca_edge.calibration.quantization.calibrator import Calibrator, file_size
    from veca_edge.calibration.quantization.findings import Goal
    from veca_edge.photos.calibration import read_calibration
    from veca_edge.runtime.machine import read_machine

    machine = read_machine()
    photos = read_calibration(source, images, say=say)
    calibrator = Calibrator(source, photos, None, stages or (lambda *_: None))
    options = replace(options, round=calibrator.round)
    goal = Goal(given["max_drop"], given["max_size"])
    if goal == Goal():
        return options
    report = calibrator.report(
        machine, goal, lambda recipe, round: file_size(source, replace(options, recipe=recipe, round=round))
    )
    assert report.chosen is not None  # there was a goal
    return replace(options, recipe=report.chosen.recipe)
