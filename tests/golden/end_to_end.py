"""end-to-end.json: three packaged photos through the model that comes with the package, for apps to check against.

The expectation is the checkpoint in fp32 in PyTorch, after Python's preprocessing. What other engines differ by
was measured (`python -m tests.golden.end_to_end`; README.md has the figures). The tolerances leave two to four
times that, far less than what a mistake in an app costs.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import veca_edge
from tests.known import known
from tests.paths import ASSETS, ROOT
from veca_edge.conversion.default import CHECKPOINT, default_model_path
from veca_edge.image.stills import read_image

sys.path.insert(0, str(ROOT / "apps" / "python-mobile" / "shared"))
from veca_edge_mobile.check import Check, golden_checks

PHOTOS = ("tomato.jpg", "juice.jpg", "t-shirt.jpg")
BUDGETS = (8, 32, 64)
TOLERANCES = {
    "executorch-int8": {"embedding_cosine": 0.999, "logits": 0.25, "top1": True},
    "executorch-fp32": {"embedding_cosine": 0.9995, "logits": 0.2, "top1": True},
    "coreml-int8": {"embedding_cosine": 0.999, "logits": 0.25, "top1": True},
}
DECODER = 2  # grey levels by which two JPEG decoders may differ

Image = NDArray[np.uint8]
Json = dict[str, Any]


def photo(name: str) -> Image:
    """uint8 (144, 144, 3), RGB."""
    return read_image(ASSETS / "photos" / name)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def end_to_end_vectors() -> Json:
    path = ASSETS / CHECKPOINT
    model = veca_edge.load(path)
    facts = {
        "name": path.stem,
        "checkpoint_sha256": _digest(path),
        "image_size": model.preprocessing.image_size,
        "labels": list(model.labels),
    }
    return {"model": facts, "tolerances": TOLERANCES, "photos": [_expected(model, name) for name in PHOTOS]}


def _expected(model: veca_edge.Model, name: str) -> Json:
    image = photo(name)
    results = {str(cores): model(image, cores) for cores in BUDGETS}
    return {
        "file": name,
        "sha256": _digest(ASSETS / "photos" / name),
        "mean_rgb": image.mean(axis=(0, 1)).tolist(),
        "budgets": {
            cores: {
                "embedding": result.embedding.tolist(),
                "logits": known(result.logits).tolist(),
                "top": [[found.label, found.probability] for found in result.top(5)],
            }
            for cores, result in results.items()
        },
    }


def decoded_otherwise(name: str) -> Image:
    """The photo as another JPEG decoder might give it."""
    image = photo(name)
    wobble = np.random.default_rng(PHOTOS.index(name)).integers(-DECODER, DECODER + 1, image.shape)
    return np.clip(image.astype(int) + wobble, 0, 255).astype(np.uint8)


def engines(folder: Path) -> dict[str, Path]:
    """A file for each engine that is at hand here, made now or kept."""
    from veca_edge.converters.coreml.convert import PackageOptions, convert_package
    from veca_edge.converters.executorch.convert import ConvertOptions, convert
    from veca_edge.converters.recipes import ready_recipe
    from veca_edge.model.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(ASSETS / CHECKPOINT)
    program, package = folder / "fp32.pte", folder / "int8.mlpackage"
    convert(checkpoint, program, ConvertOptions(ready_recipe("fp32"), budgets=BUDGETS))
    convert_package(checkpoint, package, PackageOptions("int8", budgets=BUDGETS))
    return {"executorch-int8": default_model_path(), "executorch-fp32": program, "coreml-int8": package}


def checks(model: veca_edge.Model, golden: Json, target: str, given: Callable[[str], Image] = photo) -> list[Check]:
    """The app's own check, perhaps of photos that are not what the app should have made of them."""
    return list(golden_checks(model, golden, target, given))


def _measure() -> None:
    golden = end_to_end_vectors()
    with TemporaryDirectory() as folder:
        for target, path in engines(Path(folder)).items():
            for given in (photo, decoded_otherwise):
                rows = checks(veca_edge.load(path), golden, target, given)
                cosine, logits = min(row.embedding_cosine for row in rows), max(row.logits for row in rows)
                print(f"{target:16} {given.__name__:18} {cosine:.5f} {logits:.4f} {all(r.passed for r in rows)}")


if __name__ == "__main__":
    _measure()
