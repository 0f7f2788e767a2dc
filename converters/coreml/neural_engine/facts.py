"""How a Core ML package suits Apple's Neural Engine, as far as can be told without one.

Two questions: which operations are known to leave it, and whether float16 holds every value on real images. Nothing
runs on Apple hardware here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.converters.coreml.neural_engine.placement import Placement, review
from veca_edge.converters.coreml.neural_engine.ranges import NEAR_OVERFLOW, LayerRange, Magnitude, Ranges
from veca_edge.converters.coreml.neural_engine.rules import SEEN
from veca_edge.modelfile.mlpackage import IMAGE, PackageFile, find_manifest, full_names, function_order
from veca_edge.modelfile.mlprogram.package import Package, open_package
from veca_edge.modelfile.mlprogram.program import Function
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class FunctionRange:
    """The ranges of one function's layers."""

    function: str
    layers: tuple[LayerRange, ...]


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
        "seen": {kind: seen.source for seen in SEEN for kind in seen.kinds if kind in kinds},
    }


def measure_ranges(
    path: str | Path, images: Sequence[Image], progress: Callable[[float], None] | None = None
) -> list[FunctionRange] | None:
    """The range of every value that a package of ours computes, per function and layer, in float32.

    Args:
        path: the package; of fp32 ones this says what float16 would meet.
        images: uint8 (H, W, 3), RGB, any sizes, at least one.
        progress: called with how much is done, 0..1.

    Returns:
        None for another tool's package: what its functions take is not known.

    Raises:
        VecaError: damaged, or an operation that the interpreter does not know.
    """
    package = open_package(path)
    manifest = find_manifest(package)
    if manifest is None:
        return None
    file, functions, measured = PackageFile(package, manifest), _functions(package), []
    names = full_names(package)
    sizes = {name: size[0] for cores in manifest.budgets for size, name in file.sizes(cores).items()}
    for number, function in enumerate(functions):
        interpreter, ranges = Interpreter(package, function.name), Ranges(names=names)
        for index, image in enumerate(images):
            fitted = manifest.preprocessing.resize(image, manifest.patch_size, sizes[function.name]).image
            interpreter.run({IMAGE: fitted}, ranges.note)
            if progress is not None:
                progress((number + (index + 1) / len(images)) / len(functions))
        measured.append(FunctionRange(function.name, tuple(ranges.layers())))
    return measured


def _worst_layers(measured: Sequence[FunctionRange]) -> list[tuple[str, LayerRange]]:
    """The layers of all functions together, as (the function with the largest value, its range)."""
    worst: dict[str, tuple[str, LayerRange]] = {}
    for found in measured:
        for layer in found.layers:
            before = worst.get(layer.layer)
            if before is None or not layer.largest.largest <= before[1].largest.largest:
                worst[layer.layer] = (found.function, layer)
    return list(worst.values())


def range_facts(measured: Sequence[FunctionRange], images: int) -> dict[str, Any]:
    """Ranges as plain values: by function, the worst of each layer, and the share of 65504 that is marked."""
    return {
        "images": images,
        "warn_from_share": NEAR_OVERFLOW,
        "functions": {found.function: [_layer_facts(layer) for layer in found.layers] for found in measured},
        "worst": [_layer_facts(layer) | {"function": function} for function, layer in _worst_layers(measured)],
    }


def _functions(package: Package) -> list[Function]:
    return sorted(package.functions.values(), key=function_order)


def _placement_facts(placement: Placement) -> dict[str, Any]:
    findings = [
        {
            "rule": finding.rule.name,
            "effect": finding.rule.effect,
            "evidence": finding.rule.evidence,
            "reason": finding.rule.reason,
            "sources": list(finding.rule.sources),
            "operations": list(finding.operations),
        }
        for finding in placement.findings
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
        "state": range_state(layer.largest),
        "tiny_variable": layer.tiniest.name,
        "tiny_share": layer.tiniest.tiny_share,
    }


def range_state(magnitude: Magnitude) -> str:
    """ "fits", "near overflow" or "overflows"."""
    if magnitude.overflows:
        return "overflows"
    return "near overflow" if magnitude.near else "fits"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
