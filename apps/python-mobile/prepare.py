"""Put the model, the golden photos and the expectation where the two apps look for them.

python apps/python-mobile/prepare.py            # with veca-edge[convert,coreml] installed
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOLDEN = ROOT / "tests" / "golden" / "end-to-end.json"


def place(golden: Path, data: Path, photos: Path) -> None:
    """The expectation into `data`, the photos that it names into `photos`."""
    for folder in (data, photos):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(golden, data)
    for photo in json.loads(golden.read_text())["photos"]:
        with resources.as_file(resources.files("veca_edge.assets") / "photos" / photo["file"]) as path:
            shutil.copy(path, photos)


def convert(target: str, output: Path) -> None:
    """The model that comes with veca-edge, as `veca-edge convert` makes it."""
    arguments = ["convert", "--target", target, "--output", str(output)]
    subprocess.run([sys.executable, "-m", "veca_edge.cli.main", *arguments], check=True)


def main() -> None:
    android, ios = HERE / "android" / "app", HERE / "ios" / "src" / "vecacheck" / "resources"
    data = android / "src" / "main" / "python" / "data"
    place(GOLDEN, data, android / "src" / "main" / "assets")
    place(GOLDEN, ios, ios)
    convert("executorch", data / "model.pte")
    convert("coreml", ios / "model.mlpackage")
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(android), str(ROOT)]
    subprocess.run(wheel, check=True)


if __name__ == "__main__":
    main()
