"""Importing the package takes numpy and nothing heavier; help needs no engine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from veca_edge.cli.main import COMMANDS
from veca_edge.errors import VecaError, require

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "executorch", "coremltools", "cv2", "torchao"}:
            raise ImportError(f"{name} was imported")
sys.meta_path.insert(0, Block())
"""

MODULES = (
    *("veca_edge", "veca_edge.session", "veca_edge.cli.main", "veca_edge.model.config"),
    *(
        "veca_edge.runtime.model",
        "veca_edge.runtime.engines.executorch",
        "veca_edge.calibration.simulation.evaluate",
    ),
)
ROOMS = ("camera", "playback", "sensors", "governor", "modelfile", "image", "gallery")  # with all that is in them


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", MODULES)
def test_import_is_light(module: str) -> None:
    result = _python(f"{BLOCK}\nimport {module}")
    assert result.returncode == 0, result.stderr


def test_nothing_but_numpy_comes_along() -> None:
    code = "import sys, veca_edge; print({n.split('.')[0] for n in sys.modules} - set(sys.stdlib_module_names))"
    names = eval(_python(code).stdout)
    assert {n for n in names if not n.startswith("_")} <= {"numpy", "veca_edge", "sitecustomize"}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_light(room: str) -> None:
    code = (
        f"{BLOCK}\nimport pkgutil, veca_edge.{room} as room\n"
        "for found in pkgutil.walk_packages(room.__path__, room.__name__ + '.'): __import__(found.name)"
    )
    result = _python(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_engine(command: str) -> None:
    code = f"{BLOCK}\nfrom veca_edge.cli.main import main\nmain(['{command}', '--help'])"
    result = _python(code)
    assert result.returncode == 0, result.stderr
    assert "Usage:" in result.stdout


@pytest.mark.parametrize(
    ("package", "arguments", "said"),
    [
        ("torch", ["convert"], "this needs torch, which is not installed: pip install 'veca-edge[convert]'"),
        ("cv2", ["run", "--headless"], "this needs cv2, which is not installed: pip install 'veca-edge[run]'"),
        # What is not there is said first.
        ("cv2", ["run", "nowhere.pte", "--headless"], "nowhere.pte: no such file or folder: check the path"),
        ("cv2", ["run", "--source", "nowhere.mp4"], "nowhere.mp4: no such file or folder: check the path"),
        ("torch", ["inspect", "nowhere.pt"], "nowhere.pt: no such file or folder: check the path"),
    ],
)
def test_a_missing_package_is_one_line(package: str, arguments: list[str], said: str) -> None:
    hide = BLOCK + (
        "import importlib.util as u\nfind = u.find_spec\n"
        f"u.find_spec = lambda name, *a: None if name == {package!r} else find(name, *a)\n"
    )
    result = _python(hide + f"from veca_edge.cli.main import main\nmain({arguments})")
    assert result.returncode == 2
    assert result.stderr.strip() == f"veca-edge: {said}"


def test_a_package_that_a_newer_python_lacks_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    older, newer = r"is not installed: pip install 'veca-edge\[coreml\]'", "there is not for Python 3.14: use"
    for version, expected in (((3, 13), older), ((3, 14), newer)):
        monkeypatch.setattr("sys.version_info", version)
        with pytest.raises(VecaError, match=rf"^this needs coremltools, which {expected}"):
            require("coremltools", "coreml")
