"""Core ML packages on disk: functions and weights written together, described, and put in place whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import coremltools as ct
from coremltools import proto
from coremltools.converters.mil.backend.mil.load import load as export_program
from coremltools.converters.mil.mil import Function, Program, types

from veca_edge._version import __version__
from veca_edge.converters.coreml.names import shorten_names
from veca_edge.errors import VecaError
from veca_edge.files import PACKAGE_SUFFIX, shortened
from veca_edge.modelfile.heads import DenseTask
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.mlpackage import (
    EMBEDDING,
    FEATURES,
    IMAGE,
    LABEL,
    LOGITS,
    MANIFEST_KEY,
    NAMES_KEY,
    NO_DIGEST,
    PROBABILITIES,
    MinimumTarget,
    sealed,
)

AUTHOR = "veca-edge"
# Where coremltools puts the two parts of a package.
SPEC = Path("Data", "com.apple.CoreML", "model.mlmodel")
WEIGHTS = Path("Data", "com.apple.CoreML", "weights", "weight.bin")
_VERSIONS: dict[MinimumTarget, int] = {"iOS18": ct.target.iOS18, "iOS17": ct.target.iOS17}


def describe_package(package: Path, licence: str, manifest: Manifest) -> Manifest:
    """Write what a package says about itself: for people, and for this project's own readers.

    Returns:
        The manifest with the digest of the specification that holds it.
    """
    place = package / SPEC
    spec = proto.Model_pb2.Model.FromString(place.read_bytes())
    metadata = spec.description.metadata
    metadata.author, metadata.license, metadata.versionString = AUTHOR, licence, __version__
    metadata.shortDescription = short_description(manifest)
    metadata.userDefined[MANIFEST_KEY] = replace(manifest, specification_digest=NO_DIGEST).to_json()
    data, digest = sealed(spec.SerializeToString())
    place.write_bytes(data)
    place.chmod((package / WEIGHTS).stat().st_mode)  # coremltools lets only the owner read it
    return replace(manifest, specification_digest=digest)


def short_description(manifest: Manifest) -> str:
    """The description that Xcode shows first."""
    budgets = ", ".join(map(str, manifest.budgets))
    return (
        f"VECA image encoder {manifest.name}, {manifest.quantization} weights: one embedding for the image and one "
        f"feature per {manifest.patch_size} px patch, computed with {budgets} cores."
    )


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target` to work in; it is removed in the end, whatever happens.

    Raises:
        VecaError: the place cannot be written, or the disk is full.
    """
    folder = target.with_name(f".{secrets.token_hex(6)}.part")
    try:
        folder.mkdir()
        yield folder
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""  # coremltools has temporary files elsewhere
        raise VecaError(f"cannot write {shortened(target)}: {error.strerror or error}{place}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_package(
    folder: Path, functions: Mapping[str, Function], default: str, minimum_target: MinimumTarget, about: Manifest
) -> tuple[Path, Manifest]:
    """Write functions into a package under a temporary name, every constant that they share once.

    Args:
        folder: where, see `staging`.
        functions: by name; for iOS 17 just one, "main".
        default: the function that runs if an app names none.
        minimum_target: oldest system that is to run it.
        about: for the descriptions of inputs and outputs.

    Returns:
        The package, and the manifest with the size and digest of its weights.

    Raises:
        VecaError: the disk is full, or the like.
    """
    program = Program()
    program.skip_all_passes = True  # the graph is as it should be
    program.export_as_multifunction = minimum_target == "iOS18"
    program.default_function_name = default
    for name, function in functions.items():
        program.add_function(name, function)
    weights, package = folder / "weights", folder / f"{secrets.token_hex(4)}{PACKAGE_SUFFIX}"
    weights.mkdir()
    description = _description(program, about)
    version = _VERSIONS[minimum_target]
    try:
        spec = export_program(program, str(weights), specification_version=version, model_description=description)
        names = shorten_names(spec)
        spec.description.metadata.userDefined[NAMES_KEY] = json.dumps(names, separators=(",", ":"))
        ct.utils.save_spec(spec, str(package), weights_dir=str(weights))
    except RuntimeError as error:  # the native writers raise nothing else
        raise VecaError(f"coremltools could not write the package: {error}") from None
    shutil.rmtree(weights)
    written = package / WEIGHTS
    with written.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    size = written.stat().st_size
    return package, replace(about, program_size=size, program_digest=digest.hexdigest(), weight_bytes=size)


def put_in_place(draft: Path, target: Path) -> None:
    """Rename a package to `target`; one that has this name is removed only when the new one is in its place."""
    old = target.with_name(f".{secrets.token_hex(6)}.old{PACKAGE_SUFFIX}")
    replaced = target.is_dir()
    if replaced:
        target.rename(old)
    try:
        draft.rename(target)
    except BaseException:
        if replaced:
            with contextlib.suppress(OSError):
                old.rename(target)
        raise
    if replaced:
        shutil.rmtree(old, ignore_errors=True)


def _description(program: Program, about: Manifest) -> Any:
    """Inputs and outputs of every function, as Core ML and Xcode show them."""
    made = [_function_description(name, function, about) for name, function in program.functions.items()]
    if program.export_as_multifunction:
        return proto.Model_pb2.ModelDescription(functions=made, defaultFunctionName=program.default_function_name)
    (only,) = made
    return proto.Model_pb2.ModelDescription(
        input=only.input,
        output=only.output,
        predictedFeatureName=only.predictedFeatureName,
        predictedProbabilitiesName=only.predictedProbabilitiesName,
    )


def _function_description(name: str, function: Function, about: Manifest) -> Any:
    shape = function.inputs[IMAGE].shape
    words = _words(about, shape[-2] // about.patch_size)
    made = proto.Model_pb2.FunctionDescription(
        name=name,
        input=[_feature(IMAGE, words[IMAGE], _image_type(*shape[2:]))],
        output=[_feature(var.name, words[var.name], _output_type(var)) for var in function.outputs],
    )
    if any(var.name == LABEL for var in function.outputs):
        made.predictedFeatureName, made.predictedProbabilitiesName = LABEL, PROBABILITIES
    return made


def _feature(name: str, words: str, kind: Any) -> Any:
    return proto.Model_pb2.FeatureDescription(name=name, shortDescription=words, type=kind)


def _image_type(height: int, width: int) -> Any:
    kind = proto.FeatureTypes_pb2.FeatureType()
    kind.imageType.height, kind.imageType.width = height, width
    kind.imageType.colorSpace = proto.FeatureTypes_pb2.ImageFeatureType.RGB
    return kind


def _output_type(var: Any) -> Any:
    kind = proto.FeatureTypes_pb2.FeatureType()
    if var.name == LABEL:
        kind.stringType.SetInParent()
    elif var.name == PROBABILITIES:
        kind.dictionaryType.stringKeyType.SetInParent()
    else:
        assert var.dtype == types.fp32, f"output {var.name} is {var.dtype}"
        kind.multiArrayType.shape.extend(var.shape)
        kind.multiArrayType.dataType = proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    return kind


def _words(about: Manifest, rows: int) -> dict[str, str]:
    """What each input and output is."""
    width, classes = about.feature_dim, len(about.labels)
    return {
        **{task.name: _dense_words(task, rows) for task in about.tasks},
        IMAGE: f"RGB image; the model was made for fit {about.preprocessing.fit!r}. Normalisation is inside.",
        EMBEDDING: f"float32 (1, {width}), one vector for the whole image.",
        FEATURES: f"float32 ({rows * rows}, {width}), one vector per patch, row by row, {rows} rows of {rows}.",
        LOGITS: f"float32 (1, {classes}), one number per label; softmax makes them probabilities.",
        LABEL: "The most likely label.",
        PROBABILITIES: "The probability of each label.",
    }


def _dense_words(task: DenseTask, rows: int) -> str:
    what = ", ".join(task.labels) or f"one value{f' in {task.unit}' if task.unit else ''}"
    order = "" if task.outputs == 1 else ", in the order (value, row of cells, column of cells)"
    return f"float32 ({rows * rows}, {task.outputs}), {task.kind} by patch{order}: {what:.200}."
