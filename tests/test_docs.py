"""Every page: its links lead somewhere, its commands and its Python work as they stand there.

All examples run in one folder with small stand-ins for the files that the pages speak of, page by page and line by
line, each command line once. `NOT_RUN` and `SLOW` name what is not run and why; its options are checked.
"""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
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
from tests.pages import Example, page_paths, read_page
from tests.paths import ASSETS, CLIP, ROOT
from veca_edge.cli import options
from veca_edge.cli.main import COMMANDS, main
from veca_edge.model.config import VecaConfig
from veca_edge.model.flops import model_gflops

PAGES = {path: read_page(path) for path in page_paths()}
COMMAND_LINES = [example for page in PAGES.values() for example in page.commands]
CODE = [example for page in PAGES.values() for example in page.code]
MENTIONS = [example for page in PAGES.values() for example in page.mentions]
FRAMES = 40  # of the clip, enough for the governor's first look

# By the beginning of a command, or all of it: why it is not run.
NOT_RUN = {
    r"veca-edge run(?!.*--headless)": "needs a camera or a screen, or waits for visitors",
    r"veca-edge run .*--(serve|source rtsp|camera)": "waits for visitors, or needs a camera",
    r"veca-edge bench": "minutes on a quiet machine; tests/cli/test_bench.py runs it at small sizes",
    r"veca-edge train(?!.*--print-config)|torchrun": "hours; tests/cli/test_train.py trains a small model",
    r"veca-edge sensors .*--(watch|record)(?!.*--samples)": "goes on until Ctrl-C",
    r"veca-edge .*…": "a pattern, not a command",
    r"make|pip|apt|git": "changes the machine, or needs a network",
    r"python (apps/python-mobile/prepare|tests/golden/\w+)\.py": "writes into the repository",
    r"python apps/desktop/demo\.py": "needs a camera or a screen; tests/apps/test_desktop.py plays a clip",
    r"unzip|ssh|adb|cd|briefcase|gradle|swift|xcodegen": "needs a program or a device that is not here",
}
# The same for what takes over ten seconds and has tests of its own: run with RUN_SLOW=1.
SLOW = {
    r"veca-edge calibrate": "tests/cli/test_calibrate.py",
    r"veca-edge convert(?! veca\.pt --target (executorch|coreml) --output [Vv]eca\.)": "tests/cli/test_convert*.py",
}


def _matches(example: Example, table: Mapping[str, str]) -> bool:
    return any(re.match(pattern, example.text) for pattern in table)


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

    def provide(self, text: str) -> None:
        """Make the model files that an example names."""
        for name, target in (("veca.pte", "executorch"), ("Veca.mlpackage", "coreml")):
            if name in text and not (self.folder / name).exists():
                made = self.run(f"veca-edge convert veca.pt --target {target} --output {name}")
                assert made.exit_code == 0, made.output


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A folder with veca.pt, clip.mp4, two shelves, photo.jpg, photos/ and labelled/; veca.pte when it is named."""
    from tests.converters.checkpoints import random_checkpoint
    from veca_edge.model.checkpoint import write_checkpoint

    folder = tmp_path_factory.mktemp("pages")
    write_checkpoint(random_checkpoint(("milk", "juice", "bread"), num_cores=64), folder / "veca.pt")
    shutil.copytree(ASSETS / "photos", folder / "photos")
    shutil.copy(ASSETS / "photos" / "milk.jpg", folder / "photo.jpg")
    for index, photo in enumerate(sorted((folder / "photos").glob("*.jpg"))):
        label = folder / "labelled" / ("milk", "juice")[index % 2]
        label.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, label)
    _write_clip(folder / "clip.mp4")
    return Desk(folder)


def _write_clip(path: Path) -> None:
    import cv2

    clip = cv2.VideoCapture(str(CLIP))
    frames = [clip.read()[1] for _ in range(FRAMES)]
    for name, frame in (("shelf-1.jpg", frames[0]), ("shelf-2.jpg", frames[-1])):  # two looks at one scene
        cv2.imwrite(str(path.with_name(name)), frame)
    height, width, _ = frames[0].shape
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    clip.release()


def _params(examples: list[Example], slow: Mapping[str, str] = {}) -> list[Any]:
    return [
        pytest.param(example, id=str(example), marks=[pytest.mark.slow] if _matches(example, slow) else [])
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
        assert _matches(example, NOT_RUN), "say in NOT_RUN why this is not run"


def _parse(arguments: list[str]) -> None:
    context = main.make_context("veca-edge", list(arguments))
    name, command, rest = main.resolve_command(context, list(arguments))
    assert command is not None
    with pytest.MonkeyPatch.context() as patch:  # no example's files are here
        patch.setattr(options, "is_there", lambda path: True)
        command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("example", _params(MENTIONS))
def test_a_mentioned_option_exists(example: Example) -> None:
    _, name, *words = example.text.split()
    command = main.get_command(click.Context(main), name)
    assert command is not None, name
    options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("example", _params([e for e in COMMAND_LINES if not _matches(e, NOT_RUN)], SLOW))
def test_a_command_works(desk: Desk, monkeypatch: pytest.MonkeyPatch, example: Example) -> None:
    monkeypatch.chdir(desk.folder)
    program, *arguments = shlex.split(example.text)
    desk.provide(example.text.partition("--output")[0])
    for argument in arguments:
        if argument.endswith((".pte", ".mlpackage")):
            Path(argument).parent.mkdir(parents=True, exist_ok=True)  # an app's folder
    if program == "veca-edge":
        result = desk.run(example.text)
        assert result.exit_code == 0, result.output
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
