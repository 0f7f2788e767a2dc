"""Real folders that look like the kernel's, and clocks that stand still."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes import Clock

Grow = Callable[..., str]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def grow(tmp_path: Path) -> Grow:
    """Writes files under a root, by path from it, and gives the root; None removes a file."""

    def write(folder: str = "", **files: object) -> str:
        for name, content in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_text(f"{content}\n")
        return str(tmp_path)

    return write


@pytest.fixture
def told() -> list[str]:
    """Takes warnings: pass its `append`."""
    return []
