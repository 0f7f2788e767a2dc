"""The kinds of files that `veca-edge convert` makes: how each is made, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veca_edge.cli.progress import Stages
from veca_edge.cli.quantization import named_recipe, quantized
from veca_edge.cli.tables import verification_lines

if TYPE_CHECKING:
    from veca_edge.model.checkpoint import Checkpoint

# Each is called by the options that ask for it.
XNNPACK, PACKAGE = "--target executorch", "--target coreml"

Facts = dict[str, Any]


@dataclass(frozen=True)
class Product:
    """One kind of file: its ending, the packages that making it takes, how it is made and reported."""

    ending: str
    needs: tuple[tuple[str, str], ...]
    make: Callable[[Any, Path, Mapping[str, Any], Stages | None], Facts]
    lines: Callable[[Mapping[str, Any]], Iterator[str]]


# -- ExecuTorch with XNNPACK -----------------------------------------------------------------------------------


def _make_executorch(source: Checkpoint, path: Path, given: Mapping[str, Any], stages: Stages | None) -> Facts:
    from veca_edge.runtime.native import quiet

    with quiet():
        from veca_edge.calibration.quality.measure import quality_in_child
        from veca_edge.converters.executorch.convert import ConvertOptions, convert
    from veca_edge.converters.executorch.coverage import read_coverage

    options = ConvertOptions(
        budgets=given["budgets"],
        image_size=_first(given["image_sizes"]),
        max_patches=given["max_patches"],
        judge=partial(quality_in_child, images=given["calibration"]) if given["judge"] else None,
        force=given["force"],
    )
    options = quantized(source, options, given, stages)
    file = convert(source, path, options, stages)
    with path.open("rb") as stream:
        coverage = read_coverage(stream.read(file.manifest.program_size))
    return {
        "output": str(path),
        "bytes": path.stat().st_size,
        "weight_bytes": file.manifest.weight_bytes,
        "methods": {name: method.graph_bytes for name, method in coverage.methods.items()},
        "verification": file.manifest.verification,
    }


def _executorch_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield from verification_lines(facts["verification"])
    yield ""
    methods = facts["methods"]
    yield f"{len(methods)} methods ({', '.join(methods)}): one XNNPACK delegate each, no operator outside"
    size, weights = facts["bytes"] / 1e6, facts["weight_bytes"] / 1e6
    yield (
        f"{facts['output']}: {size:.2f} MB, of it weights {weights:.2f} MB (once for all methods), "
        f"{facts['seconds']:.1f} s"
    )


# -- Core ML ---------------------------------------------------------------------------------------------------


def _make_package(source: Checkpoint, path: Path, given: Mapping[str, Any], stages: Stages | None) -> Facts:
    from veca_edge.runtime.native import quiet

    with quiet():
        from veca_edge.converters.coreml.convert import PackageOptions, convert_package

    options = PackageOptions(
        quantize=given["quantize"],
        recipe=named_recipe(given),
        budgets=given["budgets"],
        image_sizes=given["image_sizes"],
        minimum_target=given["minimum_target"],
        classifier=given["classifier"],
        force=given["force"],
    )
    packages = [
        {
            "output": str(written.path),
            "bytes": sum(part.stat().st_size for part in written.path.rglob("*") if part.is_file()),
            "weight_bytes": written.manifest.weight_bytes,
            "functions": list(written.manifest.methods),
            "default_function": written.default,
            "verification": written.manifest.verification,
        }
        for written in convert_package(source, path, options, stages)
    ]
    return {"packages": packages}


def _package_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    for package in facts["packages"]:
        yield ""
        yield from verification_lines(package["verification"])
    yield ""
    for package in facts["packages"]:
        functions, size, weights = package["functions"], package["bytes"] / 1e6, package["weight_bytes"] / 1e6
        if len(functions) > 1:
            yield f"{len(functions)} functions ({', '.join(functions)}), default {package['default_function']}"
        shared = " (once for all functions)" if len(functions) > 1 else ""
        yield f"{package['output']}: {size:.2f} MB, of it weights {weights:.2f} MB{shared}"
    yield f"{facts['seconds']:.1f} s"


def _first(sizes: tuple[int, ...] | None) -> int | None:
    return sizes[0] if sizes else None


PRODUCTS = {
    XNNPACK: Product(".pte", (("executorch", "convert"),), _make_executorch, _executorch_lines),
    PACKAGE: Product(".mlpackage", (("coremltools", "coreml"),), _make_package, _package_lines),
}
