"""A Core ML package against the checkpoint it came from: every function on real images, without a Mac.

The package is read back from the disk and computed by this project's interpreter of ML programs, rounding to
float16 after every operation where the program says so. That proves what the package says, not what a given chip
makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from veca_edge.converters.coreml.neural_engine.ranges import Ranges
from veca_edge.converters.verification import (
    Image,
    Outputs,
    Progress,
    Reference,
    Verification,
    answer_with,
    coarsest,
    over_images,
    score,
)
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.heads import DenseTask
from veca_edge.modelfile.mlpackage import (
    EMBEDDING,
    FEATURES,
    IMAGE,
    LOGITS,
    PROBABILITIES,
    read_package_file,
)
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter, Precision

# Enough for every kind of failure that was seen; the interpreter takes a second an image where a phone takes 5 ms.
CONVERT_IMAGES = 4


def verify_package(
    path: Path,
    checkpoint: Checkpoint,
    images: Sequence[Image],
    progress: Progress = lambda _: None,
) -> Verification:
    """Compare every function with PyTorch in float32.

    Args:
        path: the package.
        checkpoint: its source.
        images: uint8 (H, W, 3), RGB, any sizes.
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: not a package that veca-edge made, a damaged one, or one with an operation that the
            interpreter lacks.
    """
    file, reference, rows = read_package_file(path), Reference(checkpoint), []
    manifest, tasks = file.manifest, file.manifest.tasks
    precision: Precision = "fp32" if manifest.quantization == "fp32" else "fp16"
    functions = [(name, c, size[0]) for c in manifest.budgets for size, name in file.sizes(c).items()]
    total, done = len(functions) * len(images), 0
    for name, cores, size in functions:
        interpreter, ranges, scores = Interpreter(file.package, name, precision), Ranges(small=False), []
        for image in images:
            fitted = manifest.preprocessing.resize(image, manifest.patch_size, size).image
            found = interpreter.run({IMAGE: fitted}, ranges.note)
            scores.append(score(name, cores, _outputs(found, tasks), reference(fitted, cores), tasks))
            done += 1
            progress(done / total)
        rows.append(replace(over_images(scores), largest=_largest(ranges)))
    return Verification(coarsest(manifest), len(images), tuple(rows), "coreml")


def _largest(ranges: Ranges) -> float:
    """The largest value of all, as a number that JSON holds."""
    largest = float(np.max([magnitude.largest for magnitude in ranges.magnitudes]))
    return largest if math.isfinite(largest) else float(np.finfo(np.float32).max)


def _outputs(found: Mapping[str, Any], tasks: Sequence[DenseTask]) -> Outputs:
    """A function's outputs; of a classifier's probabilities the logarithms: logits but for a shift."""
    if EMBEDDING not in found or FEATURES not in found:
        raise VecaError(f"the package gives {', '.join(found)}, expected {EMBEDDING} and {FEATURES}")
    logits = found.get(LOGITS)
    if PROBABILITIES in found:
        logits = np.log(np.maximum(found[PROBABILITIES], 1e-30))
    embedding, features = found[EMBEDDING].reshape(-1), found[FEATURES]
    dense = {task.name: found[task.name].reshape(-1, task.outputs) for task in tasks}
    logits = None if logits is None else logits.reshape(-1)
    return Outputs(embedding, features.reshape(features.shape[-2:]), logits, dense)


if __name__ == "__main__":
    answer_with(verify_package, CONVERT_IMAGES)
