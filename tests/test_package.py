"""What `pip install` puts where: one importable name with everything inside; and copies without symbolic links."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.paths import ASSETS, ROOT

LINKED = ("converters", "calibration")  # folders beside the package, links inside it
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def _run(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env=os.environ | variables, timeout=120
    )


def _python(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python with the package of a folder and what it depends on, but no editable installation of it (`-S`)."""
    places = os.pathsep.join((str(folder), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    return _run([sys.executable, "-S", *arguments], PYTHONPATH=places, **variables)


def _command(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return _python(folder, "-m", "veca_edge.cli.main", *arguments, **variables)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is made from: a build leaves files beside its source."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("veca_edge", *LINKED):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=IGNORED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def installed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, without what it depends on."""
    wheels, folder = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    built = _run([*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(wheels), str(source)])
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = wheels.iterdir()
    done = _run([*pip, "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel)])
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_one_name_is_importable(installed: Path) -> None:
    assert [module.name for module in pkgutil.iter_modules([str(installed)])] == ["veca_edge"]


@pytest.mark.parametrize("module", ["veca_edge", *(f"veca_edge.{name}" for name in LINKED), "veca_edge.cli.main"])
def test_a_module_comes_from_there(installed: Path, module: str) -> None:
    found = _python(installed, "-c", f"import {module} as m; print(m.__file__)")
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).is_relative_to(installed)


@pytest.mark.parametrize("name", ["veca_edge", *LINKED])
def test_everything_is_inside(installed: Path, name: str) -> None:
    """Sources, and what they read: assets, recipes, the web page, tables of the simulation."""
    folder = installed / "veca_edge" / (name if name in LINKED else "")
    wanted = [
        path.relative_to(ROOT / name)
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".md")
    ]
    assert len(wanted) > 10
    assert not [path for path in wanted if not (folder / path).is_file()]


def test_the_command_runs(installed: Path) -> None:
    result = _command(installed, "simulate", "--minutes", "1", "--governor", "balanced")
    assert result.returncode == 0, result.stderr


def test_the_packaged_model_runs_on_the_packaged_clip(installed: Path, default_model_file: Path) -> None:
    """The conversion is taken from the cache: the installed checkpoint has the same digest."""
    clip = installed / "veca_edge" / "assets" / "clip.mp4"
    result = _command(installed, "run", "--headless", "--source", str(clip), "--frames", "3", "--json")
    assert result.returncode == 0, result.stderr
    assert (json.loads(result.stdout)["frames"], "converting" in result.stderr) == (3, False)


@pytest.fixture(scope="module")
def unlinked(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone as Git for Windows makes it by default: links are files that name their target."""
    copy = tmp_path_factory.mktemp("unlinked")
    shutil.copytree(source / "veca_edge", copy / "veca_edge", symlinks=True)
    for name in LINKED:
        link = copy / "veca_edge" / name
        target = str(link.readlink())
        link.unlink()
        link.write_text(target)
    return copy


@pytest.mark.parametrize(
    "command", ["convert", "calibrate", "simulate", "bench", "run --headless --source {photo}"]
)
def test_without_links_commands_say_what_to_do(unlinked: Path, tmp_path: Path, command: str) -> None:
    arguments = command.format(photo=ASSETS / "photos" / "milk.jpg").split()
    result = _command(unlinked, *arguments, VECA_EDGE_CACHE=str(tmp_path))
    assert result.returncode == 2, result.stderr
    last = result.stderr.splitlines()[-1]
    assert re.match(r"veca-edge: veca_edge/(converters|calibration) is not a link .*core\.symlinks true", last)
    assert "Traceback" not in result.stderr


def test_without_links_the_rest_works(unlinked: Path) -> None:
    assert _command(unlinked, "sensors").returncode == 0
