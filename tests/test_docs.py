"""Every page: its links lead somewhere, its commands and its Python work as they stand there.

All examples run in one folder with small stand-ins for the files that the pages speak of, page by page and line by
line, each command line once. `NOT_RUN` and `SLOW` (`pages.py`) name what is not run and why; its options are
checked. `test_fresh.py` runs the same in an environment of its own.
"""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import click
import pytest
from click.testing import CliRunner

from tests.apps.java_bridge import Java
from tests.apps.objective_c import ObjectiveC
from tests.pages import (
    NOT_RUN,
    SLOW,
    Example,
    furnish,
    make_folders,
    matches,
    page_paths,
    read_page,
    require_success,
    to_make,
)
from tests.paths import ROOT
from veca_edge.cli import options
from veca_edge.cli.main import COMMANDS, main
from veca_edge.model.config import VecaConfig
from veca_edge.model.flops import model_gflops

PAGES = {path: read_page(path) for path in page_paths()}
COMMAND_LINES = [example for page in PAGES.values() for example in page.commands]
CODE = [example for page in PAGES.values() for example in page.code]
MENTIONS = [example for page in PAGES.values() for example in page.mentions]


@dataclass
class Desk:
    """The folder in which the examples run.

    Attributes:
        done: command lines that ran, with what became of them: no line is run twice.
        names: of Python's examples, by page; what one defines the next ones may use.
    """

    folder: Path
    done: dict[str, click.testing.Result] = field(default_factory=dict)
    names: dict[Path, dict[str, Any]] = field(default_factory=dict)

    def run(self, line: str) -> click.testing.Result:
        if line not in self.done:
            self.done[line] = CliRunner().invoke(main, shlex.split(line)[1:])
        return self.done[line]

    def work(self, line: str) -> None:
        result = self.run(line)
        require_success(result.exit_code, f"{result.output} ({result.exception!r})")

    def provide(self, text: str) -> None:
        """Make the model files that an example names."""
        for command in to_make(self.folder, text):
            self.work(command)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("pages")
    furnish(folder)
    return Desk(folder)


def _params(examples: list[Example], slow: Mapping[str, str] = {}) -> list[Any]:
    return [
        pytest.param(example, id=str(example), marks=[pytest.mark.slow] if matches(example, slow) else [])
        for example in examples
    ]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for link in PAGES[page].links:
        if re.match(r"https?://|mailto:", link.text):
            continue
        name, _, anchor = link.text.partition("#")
        target = (ROOT / page.parent / name).resolve() if name else ROOT / page
        assert target.exists(), str(link)
        if anchor:
            assert anchor in read_page(target.relative_to(ROOT)).headings, str(link)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_sources_are_there(page: Path) -> None:
    for source in PAGES[page].sources:
        assert any((place / source.text).is_file() for place in (ROOT / page.parent, ROOT, ROOT / "veca_edge")), (
            str(source)
        )


def test_the_first_page_links_to_all_others() -> None:
    linked = {link.text.partition("#")[0] for link in PAGES[Path("README.md")].links}
    assert {str(page) for page in PAGES if page.name == "README.md" and page.parts[0] != "tests"} <= {
        *linked,
        "README.md",
    }


def test_there_are_commands_of_every_kind() -> None:
    found = {shlex.split(e.text)[1] for e in COMMAND_LINES if e.text.startswith("veca-edge ")}
    assert found == set(COMMANDS)


@pytest.mark.parametrize("example", _params(COMMAND_LINES))
def test_a_command_is_possible(example: Example, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs, options, files and targets exist, also of what is not run."""
    program, *arguments = shlex.split(example.text)
    if program == "torchrun":
        arguments = arguments[arguments.index("veca_edge.cli.main") + 1 :]
    if program in ("veca-edge", "torchrun"):
        _parse([argument for argument in arguments if argument != "…"])
        assert " is now " not in capsys.readouterr().err, "an old name of an option"
    elif program == "python":
        assert (ROOT / arguments[0]).is_file()
    elif program == "make":
        assert set(arguments) <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    elif program == "pip" and arguments[-1].startswith(".["):
        extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        assert set(arguments[-1][2:-1].split(",")) <= set(extras)
    elif program == "cd":
        assert (ROOT / arguments[0]).is_dir()
    else:
        assert matches(example, NOT_RUN), "say in NOT_RUN why this is not run"


def _parse(arguments: list[str]) -> None:
    context = main.make_context("veca-edge", list(arguments))
    name, command, rest = main.resolve_command(context, list(arguments))
    assert command is not None
    with pytest.MonkeyPatch.context() as patch:  # no example's files are here
        patch.setattr(options, "existing", Path)
        command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("example", _params(MENTIONS))
def test_a_mentioned_option_exists(example: Example) -> None:
    _, name, *words = example.text.split()
    command = main.get_command(click.Context(main), name)
    assert command is not None, name
    options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("example", _params([e for e in COMMAND_LINES if not matches(e, NOT_RUN)], SLOW))
def test_a_command_works(desk: Desk, monkeypatch: pytest.MonkeyPatch, example: Example) -> None:
    monkeypatch.chdir(desk.folder)
    program, *arguments = shlex.split(example.text)
    desk.provide(example.text.partition("--output")[0])
    make_folders(desk.folder, example)
    if program == "veca-edge":
        desk.work(example.text)
    else:
        monkeypatch.setattr(sys, "argv", arguments)
        runpy.run_path(str(ROOT / arguments[0]), run_name="__main__")


@pytest.fixture
def phones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python on a phone finds there."""
    from veca_edge_mobile import ios

    monkeypatch.setitem(sys.modules, "java", cast(ModuleType, Java()))
    monkeypatch.setattr(ios, "Rubicon", ObjectiveC)


@pytest.mark.parametrize("example", _params(CODE))
@pytest.mark.usefixtures("phones")
@pytest.mark.filterwarnings("ignore::veca_edge.errors.VecaWarning")
def test_python_works(desk: Desk, monkeypatch: pytest.MonkeyPatch, example: Example) -> None:
    from veca_edge.photos.samples import sample_images

    monkeypatch.chdir(desk.folder)
    desk.provide(example.text)
    photos = sample_images()
    names = desk.names.setdefault(example.page, {"image": photos[0], "camera": photos[:3], "frames": photos[:3]})
    # Empty lines above, so that a traceback names the page's own line.
    exec(compile("\n" * (example.line - 1) + example.text, str(ROOT / example.page), "exec"), names)


def test_the_apps_name_one_executorch() -> None:
    """Of the release that converts, whose files an older one need not read."""
    named = {
        "apps/README.md": r"installed ExecuTorch, ([\d.]+)",
        "apps/ios/README.md": r"swiftpm-([\d.]+)\"",
        "apps/android/gradle/libs.versions.toml": r'executorch = "([\d.]+)"',
        "apps/python-mobile/android/app/build.gradle.kts": r'executorch-android:([\d.]+)"',
    }
    found = {name: re.findall(pattern, (ROOT / name).read_text()) for name, pattern in named.items()}
    (one,) = found["apps/README.md"]
    assert set(map(tuple, found.values())) == {(one,)}
    (least,) = set(re.findall(r"executorch>=([\d.]+)", (ROOT / "pyproject.toml").read_text()))
    assert one == least


def test_figures_are_the_counted_ones() -> None:
    """Billions of operations per frame, in the apps' guide."""
    sizes = {
        "packaged": VecaConfig("custom", 192, 3, 8, 512),
        "`small`": VecaConfig("small", 384, 6, 12, 1024),
        "`base`": VecaConfig("base", 768, 12, 12, 2048),
    }
    lines = (ROOT / "apps" / "README.md").read_text().splitlines()
    for name, config in sizes.items():
        row = next(line for line in lines if line.startswith(f"| {name}"))
        found = [float(cell) for cell in row.split("|")[2:5]]
        counted = [model_gflops(config, size, cores) for size, cores in ((256, 8), (256, 64), (512, 64))]
        assert found == pytest.approx(counted, rel=0.03)
