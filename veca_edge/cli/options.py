"""Options that several commands have: paths, threads, and spellings that changed.

A spelling that changed works for one more version, hidden, and warns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from veca_edge.errors import VecaError
from veca_edge.files import existing

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
            turned_off = self.secondary_opts and opts[self._old.name] is False
            old, new = (o.secondary_opts[0] if turned_off else o.opts[0] for o in (self._old, self))
            click.echo(f"veca-edge: {old} is now {new}", err=True)
            opts = {str(self.name): opts[self._old.name], **opts}
        return super().consume_value(ctx, opts)


class Count(click.IntRange):
    """A whole number within limits."""

    name = "whole number"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """As in every help text."""
        return "N"


class Number(click.FloatRange):
    """A finite number within limits: click's own type lets "nan" through, which no comparison refuses."""

    name = "number"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """As in every help text."""
        return "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class NamedPath(click.Path):
    """A path. An empty one, such as a shell makes of a variable that is not set, would mean this folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path.

        Raises:
            VecaError: it is empty.
        """
        if not str(value):
            raise VecaError("a file or folder has an empty name: name one, or leave it out")
        return super().convert(value, param, ctx)


class InputPath(NamedPath):
    """A file or folder that must be there: said before anything else, such as a package that is not installed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, `~` expanded.

        Raises:
            VecaError: nothing bears this name.
        """
        return existing(super().convert(value, param, ctx))


class OutputPath(NamedPath):
    """A file to write. Whether that can be done, says whoever writes it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path.

        Raises:
            VecaError: it is "-", which means standard output to many programs, and a file here.
        """
        if str(value) == "-":
            raise VecaError("- is no name for a file: name one, or ./- if it shall be called so")
        return super().convert(value, param, ctx)


def path_option(
    *names: str, metavar: str = "FILE", is_input: bool = False, **given: Any
) -> Callable[[Command], Command]:
    """An option that takes the path of a file, or of what `metavar` says; an input must be there."""
    kind = InputPath() if is_input else OutputPath()
    return click.option(*names, type=kind, metavar=metavar, **given)


def images_option(**given: Any) -> Callable[[Command], Command]:
    """--data, a folder of images to measure on, for a command that has photos of its own as default."""
    return path_option("--data", "images", cls=RenamedOption, was="--images", is_input=True, metavar="DIR", **given)


def unknown_option(given: str = "F") -> Callable[[Command], Command]:
    """--unknown, for a command that fits how sure a head must be of a label.

    Args:
        given: how the help text begins: what else must be given, and an f.
    """
    return path_option(
        "--unknown",
        is_input=True,
        metavar="DIR",
        help=f"{given}it how sure the model must be of a label, so that at most one in ten of the photos in this "
        'folder, of things that it has no label for, gets one. `run` shows "not sure" for the others.',
    )


def model_option(what: str = "Use this checkpoint, .pte file or Core ML package.") -> Callable[[Command], Command]:
    """--model, for a command whose arguments are other things; without it the packaged model is used."""
    return path_option("--model", is_input=True, show_default="the one that comes with the package", help=what)


def threads_option() -> Callable[[Command], Command]:
    """--threads, for a command that runs a model."""
    return click.option(
        "--threads",
        type=Count(min=1),
        show_default="one per big core",
        help="Use this many threads.",
    )


def moved_to_argument(old: str, metavar: str) -> Callable[[Command], Command]:
    """A hidden option that has become an argument: it still works, and warns.

    Args:
        old: the option's spelling; its value arrives as `formerly_` and its name.
        metavar: the argument's name in help texts.
    """

    def warned(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
        if value is not None:
            click.echo(f"veca-edge: {old} is now the argument {metavar}", err=True)
        return value

    name = f"formerly_{old.strip('-').replace('-', '_')}"
    return click.option(old, name, type=InputPath(), hidden=True, callback=warned)
