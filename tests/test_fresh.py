"""The pages' commands and Python in environments made as the README says, without packages for developers."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pages import (
    NOT_RUN,
    Example,
    Page,
    furnish,
    make_folders,
    matches,
    page_paths,
    read_page,
    require_success,
    to_make,
)
from tests.paths import ROOT

pytestmark = pytest.mark.slow

PAGES = [read_page(path) for path in page_paths()]
LINES = {example.text: example for page in PAGES for example in page.commands if not matches(example, NOT_RUN)}
PHONES = Path("apps/python-mobile")  # where Python is for phones
WITH_PYTHON = [page for page in PAGES if page.code and not page.path.is_relative_to(PHONES)]
# All of a page's Python in one process: what one example defines the next ones may use.
PYTHON = """
import sys
from veca_edge.photos.samples import sample_images

photos = sample_images()
names = {"image": photos[0], "camera": photos[:3], "frames": photos[:3]}
for path in sys.argv[1:]:
    exec(compile(open(path, encoding="utf-8").read(), path, "exec"), names)
"""
NEEDS = "this needs {}, which is not installed: pip install 'veca-edge[run]'"


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the package installed, and a folder to work in.

    Attributes:
        bin: where its programs are.
        desk: the folder, with what the pages speak of.
    """

    bin: Path
    desk: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs there, as someone does who activated it."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        variables |= {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "VECA_EDGE_CACHE": str(self.desk / "cache"),
        }
        program = str(self.bin / command[0])
        return subprocess.run(
            [program, *command[1:]],
            cwd=self.desk,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

    def work(self, *command: str) -> None:
        done = self.run(*command)
        require_success(done.returncode, done.stdout + done.stderr)
        assert "Traceback" not in done.stderr

    def provide(self, text: str) -> None:
        """Make the model files that an example names."""
        for command in to_make(self.desk, text):
            self.work(*shlex.split(command))


def _environment(folder: Path, wanted: str) -> Environment:
    """A new one with `pip install WANTED` done in a copy of the repository, in which a build leaves files."""
    source, desk = folder / "source", folder / "desk"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info")
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignored)
    desk.mkdir()
    furnish(desk)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    found = Environment(folder / "venv" / "bin", desk)
    pip = [str(found.bin / "pip"), "install", "--quiet", wanted]
    done = subprocess.run(pip, cwd=source, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    return found


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With all extras."""
    made = _environment(tmp_path_factory.mktemp("all"), ".[all]")
    assert made.run("python", "-c", "import pytest").returncode != 0
    return made


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Without extras."""
    return _environment(tmp_path_factory.mktemp("plain"), ".")


@pytest.mark.parametrize("example", LINES.values(), ids=str)
def test_a_command_works(everything: Environment, example: Example) -> None:
    program, *arguments = shlex.split(example.text)
    if program == "python":
        arguments[0] = str(ROOT / arguments[0])
    everything.provide(example.text.partition("--output")[0])
    make_folders(everything.desk, example)
    everything.work(program, *arguments)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: str(page.path))
def test_python_works(everything: Environment, page: Page, tmp_path: Path) -> None:
    paths = []
    for example in page.code:
        path = tmp_path / f"line-{example.line}.py"
        path.write_text(example.text, "utf-8")
        paths.append(str(path))
        everything.provide(example.text)
    everything.work("python", "-c", PYTHON, *paths)


def test_without_extras_it_reads_model_files(everything: Environment, nothing: Environment) -> None:
    everything.provide("veca.pte")
    file = everything.desk / "veca.pte"
    for arguments in (f"inspect {file}", "sensors", "simulate --minutes 1 --governor balanced", "--help"):
        done = nothing.run("veca-edge", *arguments.split())
        assert done.returncode == 0, done.stderr
    assert nothing.run("python", "-c", "import veca_edge").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("inspect veca.pt", NEEDS.format("torch")),
        ("run --source clip.mp4 --headless", NEEDS.format("cv2")),
        ("run nowhere.pte --source clip.mp4 --headless", "nowhere.pte: no such file or folder: check the path"),
        ("run --source nowhere.mp4", "nowhere.mp4: no such file or folder: check the path"),
        ("convert nowhere.pt", "nowhere.pt: no such file or folder: check the path"),
        ("verify nowhere.pte", "nowhere.pte: no such file or folder: check the path"),
        ("match nowhere.jpg photo.jpg", "nowhere.jpg: no such file or folder: check the path"),
        ("train --data nowhere --output model.pt", "nowhere: no such file or folder: check the path"),
    ],
)
def test_without_extras_the_rest_says_what_is_missing(nothing: Environment, arguments: str, said: str) -> None:
    done = nothing.run("veca-edge", *arguments.split())
    assert (done.returncode, done.stderr.strip()) == (2, f"veca-edge: {said}")
