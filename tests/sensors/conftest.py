"""Real folders that look like the kernel's, and clocks that stand still."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Grow = Callable[..., str]


class Clock:
    """Seconds that only a test moves."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


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
