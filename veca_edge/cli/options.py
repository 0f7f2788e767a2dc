"""Options that several commands have, and options whose spelling changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

Command = TypeVar("Command", bound=Callable[..., Any])


class RenamedOption(click.Option):
    """An option that also understands its old spelling, which help and error messages do not show.

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


def path_option(*names: str, metavar: str = "FILE", **given: Any) -> Callable[[Command], Command]:
    """An option that takes the path of a file, or of what `metavar` says."""
    return click.option(*names, type=click.Path(path_type=Path), metavar=metavar, **given)


def threads_option() -> Callable[[Command], Command]:
    """--threads, for a command that runs a model."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        show_default="one per big core",
        help="Use this many threads for every engine.",
    )
