"""A checkpoint to an ExecuTorch file that runs on Core ML, with a method per budget and the weights stored once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from veca_edge.converters.coreml.convert import PackageOptions, Part, Progress, describe_part, plan_parts
from veca_edge.converters.coreml.functions import Dialect, PackageGraph
from veca_edge.converters.coreml.package import staging, write_draft
from veca_edge.converters.coreml.payload import PACKAGE, build_payload
from veca_edge.converters.coreml.verification import verify_package_in_child
from veca_edge.converters.coreml.weights import PackageWeights, package_weights
from veca_edge.converters.description import classifier_of
from veca_edge.errors import VecaError
from veca_edge.files import PACKAGE_SUFFIX
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.manifest import PAYLOAD_TARGET, Manifest
from veca_edge.modelfile.pte import ModelFile, write_model_file


def convert_payload(
    checkpoint: Checkpoint,
    output: Path,
    options: PackageOptions | None = None,
    progress: Progress | None = None,
) -> ModelFile:
    """Convert a checkpoint, verify the result, and write it.

    Args:
        checkpoint: what to convert.
        output: the file to write; it appears only when everything went well.
        options: see `PackageOptions`; one image size, for iOS 18, without a classifier.
        progress: called with a stage and how much of it is done, 0..1.

    Returns:
        The file's contents beside the program. Its methods `cores_C` take one image (H, W, 3), RGB, 0..255, and
        give embedding (1, D'), features (N, D') and with a head logits (1, K), as those for XNNPACK do.

    Raises:
        VecaError: impossible options, a file that cannot be written, or a result outside the tolerance.
    """
    options, report = options or PackageOptions(), progress or (lambda *_: None)
    if options.classifier or options.minimum_target != "iOS18" or len(options.image_sizes or ()) > 1:
        raise VecaError("ExecuTorch files with Core ML take one image size, need iOS 18, and give logits")
    (part,) = plan_parts(checkpoint, output.with_suffix(PACKAGE_SUFFIX), options)
    report("compressing", 0.0)
    weights = package_weights(
        checkpoint, options.quantize, lambda done: report("compressing", done), options.recipe
    )
    with staging(output) as folder:
        report("writing", 0.0)
        about = describe_part(
            checkpoint, part, options, (part.default.image_size // checkpoint.config.patch_size) ** 2
        )
        program, weight_bytes = _program(checkpoint, weights, part, options, about, folder)
        manifest = _manifest(about, program, weight_bytes)
        file = ModelFile(output, manifest, weights.bank[0], weights.coordinates[0], classifier_of(checkpoint))
        report("writing", 1.0)
        if options.verify:
            hidden = replace(file, path=folder / "unverified.pte")
            write_model_file(hidden, program, shown=output)
            outcome = verify_package_in_child(hidden.path, checkpoint, lambda done: report("verifying", done))
            if not outcome.passed and not options.force:
                raise VecaError(f"{output} was not written: {outcome.complaint()}; --force writes it anyway")
            file = replace(file, manifest=file.manifest.verified(outcome.to_dict()))
    write_model_file(file, program)
    return file


def _program(
    checkpoint: Checkpoint,
    weights: PackageWeights,
    part: Part,
    options: PackageOptions,
    about: Manifest,
    folder: Path,
) -> tuple[bytes, int]:
    """The ExecuTorch program, and the bytes of its weights."""
    half, config = options.half, checkpoint.config
    graph = PackageGraph(config, weights, Dialect("iOS18", half, pixels=True))
    rows = part.default.image_size // config.patch_size
    functions = {f.name: graph.function(f.cores, rows, rows) for f in part.functions}
    shapes = {
        name: ([v.shape for v in function.inputs.values()], [v.shape for v in function.outputs])
        for name, function in functions.items()
    }
    draft = write_draft(folder, functions, part.default.name, options.minimum_target, about)
    payload = folder / "payload"
    payload.mkdir()
    draft.path.rename(payload / PACKAGE)
    return build_payload(payload, shapes, half), draft.weight_bytes


def _manifest(about: Manifest, program: bytes, weight_bytes: int) -> Manifest:
    """The package's manifest as that of the file around it."""
    return replace(
        about,
        target=PAYLOAD_TARGET,
        program_size=len(program),
        program_digest=hashlib.sha256(program).hexdigest(),
        weight_bytes=weight_bytes,
        made_with={**about.made_with, "executorch": version("executorch")},
    )
