"""Where things lie that tests look at."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
ASSETS = Path(str(resources.files("veca_edge.assets")))
CLIP = ASSETS / "clip.mp4"
