"""`veca-edge`: finds the command's module only when it is asked for, so that `--help` stays instant."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from veca_edge._version import __version__
from veca_edge.encoding import escape_streams
from veca_edge.errors import VecaError

GROUPS = {
    "Run": {
        "run": "Run a model on a camera, a video, or images.",
        "sensors": "Show this device's battery, heat and power.",
        "profile": "Measure how long each run configuration takes on this device.",
        "match": "Find corresponding places in two pictures.",
        "teach": "Name your own things with a handful of examples.",
    },
    "Find": {
        "index": "Compute the embeddings of a folder of pictures, for `search`.",
        "search": "Find the pictures that are most like one, or like each other.",
    },
    "Convert": {
        "convert": "Turn a checkpoint into one file for devices, and verify it.",
        "verify": "Compare a model file with the checkpoint it was made from.",
        "inspect": "Show what a checkpoint or a model file contains.",
    },
    "Measure": {
        "evaluate": "Evaluate a model on photos with right answers.",
        "bench": "Measure latency, memory and size of a model on this machine.",
        "calibrate": "Measure what each layer loses at fewer bits, and choose a recipe.",
        "simulate": "Try the governor on a simulated device or on a recording.",
    },
    "Train": {
        "train": "Train a model with nested core budgets on photos.",
        "fit-head": "Teach a model your own labels from folders of photos.",
        "average": "Average checkpoints that were trained on from a common one.",
    },
}
COMMANDS = {name: summary for group in GROUPS.values() for name, summary in group.items()}
NAME = "veca-edge"
DEBUG = "VECA_EDGE_DEBUG"
# Symbolic links to folders beside the package; where Git does not make links they are small text files.
LINKED = ("veca_edge.converters", "veca_edge.calibration")
UNLINKED = (
    "{} is not a link to its folder, because Git made this copy without symbolic links: run "
    "`git config core.symlinks true`, delete veca_edge/converters and veca_edge/calibration, and run "
    "`git checkout -- veca_edge`"
)


class LazyGroup(click.Group):
    """A group whose commands live in `veca_edge.cli.<name>` as a click command called `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"veca_edge.cli.{name.replace('-', '_')}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The group's own options; without any argument this shows the help, which is no failure."""
        with _failures_in_one_line():
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named first, or a usage error with the names most like it."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = " or ".join(repr(name) for name in get_close_matches(args[0], COMMANDS))
            ctx.fail(f"No such command {args[0]!r}.{near and f' Did you mean {near}?'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))  # so that the groups' second columns line up
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        with _failures_in_one_line():
            return super().invoke(ctx)


@contextmanager
def _failures_in_one_line() -> Iterator[None]:
    try:
        yield
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError, click.Abort, BrokenPipeError):
        raise
    except click.ClickException as error:
        _fail_usage(error)
    except VecaError as error:
        _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        _fail("interrupted", 128 + signal.SIGINT)
    except MemoryError:
        _fail("out of memory: use a smaller image size or model", 1)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        _fail(f"{where}{error.strerror or error}", 1)
    except ModuleNotFoundError as error:
        if error.name not in LINKED:
            raise
        _fail(UNLINKED.format(error.name.replace(".", "/")), 2)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        _fail(f"internal error: {type(error).__name__}: {error} (set {DEBUG}=1 to see where)", 1)


def _fail(message: str, status: int) -> NoReturn:
    """Print one line and exit, whatever has become of the streams."""
    with suppress(OSError):
        click.echo(f"{NAME}: {' '.join(message.split())}", err=True)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # on a full disk, say: Python would try again at its end, and exit with another status
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


def _fail_usage(error: click.ClickException) -> NoReturn:
    """What click prints in three lines, in one; a suggestion stands in for the hint at the help."""
    message = error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = "" if context is None or "Did you mean" in message else f" (see `{context.command_path} --help`)"
    _fail(f"{message[:1].lower()}{message[1:].rstrip('.')}{hint}", error.exit_code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=NAME)
def main() -> None:
    """Elastic vision transformers on phones and small computers."""


def entry() -> None:
    """The console script: `main` with streams and signals in order."""
    _open_missing_streams()
    if not os.environ.get(DEBUG):
        _mute_native_code()
    escape_streams()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            # An exception instead of sudden death, so that unfinished files are removed.
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    main(prog_name=NAME)


def _open_missing_streams() -> None:
    """Native libraries write to descriptors 1 and 2 whatever they are; closed ones become the null device."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdin = sys.stdin or Path(os.devnull).open()  # noqa: SIM115 - open as long as the process
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115


def _mute_native_code() -> None:
    """Let descriptor 2, where decoders and thread pools write, be the null device, and Python write where it led.

    What matters of their complaints is said in this package's own words.
    """
    sys.stderr.flush()
    listener = os.dup(2)
    sys.stderr = os.fdopen(listener, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


if __name__ == "__main__":
    entry()
