"""Old spellings of options keep working, say what they are called now, and stay out of the help."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from veca_edge.cli.main import COMMANDS, main
from veca_edge.cli.options import NamedPath, RenamedOption


@click.command()
@click.option("--evaluate", cls=RenamedOption, was="--judge", required=True, type=int, help="How often.")
@click.option("--fast/--slow", cls=RenamedOption, was="--quick/--lame", default=True)
@click.option("--name", "names", cls=RenamedOption, was="--title", multiple=True)
def command(evaluate: int, fast: bool, names: tuple[str, ...]) -> None:
    click.echo(f"{evaluate} {fast} {' '.join(names)}")


@pytest.mark.parametrize(
    ("arguments", "printed", "told"),
    [
        ("--evaluate 3", "3 True", ""),
        ("--judge 3", "3 True", "veca-edge: --judge is now --evaluate"),
        ("--judge=3 --evaluate=4", "4 True", "veca-edge: --judge is now --evaluate"),
        ("--evaluate 3 --lame", "3 False", "veca-edge: --lame is now --slow"),
        ("--evaluate 3 --quick", "3 True", "veca-edge: --quick is now --fast"),
        ("--evaluate 3 --title a --title b", "3 True a b", "veca-edge: --title is now --name"),
    ],
)
def test_old_spellings_work_and_warn_once(arguments: str, printed: str, told: str) -> None:
    result = CliRunner().invoke(command, arguments.split())
    assert (result.exit_code, result.stdout.strip(), result.stderr.strip()) == (0, printed, told)


def test_help_and_errors_speak_of_the_new_spelling() -> None:
    shown = CliRunner().invoke(command, ["--help"]).output
    assert "--evaluate INTEGER" in shown
    assert not any(old in shown for old in ("--judge", "--quick", "--lame", "--title"))
    for arguments in ([], ["--judge", "x"]):
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 2
        assert "'--evaluate'" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_paths_of_every_command_have_names(name: str) -> None:
    """An empty one would mean the folder that one is in."""
    found = main.get_command(click.Context(main), name)
    assert found is not None
    paths = [parameter for parameter in found.params if isinstance(parameter.type, click.Path)]
    assert [parameter.name for parameter in paths if not isinstance(parameter.type, NamedPath)] == []
    assert paths
