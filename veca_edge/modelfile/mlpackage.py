"""Core ML packages made by `veca-edge convert`: an ML program with one function per budget, and our manifest.

The manifest is the one of every model file, under `veca_edge.manifest` in the package's metadata. Neither the
weight file nor the specification has a checksum of its own, so the manifest holds a digest of each. The
specification holds the manifest, so its digest is that of the bytes with zeros in the digest's place.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from veca_edge.documents import parse_json
from veca_edge.errors import VecaError, VecaWarning
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.mlprogram.package import Feature, Package, open_package
from veca_edge.modelfile.mlprogram.program import Function

MANIFEST_KEY = "veca_edge.manifest"
NO_DIGEST = "0" * 64  # where a specification's digest will stand
NAMES_KEY = "veca_edge.names"  # full names of the program's values by the short ones that it uses
TARGET = "coreml"
MinimumTarget = Literal["iOS18", "iOS17"]  # the oldest system that is to run a package
_FULL_NAME = re.compile(r"[A-Za-z_]\w{0,79}", re.ASCII)
MAIN = "main"  # the only function of a package for iOS 17, which holds one budget

# Inputs and outputs of every function; LABEL and PROBABILITIES take the place of LOGITS in a Core ML classifier.
IMAGE, EMBEDDING, FEATURES, LOGITS = "image", "embedding", "features", "logits"
LABEL, PROBABILITIES = "label", "probabilities"


@dataclass(frozen=True, eq=False)
class PackageFile:
    """A package that veca-edge made.

    Attributes:
        package: its functions and weights.
        manifest: what it is.
    """

    package: Package
    manifest: Manifest

    def function_for(self, cores: int, height: int, width: int) -> str:
        """The function for a budget and an image size in pixels.

        Raises:
            VecaError: there is none; the message lists the sizes that there are.
        """
        sizes = self.sizes(cores)
        if (height, width) not in sizes:
            offered = ", ".join(f"{h} px" if h == w else f"{w} x {h} px" for h, w in sizes) or "none"
            raise VecaError(
                f"{self.package.path} has no function for {cores} cores and an image of {width} x {height}, only "
                f"for {offered}: convert with --image-size"
            )
        return sizes[height, width]

    def sizes(self, cores: int) -> dict[tuple[int, int], str]:
        """The functions of a budget by the image size (height, width) that they take, ascending."""
        found = (name for name in self.package.functions if self.cores_of(name) == cores)
        return dict(sorted((_image_size(self.package, name), name) for name in found))

    def cores_of(self, function: str) -> int:
        """The budget of a function."""
        return _cores_of(function, self.manifest)


def function_name(cores: int, image_size: int, first_size: int) -> str:
    """The name of the function for a budget: `cores_8`, and `cores_8_384` for sizes other than the first."""
    return f"cores_{cores}" if image_size == first_size else f"cores_{cores}_{image_size}"


def read_package_file(path: str | Path) -> PackageFile:
    """Open a package that veca-edge made, and compare its weights with their digest.

    Raises:
        VecaError: missing, damaged, or made by another tool.
    """
    package = open_package(path)
    manifest = find_manifest(package)
    if manifest is None:
        raise VecaError(
            f"{package.path}: no veca-edge manifest: it was made by another tool; convert a checkpoint with "
            "`veca-edge convert --target coreml`"
        )
    return PackageFile(package, manifest)


def find_manifest(package: Package) -> Manifest | None:
    """Our manifest in a package, compared with the rest of it; None in another tool's package.

    Raises:
        VecaError: a manifest that cannot be read or is not this package's, or damaged weights.
    """
    text = package.user_metadata.get(MANIFEST_KEY)
    if text is None:
        return None
    try:
        manifest = Manifest.from_json(text)
        _check(package, manifest)
    except VecaError as error:
        raise VecaError(f"{package.path}: {error}") from None
    return manifest


def sealed(specification: bytes) -> tuple[bytes, str]:
    """A specification whose manifest has `NO_DIGEST` for its digest, with that in its place; and it."""
    digest = hashlib.sha256(specification).hexdigest()
    return specification.replace(NO_DIGEST.encode(), digest.encode(), 1), digest


def _check_specification(package: Package, manifest: Manifest) -> None:
    """Whether the specification is the one that was verified; of older packages that cannot be told."""
    digest = manifest.specification_digest
    if not digest:
        warnings.warn(
            f"{package.path}: made by an older veca-edge, without a checksum of its program, so that damage there "
            "would go unnoticed: convert the checkpoint again",
            VecaWarning,
            stacklevel=4,
        )
        return
    found = package.specification.read_bytes()
    if hashlib.sha256(found.replace(digest.encode(), NO_DIGEST.encode(), 1)).hexdigest() != digest:
        raise VecaError("its program is damaged (its digest differs): copy or convert it again")


def full_names(package: Package) -> Mapping[str, str]:
    """What the values of a program are called by people, by the names that the program uses; {} in other packages.

    Raises:
        VecaError: there are names, but damaged ones.
    """
    text = package.user_metadata.get(NAMES_KEY, "{}")
    try:
        names = parse_json(text)
    except VecaError:
        names = None  # refused below
    full = names.values() if isinstance(names, dict) else [None]
    if not all(isinstance(name, str) and _FULL_NAME.fullmatch(name) for name in full):
        raise VecaError(f"{package.path}: its table of names is damaged")
    return dict(names)


def _check(package: Package, manifest: Manifest) -> None:
    """Whether the manifest is this package's, and the weights are those that were verified."""
    if manifest.target != TARGET:
        raise VecaError(f"its manifest is of a file for {manifest.target}")
    if set(manifest.methods) != set(package.functions):
        raise VecaError("its functions are not those of its manifest")
    if not manifest.budgets or {_cores_of(name, manifest) for name in package.functions} != set(manifest.budgets):
        raise VecaError("its functions are not for the budgets of its manifest")
    for name in package.functions:
        _check_outputs(package, name, manifest)
    files = list(package.weights.values())
    if len(files) != 1 or files[0].size != manifest.program_size or files[0].digest() != manifest.program_digest:
        raise VecaError("its weights are damaged (their digest differs): copy or convert it again")
    _check_specification(package, manifest)


def _cores_of(function: str, manifest: Manifest) -> int:
    """The budget by a function's name: "cores_8", "cores_8_384", or "main" where there is one budget; 0 if none."""
    if function == MAIN and len(manifest.budgets) == 1:
        return manifest.budgets[0]
    match = re.fullmatch(r"cores_(\d{1,9})(_\d{1,9})?", function, re.ASCII)
    return int(match[1]) if match else 0


def _check_outputs(package: Package, function: str, manifest: Manifest) -> None:
    """Whether a function gives what the manifest says."""
    height, width = _image_size(package, function)
    rows, columns = height // manifest.patch_size, width // manifest.patch_size
    shapes = {feature.name: feature.shape for feature in package.outputs.get(function, ())}
    expected = {
        EMBEDDING: (1, manifest.feature_dim),
        FEATURES: (1, rows * columns, manifest.feature_dim),
    }
    expected |= {task.name: (1, rows * columns, task.outputs) for task in manifest.tasks}
    if manifest.labels:
        expected |= {LABEL: (), PROBABILITIES: ()} if LABEL in shapes else {LOGITS: (1, len(manifest.labels))}
    if shapes != expected:
        raise VecaError(f"the outputs of its function {function} are not those of its manifest")


def _image_size(package: Package, function: str) -> tuple[int, int]:
    """(height, width) in pixels of the image that a function takes."""
    inputs = package.inputs.get(function, ())
    if len(inputs) != 1 or inputs[0].kind != "image" or inputs[0].element != "RGB":
        raise VecaError(f"its function {function} does not take one RGB image")
    return inputs[0].shape[0], inputs[0].shape[1]


def describe_package(path: str | Path) -> dict[str, Any]:
    """What is inside a package, ours or another tool's, as plain values.

    Raises:
        VecaError: as `open_package`, or a damaged one that veca-edge made.
    """
    package = open_package(path)
    functions = sorted(package.functions.values(), key=function_order)
    facts: dict[str, Any] = {
        "kind": "Core ML package",
        "path": str(package.path),
        "bytes": package.size,
        "minimum_target": package.target,
        "default_function": package.default_function,
        "functions": {function.name: _function_facts(package, function) for function in functions},
        "weights": _weight_facts(package),
        "metadata": dict(package.metadata),
    }
    manifest = find_manifest(package)
    return facts | {"manifest": None if manifest is None else manifest.summary()}


def function_order(function: Function) -> tuple[str | int, ...]:
    """For sorting: names with numbers by their numbers, cores_8 before cores_64."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d{1,9})", function.name))


def _function_facts(package: Package, function: Function) -> dict[str, Any]:
    counts = function.operation_counts
    operations = {kind: count for kind, count in counts.most_common() if kind != "const"}
    return {
        "inputs": [_feature_text(feature) for feature in package.inputs.get(function.name, ())],
        "outputs": [_feature_text(feature) for feature in package.outputs.get(function.name, ())],
        "opset": function.opset,
        "operations": operations,
        "constants": counts["const"],
        "weight_bytes": sum(stored.type.nbytes for stored in function.stored),
    }


def _feature_text(feature: Feature) -> str:
    if feature.kind == "image":
        height, width = feature.shape
        return f"{feature.name}: {feature.element} image {width} x {height}"
    shape = " x ".join(map(str, feature.shape))
    return f"{feature.name}: {' '.join(part for part in (feature.kind, feature.element, shape) if part)}"


def _weight_facts(package: Package) -> dict[str, Any]:
    alone = sum(sum(stored.type.nbytes for stored in function.stored) for function in package.functions.values())
    return {
        "bytes": package.weight_bytes,
        "shared_bytes": package.shared_bytes,
        "bytes_without_sharing": alone,
        "bytes_by_type": package.bytes_by_element,
        "files": {name.rpartition("/")[2]: file.size for name, file in package.weights.items()},
    }
