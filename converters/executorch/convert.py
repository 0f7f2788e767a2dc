"""A checkpoint to one ExecuTorch file that holds every core budget, with the weights stored once."""

from __future__ import annotations

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from subprocess import CalledProcessError

import torch

from veca_edge._version import __version__
from veca_edge.converters.description import check_budgets, check_image_size, classifier_of, model_facts
from veca_edge.converters.draft import Draft
from veca_edge.converters.executorch.coverage import Coverage, check_coverage
from veca_edge.converters.executorch.program import Method, assemble
from veca_edge.converters.executorch.xnnpack import ConstantStore
from veca_edge.converters.graph.elastic import ElasticGraph, Sizes
from veca_edge.converters.graph.folding import FoldedModel, fold, linear_layers, quantize
from veca_edge.converters.graph.weights import Round, nearest
from veca_edge.converters.recipes import DEFAULT, QuantizationRecipe, ready_recipe
from veca_edge.errors import VecaError
from veca_edge.files import is_folder
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.manifest import DEFAULT_MAX_PATCHES, Manifest, elastic_method
from veca_edge.modelfile.pte import TARGET, ModelFile, drafting, write_archive

# Memory is planned for little at first and grows with what is really used.
FIRST_PLAN = Sizes(cores=8, patches=16, remembered=16)
# A method's outputs are reserved for the most patches it takes. Beside --max-patches there are methods for these
# numbers and for the image's own: the same graph, stored once, with less reserved.
SIZE_BUCKETS = (64, 256)
LITTLE_ROOM = 1 << 26  # bytes: with less the schema compiler may have failed for want of it

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class ConvertOptions:
    """How to convert.

    Attributes:
        recipe: which precision each linear layer gets.
        round: how values are rounded to it.
        budgets: core counts to offer; None for all that the model was trained with.
        image_size: side in pixels of the images that the methods `cores_8` ... take; None for the checkpoint's.
        max_patches: most patches at once for `encode` and `step`; None for enough for `image_size`, at least
            `DEFAULT_MAX_PATCHES`.
    """

    recipe: QuantizationRecipe = ready_recipe(DEFAULT)  # noqa: RUF009 - a value, not made anew
    round: Round = nearest
    budgets: tuple[int, ...] | None = None
    image_size: int | None = None
    max_patches: int | None = None


def convert(checkpoint: Checkpoint, output: Path, options: ConvertOptions | None = None) -> Manifest:
    """Convert a checkpoint without verifying the result; `veca_edge.conversion.convert` does both.

    Args, errors: see `draft_model_file`.

    Returns:
        What the file says about itself.
    """
    with draft_model_file(checkpoint, output, options) as (draft,):
        return draft.manifest


@contextmanager
def draft_model_file(
    checkpoint: Checkpoint,
    output: Path,
    options: ConvertOptions | None = None,
    progress: Progress = lambda *_: None,
) -> Iterator[tuple[Draft]]:
    """Convert a checkpoint to a file that gets its name when the context ends, unless it ends with an error.

    Args:
        checkpoint: what to convert.
        output: the file to write.
        options: see `ConvertOptions`.
        progress: called with a stage ("folding weights", ...) and how much of it is done, 0..1.

    Raises:
        VecaError: impossible options, or a file that cannot be written.
    """
    options = options or ConvertOptions()
    plan = _plan(checkpoint, options)
    if not is_folder(output.parent):
        raise VecaError(f"cannot write {output}: there is no folder {output.parent}")
    file, program, coverage = _built(checkpoint, output, options, plan, progress)
    progress("writing", 0.0)
    with drafting(file, program) as path:
        progress("writing", 1.0)
        del program  # large, and on disk now
        graphs = {name: method.graph_bytes for name, method in coverage.methods.items()}

        def rewrite(manifest: Manifest) -> Manifest:
            write_archive(replace(file, manifest=manifest), path)
            return manifest

        yield (Draft(path, output, file.manifest, rewrite, graphs),)


def _built(
    checkpoint: Checkpoint, output: Path, options: ConvertOptions, plan: _Plan, report: Progress
) -> tuple[ModelFile, bytes, Coverage]:
    """Everything that goes into the file, and what its program consists of."""
    report("folding weights", 0.0)
    folded = quantize(fold(checkpoint), options.recipe, options.round)
    report("folding weights", 1.0)
    try:
        program, coverage = build_program(checkpoint, folded, plan, report)
    except (OSError, CalledProcessError) as error:
        raise _failure(error) from None
    manifest = Manifest(
        **model_facts(checkpoint, plan.image_size),
        target=TARGET,
        quantization=options.recipe.name,
        budgets=plan.budgets,
        max_patches=plan.max_patches,
        labels=checkpoint.labels,
        methods=tuple(coverage.methods),
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
    head, dense = classifier_of(checkpoint), checkpoint.dense
    file = ModelFile(output, manifest, folded.core_tokens, folded.coordinates, head, dense)
    return file, program, coverage


def _failure(error: OSError | CalledProcessError) -> VecaError:
    """What stopped the program from being built; the schema compiler, another program, works in temporary files."""
    if isinstance(error, CalledProcessError):
        reason = f"the schema compiler ended with status {error.returncode}"
        full = shutil.disk_usage(tempfile.gettempdir()).free < LITTLE_ROOM  # it does not say why
    else:
        reason = error.strerror or str(error)
        reason += f" ({error.filename})" if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    advice = f": make room in {tempfile.gettempdir()}, or set TMPDIR to another folder" if full else ""
    return VecaError(f"cannot build the program: {reason}{advice}")


@dataclass(frozen=True)
class _Plan:
    budgets: tuple[int, ...]
    image_size: int
    rows: int
    max_patches: int

    @property
    def size_buckets(self) -> tuple[int, ...]:
        """Patch counts below `max_patches` that `encode` and `step` are also offered for."""
        return tuple(sorted({n for n in (*SIZE_BUCKETS, self.rows**2) if n < self.max_patches}))


def _plan(checkpoint: Checkpoint, options: ConvertOptions) -> _Plan:
    """The options with defaults filled in, checked against the checkpoint."""
    budgets, size = check_budgets(checkpoint, options.budgets), check_image_size(checkpoint, options.image_size)
    rows = size // checkpoint.config.patch_size
    most = max(DEFAULT_MAX_PATCHES, rows**2) if options.max_patches is None else options.max_patches
    if most < rows**2:
        raise VecaError(f"--max-patches {most} is too small: a {size} px image has {rows**2} patches")
    if most > 2**16:
        raise VecaError(f"--max-patches {most} is too large: use at most {2**16}")
    return _Plan(budgets, size, rows, most)


def build_program(
    checkpoint: Checkpoint, folded: FoldedModel, plan: _Plan, report: Progress
) -> tuple[bytes, Coverage]:
    """The ExecuTorch program with `encode`, `step`, their size buckets, and one method per budget."""
    config, store = checkpoint.config, ConstantStore()

    def graph() -> ElasticGraph:
        return ElasticGraph(config, folded, store)

    encode, step, methods = graph().encode(FIRST_PLAN), graph().step(FIRST_PLAN), {}
    for patches in (*plan.size_buckets, plan.max_patches):
        most = Sizes(config.num_cores, patches, plan.max_patches)
        methods[elastic_method("encode", patches, plan.max_patches)] = Method(encode, graph().encode(most))
        methods[elastic_method("step", patches, plan.max_patches)] = Method(step, graph().step(most))
    for done, cores in enumerate(plan.budgets):
        report("building graphs", done / len(plan.budgets))
        methods[f"cores_{cores}"] = Method(graph().cores(cores, plan.rows, plan.rows))
    report("building graphs", 1.0)
    report("assembling", 0.0)
    program = assemble(methods, store)
    coverage = check_coverage(program, set(methods))
    report("assembling", 1.0)
    return program, coverage


def _precision(folded: FoldedModel, recipe: QuantizationRecipe) -> dict[str, str]:
    """The recipe's default, and the layers that are stored otherwise."""
    stored = {name: layer.precision for name, layer in linear_layers(folded).items()}
    exceptions = {name: precision for name, precision in stored.items() if precision != recipe.default}
    return {"default": recipe.default, **exceptions}
