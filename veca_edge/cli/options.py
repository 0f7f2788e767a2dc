"""Options that more than one command has, and options whose spelling changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from veca_edge.cli.parsing import parse_drop, parse_size

Command = TypeVar("Command", bound=Callable[..., Any])


def limit_options(file: str) -> Callable[[Command], Command]:
    """--max-drop and --max-size, for a command that chooses a recipe; `file` is what the size is of."""
    drop = click.option(
        "--max-drop",
        callback=parse_drop,
        metavar="PERCENT",
        help="Find the smallest recipe that loses at most this much, such as 0.5%.",
    )
    size = click.option(
        "--max-size",
        callback=parse_size,
        metavar="SIZE",
        help=f"Find the best recipe for a {file} of at most this size, such as 4MB.",
    )
    return lambda command: drop(size(command))


class RenamedOption(click.Option):
    """An option that also understands its old spelling for one more version, with a warning; help does not show it.

    Example:
        @click.option("--evaluate", cls=RenamedOption, was="--judge", help="Measure on these photos.")

    Args:
        declarations, given: as `click.Option` takes them.
        was: the old spelling; "--old/--no-old" for a flag with two.
    """

    def __init__(self, declarations: Sequence[str], *, was: str, **given: Any) -> None:
        super().__init__(declarations, **given)
        self._old = click.Option([was, f"formerly_{self.name}"], **{**given, "required": False})

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        self._old.add_to_parser(parser, ctx)

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """The value of whichever spelling was given; of both the new one wins."""
        if self._old.name in opts:
            click.echo(f"veca-edge: {self._old.opts[0]} is now {self.opts[0]}", err=True)
            opts = {str(self.name): opts[self._old.name], **opts}
        return super().consume_value(ctx, opts)
