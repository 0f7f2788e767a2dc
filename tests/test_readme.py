"""The README's commands and code, run as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT
from veca_edge.cli.main import COMMANDS, main

TEXT = (ROOT / "README.md").read_text()
# Indented lines, and code in backticks at the head of a table.
LINES = re.findall(r"^    (veca-edge .*)$", TEXT, re.MULTILINE) + re.findall(r"`(veca-edge [^`]*)`", TEXT)
ARGUMENTS = [shlex.split(line, comments=True)[1:] for line in LINES]
BY_NAME = {" ".join(arguments): arguments for arguments in ARGUMENTS}


def _needs_hardware(arguments: list[str]) -> bool:
    """A camera or a window; or minutes on a quiet machine, or hours."""
    training = arguments[0] == "train" and "--print-config" not in arguments
    minutes = arguments[0] == "bench" or "--measure" in arguments or training or "--serve" in arguments
    return minutes or (arguments[0] == "run" and "--headless" not in arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README speaks of."""
    path = tmp_path_factory.mktemp("readme")
    shutil.copy(ROOT / "tests" / "golden" / "published-96.pt", path / "veca.pt")
    shutil.copy(ROOT / "veca_edge" / "assets" / "clip.mp4", path)
    shutil.copytree(ROOT / "veca_edge" / "assets" / "photos", path / "photos")
    for index, photo in enumerate(sorted((path / "photos").glob("*.jpg"))):
        label = path / "labelled" / ("one", "two")[index % 2]
        label.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, label)
    return path


def test_there_are_commands_of_every_kind() -> None:
    assert {arguments[0] for arguments in ARGUMENTS} == set(COMMANDS)


@pytest.mark.parametrize("arguments", BY_NAME.values(), ids=BY_NAME.keys())
def test_options_exist(arguments: list[str]) -> None:
    context = main.make_context("veca-edge", list(arguments))
    name, command, rest = main.resolve_command(context, list(arguments))
    assert command is not None
    command.make_context(name, rest, parent=context)


RUNNABLE = {name: arguments for name, arguments in BY_NAME.items() if not _needs_hardware(arguments)}


def _has_tests_of_its_own(arguments: list[str]) -> bool:
    """Conversions that take twenty seconds each, and that other tests make as well."""
    calibrates = arguments[0] == "calibrate" or "--calibration" in arguments
    return calibrates or arguments == ["convert"] or "--max-patches" in arguments


CASES = [
    pytest.param(arguments, marks=[pytest.mark.slow] if _has_tests_of_its_own(arguments) else [], id=name)
    for name, arguments in RUNNABLE.items()
]


@pytest.mark.parametrize("arguments", CASES)
def test_commands_work_in_order(folder: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "veca_edge.cli.main", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_python_code_works(folder: Path, default_model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from veca_edge.photos.samples import sample_images

    monkeypatch.chdir(folder)
    shutil.copy(default_model_file, "veca.pte")  # has a head, for `top`
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(code, {"image": sample_images()[0], "camera": sample_images()[:3]})


def test_pictures_are_there() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]*)\)", TEXT):
        assert (ROOT / path).is_file()
