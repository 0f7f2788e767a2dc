"""Real folders that look like the kernel's, and clocks that stand still."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import Clock
from veca_edge.sensors.reading import Reader

Grow = Callable[..., str]


def values(reader: Reader) -> dict[str, Any]:
    """What a reader says now, without the sources."""
    return {field: sensed.value for field, sensed in reader.read().items()}


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
