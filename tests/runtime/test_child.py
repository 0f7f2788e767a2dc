from __future__ import annotations

from pathlib import Path

import pytest

from veca_edge.errors import VecaError
from veca_edge.runtime.child import run_child


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
