"""Options that set a goal for a recipe, for the commands that choose one."""

from __future__ import annotations

from collections.abc import Callable

import click

from veca_edge.cli.options import Command
from veca_edge.cli.parsing import parse_drop, parse_size


def limit_options(file: str) -> Callable[[Command], Command]:
    """--max-drop and --max-size, for a command that chooses a recipe; `file` is what the size is of."""
    drop = click.option(
        "--max-drop",
        callback=parse_drop,
        metavar="PERCENT",
        help="Find the smallest recipe that loses at most this much against float32, such as 0.5%: of the mean "
        "cosine of embedding and features, and on photos with labels that the model knows also that many "
        "percentage points of accuracy.",
    )
    size = click.option(
        "--max-size",
        callback=parse_size,
        metavar="SIZE",
        help=f"Find the best recipe for a {file} of at most this size, such as 4MB (four million bytes).",
    )
    return lambda command: drop(size(command))
