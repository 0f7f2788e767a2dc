"""Options that set a goal for a recipe, for the commands that choose one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from veca_edge.cli.parsing import parse_drop, parse_size
from veca_edge.errors import VecaError

Command = TypeVar("Command", bound=Callable[..., Any])


def limit_options(command: Command) -> Command:
    """--max-drop and --max-size, for a command that chooses a recipe."""
    drop = click.option(
        "--max-drop",
        callback=parse_drop,
        metavar="PERCENT",
        help="Choose the smallest recipe that loses at most this much of the mean cosine, and of the accuracy if "
        "the photos have labels, such as 0.5%.",
    )
    size = click.option(
        "--max-size",
        callback=parse_size,
        metavar="SIZE",
        help="Choose the best recipe for a .pte of at most this size, such as 4MB.",
    )
    return drop(size(command))


def check_limits(drop: float | None, size: int | None) -> None:
    """Refuse both limits at once."""
    if drop is not None and size is not None:
        raise VecaError("--max-drop and --max-size cannot be combined: give one of them")
