"""Model files from strangers: run once in a child process before this process runs them.

A program with the right digest can still be hostile or made by a broken tool, and ExecuTorch answers some of those
with a crash. Files that were tried here before (or written by `veca-edge convert` here) are remembered by the
digest of all their bytes and by ExecuTorch's version, so this costs a few seconds once per file and version.

An app (frozen, embedded, on a phone) has no Python that a child could be started with, and its maker chose the
file: there the trial runs in the app's own process, where it still finds values that are not numbers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veca_edge.errors import VecaError
from veca_edge.files import cache_folder
from veca_edge.modelfile.pte import ModelFile
from veca_edge.runtime.child import answer, python, run_child
from veca_edge.runtime.engines.binding import executorch_version

TIMEOUT = 120.0  # seconds for one small image; a large model on a small board needs some of them


def remember(file: ModelFile) -> None:
    """Note that this file's program runs without harm; without a writable cache folder, do nothing."""
    marker = _marker(file)
    if marker is None:
        return
    with contextlib.suppress(OSError):
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def ensure_harmless(file: ModelFile) -> None:
    """Run an unknown file's program in a child process; inside an app in this one.

    Raises:
        VecaError: the program crashed, hung, or could not run one small image.
    """
    with contextlib.suppress(OSError):
        marker = _marker(file)
        if file.digest and marker is not None and marker.exists():
            return
    try:
        if python() is None:
            _try(str(file.path), lambda _: None, threads=None)
        else:
            run_child("veca_edge.runtime.trust", file.path, timeout=TIMEOUT)
    except VecaError as error:
        raise VecaError(f"{error}; it was not loaded") from None
    remember(file)


def _marker(file: ModelFile) -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / "harmless" / f"{file.digest}-{executorch_version()}"


def _try(path: str, progress: Callable[[float], None], threads: int | None = 1) -> dict[str, Any]:
    """What the child does: every method that takes any size, on four patches of grey."""
    import numpy as np

    from veca_edge.modelfile.pte import read_model_file
    from veca_edge.runtime.engines.executorch import ExecutorchEngine

    file = read_model_file(path)
    engine = ExecutorchEngine(file, threads)  # compares the manifest's sizes with the program's
    patches = np.full((4, 3 * file.manifest.patch_size**2), 127, np.float32)
    try:
        for features in engine.try_all(patches):
            if not np.isfinite(features).all():
                raise VecaError(f"{path}: its program computes values that are not numbers")
    finally:
        engine.close()
    return {}


if __name__ == "__main__":
    answer(_try)
