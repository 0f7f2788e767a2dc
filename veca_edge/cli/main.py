"""`veca-edge`: finds the command's module only when it is asked for, so that `--help` stays instant."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from veca_edge import __version__
from veca_edge.errors import VecaError

COMMANDS = {
    "bench": "Measure latency, memory and size of a model on this machine.",
    "convert": "Turn a checkpoint into one file for devices, and verify it.",
    "inspect": "Show what is inside a checkpoint or a model file.",
    "run": "Run a model on a camera, a video, or images.",
    "verify": "Compare a model file with the checkpoint it came from.",
}


class LazyGroup(click.Group):
    """A group whose commands live in `veca_edge.cli.<name>` as a click command called `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"veca_edge.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VecaError as error:
            click.echo(f"veca-edge: {error}", err=True)
            sys.exit(error.exit_status)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="veca-edge")
def main() -> None:
    """Elastic vision transformers on phones and small computers."""


if __name__ == "__main__":
    main()
