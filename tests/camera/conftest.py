from __future__ import annotations

from pathlib import Path

import pytest

import veca_edge
from veca_edge.camera.sources import Frame, open_source


@pytest.fixture(scope="session")
def clip() -> Path:
    return Path(veca_edge.__file__).parent / "assets" / "clip.mp4"


@pytest.fixture(scope="session")
def frames(clip: Path) -> list[Frame]:
    """All frames of the packaged clip."""
    with open_source(str(clip)) as source:
        return list(source)
