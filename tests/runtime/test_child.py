from __future__ import annotations

import subprocess
from pathlib import Path

from veca_edge.runtime.child import child_command


def test_modules_of_the_current_folder_are_not_run(tmp_path: Path, default_model_file: Path) -> None:
    """The trial run of a stranger's file must not run what lies beside the file."""
    for name in ("numpy", "torch", "cv2", "veca_edge", "json", "runpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run from the current folder')")
    command = child_command("veca_edge.runtime.trust", str(default_model_file))
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_arguments_arrive(tmp_path: Path) -> None:
    command = child_command("veca_edge.runtime.trust", str(tmp_path / "none.pte"))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.strip().endswith("none.pte: no such file")
