from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from veca_edge.errors import VecaError
from veca_edge.modelfile.pte import read_model_file
from veca_edge.runtime import trust
from veca_edge.runtime.child import python, run_child


def test_modules_of_the_current_folder_are_not_run(
    tmp_path: Path, default_model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial run of a stranger's file must not run what lies beside the file."""
    for name in ("numpy", "torch", "cv2", "veca_edge", "json", "runpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run from the current folder')")
    monkeypatch.chdir(tmp_path)
    assert run_child("veca_edge.runtime.trust", default_model_file) == {}


def test_arguments_arrive_and_errors_come_back(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match=r"none\.pte: no such file$"):
        run_child("veca_edge.runtime.trust", tmp_path / "none.pte")


def program(path: Path, text: str = "#!/bin/sh\nexit 1\n") -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "python",
        "python3",
        "python3.13t",
        "Python",
        "python.exe",
        "pythonw.exe",
        "python_d.exe",
        "pypy3.10",
        "graalpy",
    ],
)
def test_interpreters_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "executable", str(program(tmp_path / name)))
    assert python() == sys.executable


@pytest.mark.parametrize(
    "name", ["MyApp", "MyApp.exe", "uwsgi", "blender", "pythonista", "python-my-app", "soffice.bin"]
)
def test_apps_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "executable", str(program(tmp_path / name)))
    assert python() is None


@pytest.mark.parametrize("executable", ["", None, "/nowhere/python3"])
def test_no_executable_at_all(monkeypatch: pytest.MonkeyPatch, executable: str | None) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    assert python() is None


def test_this_python_is_one_unless_it_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert python() == sys.executable
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert python() is None


APP = """#!/bin/sh
echo started >> '{log}'
exec '{python}' '{script}'
"""
SCRIPT = """
import sys
from pathlib import Path
{disguise}
from veca_edge.errors import VecaError
from veca_edge.runtime.child import run_child
try:
    run_child("veca_edge.runtime.trust", Path("none.pte"), timeout=60)
except VecaError as error:
    print("not JSON")
    sys.exit(str(error))
"""


@pytest.mark.skipif(os.name != "posix", reason="shell script")
@pytest.mark.parametrize(("name", "starts"), [("MyApp", 1), ("python3", 2)])
def test_an_app_does_not_start_itself_again_and_again(tmp_path: Path, name: str, starts: int) -> None:
    """A launcher runs its own script whatever it is told; one that is called like Python is found out at once."""
    log, script = tmp_path / "log", tmp_path / "app.py"
    app = program(tmp_path / name, APP.format(log=log, python=sys.executable, script=script))
    script.write_text(SCRIPT.format(disguise=f"sys.executable = {str(app)!r}"))
    done = subprocess.run([app], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert log.read_text().splitlines() == ["started"] * starts
    assert done.returncode == 1
    assert "none.pte: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "this app cannot start Python for it" in done.stderr


def test_inside_an_app_files_are_tried_in_its_own_process(
    default_model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VECA_EDGE_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(subprocess, "Popen", None)
    file = read_model_file(default_model_file)
    trust.ensure_harmless(file)
    marker = trust._marker(file)
    assert marker is not None
    assert marker.exists()
