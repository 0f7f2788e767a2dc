"""How a Core ML package suits Apple's Neural Engine, as far as can be told without one.

Two questions: which operations are known to leave it, and whether float16 holds every value on real images. Nothing
runs on Apple hardware here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.converters.coreml.neural_engine.placement import Placement, review
from veca_edge.converters.coreml.neural_engine.ranges import NEAR_OVERFLOW, LayerRange, Ranges
from veca_edge.converters.coreml.neural_engine.rules import SEEN
from veca_edge.modelfile.mlpackage import IMAGE, PackageFile, find_manifest, full_names, function_order
from veca_edge.modelfile.mlprogram.package import Package, open_package
from veca_edge.modelfile.mlprogram.program import Function
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

Image = NDArray[np.uint8]


def describe_placement(path: str | Path) -> dict[str, Any]:
    """What is known of every function's operations on the Neural Engine, as plain values; packages of any tool.

    Raises:
        VecaError: as `open_package`.
    """
    package = open_package(path)
    names = full_names(package)
    reviews = {function.name: review(function, names) for function in _functions(package)}
    kinds = {kind for placement in reviews.values() for kind in placement.seen}
    return {
        "functions": {name: _placement_facts(placement) for name, placement in reviews.items()},
        "seen": {kind: source for kind, source in SEEN.items() if kind in kinds},
    }


def describe_ranges(
    path: str | Path, images: Sequence[Image], progress: Callable[[float], None] = lambda _: None
) -> dict[str, Any] | None:
    """The range of every value that one of our packages computes in float32, by function and layer.

    Args:
        path: the package; of fp32 ones this says what float16 would meet.
        images: uint8 (H, W, 3), RGB, any sizes, at least one.
        progress: called with how much is done, 0..1.

    Returns:
        Plain values; None for another tool's package, since it is not known what its functions take.

    Raises:
        VecaError: a damaged package, or one with an operation that the interpreter lacks.
    """
    package = open_package(path)
    manifest, names = find_manifest(package), full_names(package)
    if manifest is None:
        return None
    file, functions = PackageFile(package, manifest), _functions(package)
    measured: dict[str, list[LayerRange]] = {}
    sizes = {name: size[0] for cores in manifest.budgets for size, name in file.sizes(cores).items()}
    for number, function in enumerate(functions):
        interpreter, ranges = Interpreter(package, function.name), Ranges(names=names)
        for index, image in enumerate(images):
            fitted = manifest.preprocessing.resize(image, manifest.patch_size, sizes[function.name]).image
            interpreter.run({IMAGE: fitted}, ranges.note)
            progress((number + (index + 1) / len(images)) / len(functions))
        measured[function.name] = ranges.layers()
    return {
        "images": len(images),
        "warn_from_share": NEAR_OVERFLOW,
        "functions": {name: [_layer_facts(layer) for layer in layers] for name, layers in measured.items()},
        "worst": [_layer_facts(layer) | {"function": name} for name, layer in _worst(measured)],
    }


def _worst(measured: Mapping[str, Sequence[LayerRange]]) -> list[tuple[str, LayerRange]]:
    """Each layer in the function where it goes furthest, as (function, range)."""
    worst: dict[str, tuple[str, LayerRange]] = {}
    for function, layers in measured.items():
        for layer in layers:
            before = worst.get(layer.layer)
            if before is None or not layer.largest.largest <= before[1].largest.largest:
                worst[layer.layer] = (function, layer)
    return list(worst.values())


def _functions(package: Package) -> list[Function]:
    return sorted(package.functions.values(), key=function_order)


def _placement_facts(placement: Placement) -> dict[str, Any]:
    told = ("effect", "evidence", "reason", "sources")
    findings = [
        {"rule": f.rule.name, "operations": f.operations} | {name: getattr(f.rule, name) for name in told}
        for f in placement.findings
    ]
    return {"findings": findings, "seen": list(placement.seen), "no_report": list(placement.unreported)}


def _layer_facts(layer: LayerRange) -> dict[str, Any]:
    """A layer's range as plain values: numbers that JSON cannot hold are None."""
    return {
        "layer": layer.layer,
        "variable": layer.largest.name,
        "operation": layer.largest.kind,
        "largest": _finite(layer.largest.largest),
        "share": _finite(layer.largest.share),
        "state": layer.largest.state,
        "tiny_variable": layer.tiniest.name,
        "tiny_share": layer.tiniest.tiny_share,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
