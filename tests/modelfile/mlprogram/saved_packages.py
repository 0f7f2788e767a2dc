"""Where things lie in a saved package, and how to change them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from veca_edge.modelfile.mlprogram.protobuf import parse_model

SPECIFICATION = Path("Data", "com.apple.CoreML", "model.mlmodel")
WEIGHTS = Path("Data", "com.apple.CoreML", "weights", "weight.bin")


def edit(package: Path, change: Callable[[Any], object]) -> None:
    """Change the `Model` message of a package in place."""
    model = parse_model((package / SPECIFICATION).read_bytes())
    change(model)
    (package / SPECIFICATION).write_bytes(model.SerializeToString())
