"""Where things lie in a saved package, and how to change them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veca_edge.modelfile.mlpackage import MANIFEST_KEY
from veca_edge.modelfile.mlprogram.protobuf import parse_model

SPECIFICATION = Path("Data", "com.apple.CoreML", "model.mlmodel")
WEIGHTS = Path("Data", "com.apple.CoreML", "weights", "weight.bin")


def edit(package: Path, change: Callable[[Any], object]) -> None:
    """Change the `Model` message of a package in place."""
    model = parse_model((package / SPECIFICATION).read_bytes())
    change(model)
    (package / SPECIFICATION).write_bytes(model.SerializeToString())


def make_older(model: Any) -> None:
    """Leave out the digest of the specification, as in packages from before there was one."""
    entries = model.description.metadata.userDefined
    manifest = json.loads(entries[MANIFEST_KEY])
    del manifest["specification_digest"]
    entries[MANIFEST_KEY] = json.dumps(manifest)
