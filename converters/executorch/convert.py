"""A checkpoint to one ExecuTorch file that holds every core budget, with the weights stored once."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from veca_edge._version import __version__
from veca_edge.converters.description import classifier_of, model_facts
from veca_edge.converters.executorch.coverage import check_coverage
from veca_edge.converters.executorch.program import Method, assemble
from veca_edge.converters.executorch.verification import verify_in_child
from veca_edge.converters.executorch.xnnpack import ConstantStore
from veca_edge.converters.graph.elastic import ElasticGraph, Sizes
from veca_edge.converters.graph.folding import FoldedModel, fold, linear_layers, quantize
from veca_edge.converters.graph.weights import Round, nearest
from veca_edge.converters.recipes import QuantizationRecipe, ready_recipe
from veca_edge.errors import VecaError
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.manifest import Manifest, elastic_method
from veca_edge.modelfile.pte import ModelFile, read_model_file, write_model_file
from veca_edge.runtime.trust import remember

# Memory is planned for little at first and grows with what is really used.
FIRST_PLAN = Sizes(cores=8, patches=16, remembered=16)
DEFAULT_MAX_PATCHES = 1024
# A method's outputs are reserved for the most patches it takes. These, and the image's own number, are steps of a
# ladder on the way to --max-patches: the same graph, stored once, with less reserved.
LADDER = (64, 256)

Progress = Callable[[str, float], None]
# Says what each operating point of a file is worth, for `Manifest.quality`; the last is told how far it is, 0..1.
Judge = Callable[[ModelFile, Checkpoint, Callable[[float], None]], dict[str, Any]]


@dataclass(frozen=True)
class ConvertOptions:
    """How to convert.

    Attributes:
        recipe: which precision each linear layer gets.
        round: how values are rounded to it.
        budgets: core counts to offer; None for all that the model was trained with.
        image_size: side in pixels of the images that the methods `cores_8` ... take; None for the checkpoint's.
        max_patches: most patches at once for `encode` and `step`; None for enough for `image_size`, at least
            1024.
        verify: compare the written file with the checkpoint before it gets its name.
        judge: measures what each operating point is worth, for the governor; only with `verify`.
        force: write a file that is outside the tolerance.
    """

    recipe: QuantizationRecipe = ready_recipe("int8")  # noqa: RUF009 - a value, not made anew
    round: Round = nearest
    budgets: tuple[int, ...] | None = None
    image_size: int | None = None
    max_patches: int | None = None
    verify: bool = True
    judge: Judge | None = None
    force: bool = False


def convert(
    checkpoint: Checkpoint,
    output: Path,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
) -> ModelFile:
    """Convert a checkpoint, verify the result, and write it.

    Args:
        checkpoint: what to convert.
        output: the file to write; it appears only when everything went well.
        options: see `ConvertOptions`.
        progress: called with a stage ("folding weights", ...) and how much of it is done, 0..1.

    Returns:
        The file's contents beside the program; its manifest holds the verification.

    Raises:
        VecaError: impossible options, a file that cannot be written, or a result outside the tolerance.
    """
    options, report = options or ConvertOptions(), progress or (lambda *_: None)
    plan = _plan(checkpoint, options)
    if not output.parent.is_dir():
        raise VecaError(f"cannot write {output}: there is no folder {output.parent}")
    report("folding weights", 0.0)
    folded = quantize(fold(checkpoint), options.recipe, options.round)
    report("folding weights", 1.0)
    try:
        program, methods = build_program(checkpoint, folded, plan, report)
    except OSError as error:  # the schema compiler works in the temporary folder
        raise VecaError(f"cannot write temporary files: {error.strerror or error}; set TMPDIR") from None
    file = _contents(checkpoint, folded, plan, program, methods, output, options)
    if options.verify:
        file = _checked(file, program, checkpoint, options, report)
    report("writing", 0.0)
    write_model_file(file, program)
    if options.verify:
        remember(read_model_file(output))
    report("writing", 1.0)
    return file


@dataclass(frozen=True)
class _Plan:
    budgets: tuple[int, ...]
    image_size: int
    rows: int
    max_patches: int

    @property
    def ladder(self) -> tuple[int, ...]:
        """Patch counts below `max_patches` that `encode` and `step` are also offered for."""
        return tuple(sorted({n for n in (*LADDER, self.rows**2) if n < self.max_patches}))


def _plan(checkpoint: Checkpoint, options: ConvertOptions) -> _Plan:
    """The options with defaults filled in, checked against the checkpoint."""
    config = checkpoint.config
    budgets = tuple(sorted({config.check_cores(c) for c in options.budgets or config.budgets}))
    size = int(options.image_size or checkpoint.preprocessing["image_size"])
    if size < 1 or size % config.patch_size:
        raise VecaError(f"image size {size} is not a multiple of the patch size {config.patch_size}")
    # Fails here, before the work, if the checkpoint's settings or this size are out of range.
    Preprocessing.from_dict({**checkpoint.preprocessing, "image_size": size})
    rows = size // config.patch_size
    most = max(DEFAULT_MAX_PATCHES, rows**2) if options.max_patches is None else options.max_patches
    if most < rows**2:
        raise VecaError(f"--max-patches {most} is less than the {rows**2} patches of a {size} px image")
    if most > 2**16:
        raise VecaError(f"--max-patches {most}: at most {2**16}")
    return _Plan(budgets, size, rows, most)


def build_program(
    checkpoint: Checkpoint, folded: FoldedModel, plan: _Plan, report: Progress
) -> tuple[bytes, tuple[str, ...]]:
    """The ExecuTorch program with `encode`, `step`, their ladders, and one method per budget."""
    config, store = checkpoint.config, ConstantStore()

    def graph() -> ElasticGraph:
        return ElasticGraph(config, folded, store)

    encode, step, methods = graph().encode(FIRST_PLAN), graph().step(FIRST_PLAN), {}
    for patches in (*plan.ladder, plan.max_patches):
        most = Sizes(config.num_cores, patches, plan.max_patches)
        methods[elastic_method("encode", patches, plan.max_patches)] = Method(encode, graph().encode(most))
        methods[elastic_method("step", patches, plan.max_patches)] = Method(step, graph().step(most))
    for done, cores in enumerate(plan.budgets):
        report("building graphs", done / len(plan.budgets))
        methods[f"cores_{cores}"] = Method(graph().cores(cores, plan.rows, plan.rows))
    report("building graphs", 1.0)
    report("assembling", 0.0)
    program = assemble(methods, store)
    check_coverage(program, set(methods))
    report("assembling", 1.0)
    return program, tuple(methods)


def _contents(
    checkpoint: Checkpoint,
    folded: FoldedModel,
    plan: _Plan,
    program: bytes,
    methods: tuple[str, ...],
    output: Path,
    options: ConvertOptions,
) -> ModelFile:
    manifest = Manifest(
        **model_facts(checkpoint, plan.image_size),
        target="executorch",
        quantization=options.recipe.name,
        budgets=plan.budgets,
        max_patches=plan.max_patches,
        labels=checkpoint.labels,
        methods=methods,
        program_size=len(program),
        program_digest=hashlib.sha256(program).hexdigest(),
        weight_bytes=folded.quantized_bytes,
        made_with={
            "veca-edge": __version__,
            "executorch": version("executorch"),
            "torch": torch.__version__.split("+")[0],
        },
        verification={},
        precision=_precision(folded, options.recipe),
    )
    return ModelFile(output, manifest, folded.bank, folded.coordinates, classifier_of(checkpoint))


def _precision(folded: FoldedModel, recipe: QuantizationRecipe) -> dict[str, str]:
    """The recipe's default, and the layers that are stored otherwise."""
    stored = {name: layer.precision for name, layer in linear_layers(folded).items()}
    exceptions = {name: precision for name, precision in stored.items() if precision != recipe.default}
    return {"default": recipe.default, **exceptions}


def _checked(
    file: ModelFile, program: bytes, checkpoint: Checkpoint, options: ConvertOptions, report: Progress
) -> ModelFile:
    """The file with its verification and its quality table in the manifest.

    What is on disk is checked, under a temporary name, so that a bad file never bears the real one.
    """
    hidden = file.path.with_name(f".{secrets.token_hex(6)}.unverified.pte")
    draft = replace(file, path=hidden)
    try:
        write_model_file(draft, program, shown=file.path)
        verification = verify_in_child(draft, checkpoint, lambda done: report("verifying", done))
        if not verification.passed and not options.force:
            raise VecaError(f"{file.path} was not written: {verification.complaint()}; --force writes it anyway")
        manifest = file.manifest.verified(verification.to_dict())
        if options.judge is not None:
            remember(read_model_file(hidden))
            judged = options.judge(draft, checkpoint, lambda done: report("judging", done))
            manifest = manifest.evaluated(judged)
    finally:
        with contextlib.suppress(OSError):
            hidden.unlink(missing_ok=True)
    return replace(file, manifest=manifest)
