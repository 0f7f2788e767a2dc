"""A checkpoint to a Core ML package that holds every core budget and image size, with the weights stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from veca_edge._version import __version__
from veca_edge.converters.coreml.functions import Dialect, PackageGraph
from veca_edge.converters.coreml.package import describe_package, put_in_place, staging, write_package
from veca_edge.converters.coreml.weights import package_weights
from veca_edge.converters.description import check_budgets, check_image_size, model_facts
from veca_edge.converters.draft import Draft
from veca_edge.converters.recipes import DEFAULT, Compression, QuantizationRecipe
from veca_edge.errors import VecaError
from veca_edge.files import check_package_target
from veca_edge.model.checkpoint import Checkpoint, default_checkpoint_path
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.mlpackage import MAIN, TARGET, MinimumTarget, function_name

KNOWN_LICENCE = "Apache-2.0; what the weights were trained on is in the NOTICE file of veca-edge"
UNKNOWN_LICENCE = "Unknown: the checkpoint does not say; ask whoever made it"

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class PackageOptions:
    """How to convert.

    Attributes:
        quantize: how weights are stored: "int8" (a scale per output channel), "fp16", "fp32", "int4" (a scale per
            32 inputs), "palette6" or "palette4" (64 or 16 values per 16 output channels). All but "fp32" compute
            in float16.
        recipe: which precision each layer gets, in place of `quantize`: "fp32" means float16 here.
        budgets: core counts to offer; None for all that the model was trained with.
        image_sizes: sides in pixels of the images, the default first; None for the checkpoint's.
        minimum_target: "iOS18", or "iOS17", which cannot hold several functions: a package per budget.
        classifier: label and probabilities in place of logits.
    """

    quantize: Compression = DEFAULT
    recipe: QuantizationRecipe | None = None
    budgets: tuple[int, ...] | None = None
    image_sizes: tuple[int, ...] | None = None
    minimum_target: MinimumTarget = "iOS18"
    classifier: bool = False

    @property
    def half(self) -> bool:
        """Whether the package computes in float16."""
        return self.recipe is not None or self.quantize != "fp32"

    @property
    def quantization(self) -> str:
        """What the manifest says."""
        return self.quantize if self.recipe is None else self.recipe.name


def convert_package(
    checkpoint: Checkpoint, output: Path, options: PackageOptions | None = None
) -> dict[Path, Manifest]:
    """Convert a checkpoint without verifying the result; `veca_edge.conversion.convert` does both.

    Args, errors: see `draft_packages`.

    Returns:
        What was written, and what it says about itself: one package, or for iOS 17 one per budget.
    """
    with draft_packages(checkpoint, output, options) as drafts:
        return {draft.target: draft.manifest for draft in drafts}


@contextmanager
def draft_packages(
    checkpoint: Checkpoint,
    output: Path,
    options: PackageOptions | None = None,
    progress: Progress = lambda *_: None,
) -> Iterator[tuple[Draft, ...]]:
    """Convert a checkpoint to packages that get their names when the context ends, unless it ends with an error.

    Args:
        checkpoint: what to convert.
        output: the package, replaced if it is there. For iOS 17 `NAME.mlpackage` stands for
            `NAME-cores_8.mlpackage` and so on, one for every budget.
        options: see `PackageOptions`.
        progress: called with a stage ("compressing", ...) and how much of it is done, 0..1.

    Raises:
        VecaError: impossible options, or a package that cannot be written.
    """
    options = options or PackageOptions()
    parts = list(plan_parts(checkpoint, output, options))
    progress("compressing", 0.0)
    weights = package_weights(
        checkpoint, options.quantize, lambda done: progress("compressing", done), options.recipe
    )
    labels = distinct(checkpoint.labels) if options.classifier else ()
    graph = PackageGraph(checkpoint.config, weights, Dialect(options.minimum_target, options.half, labels))
    with staging(parts[0].target) as folder:
        drafts = []
        for done, part in enumerate(parts):
            progress("writing", done / len(parts))
            drafts.append(_draft(graph, part, folder, checkpoint, options))
        progress("writing", 1.0)
        yield tuple(drafts)
        for draft in drafts:
            put_in_place(draft.path, draft.target)


def distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Labels with a number behind each that occurred before: Core ML wants the classes of a classifier distinct."""
    names: dict[str, None] = {}
    for label in labels:
        name, count = label, 1
        while name in names:
            count += 1
            name = f"{label} ({count})"
        names[name] = None
    return tuple(names)


@dataclass(frozen=True)
class Part:
    """One package that is to be written.

    Attributes:
        target: where it goes.
        budgets: core counts, ascending.
        functions: budget and image size in pixels by name, those of the default size first, then by budget.
    """

    target: Path
    budgets: tuple[int, ...]
    functions: Mapping[str, tuple[int, int]]

    @property
    def default(self) -> str:
        """The function for the largest budget at the first image size."""
        return list(self.functions)[len(self.budgets) - 1]


def plan_parts(checkpoint: Checkpoint, output: Path, options: PackageOptions) -> Iterator[Part]:
    """The packages to write, with the options checked against the checkpoint before any work."""
    if options.recipe is not None and options.recipe.name in ("fp32", "fp16"):
        raise VecaError(f"a recipe must not be named {options.recipe.name}: rename it, or use --quantize")
    if options.classifier and checkpoint.head is None:
        raise VecaError("the checkpoint has no head, so there is nothing to classify with: leave --classifier out")
    budgets = check_budgets(checkpoint, options.budgets)
    sizes = tuple(dict.fromkeys(check_image_size(checkpoint, size) for size in options.image_sizes or (None,)))
    if options.minimum_target == "iOS18":
        functions = {function_name(c, size, sizes[0]): (c, size) for size in sizes for c in budgets}
        yield Part(check_package_target(output), budgets, functions)
        return
    if len(sizes) > 1:
        raise VecaError("a package for iOS 17 holds one image size only: give one --image-size")
    recipe = options.recipe
    kinds = {options.quantize} if recipe is None else {recipe.default, *recipe.layers.values()}
    if coarse := kinds & {"int4", "palette6", "palette4"}:
        raise VecaError(f"{coarse.pop()} needs iOS 18: leave --minimum-target out, or use int8, fp16 or fp32")
    for cores in budgets:
        target = output.with_name(f"{output.stem}-cores_{cores}{output.suffix}")
        yield Part(check_package_target(target), (cores,), {MAIN: (cores, sizes[0])})


def _draft(graph: PackageGraph, part: Part, folder: Path, checkpoint: Checkpoint, options: PackageOptions) -> Draft:
    """Write a part under a temporary name, described."""
    patch = checkpoint.config.patch_size
    functions = {
        name: graph.function(cores, size // patch, size // patch) for name, (cores, size) in part.functions.items()
    }
    sizes = [size for _, size in part.functions.values()]
    about = Manifest(
        **model_facts(checkpoint, sizes[0]),
        target=TARGET,
        quantization=options.quantization,
        budgets=part.budgets,
        max_patches=(max(sizes) // patch) ** 2,
        labels=distinct(checkpoint.labels) if options.classifier else checkpoint.labels,
        methods=tuple(functions),
        program_size=0,
        program_digest="",
        weight_bytes=0,
        made_with={"veca-edge": __version__, "coremltools": version("coremltools")},
        verification={},
        precision={} if options.recipe is None else {"default": options.recipe.default, **options.recipe.layers},
    )
    path, manifest = write_package(folder, functions, part.default, options.minimum_target, about)
    draft = Draft(path, part.target, manifest, partial(describe_package, path, licence_of(checkpoint)))
    draft.describe(manifest)
    return draft


def licence_of(checkpoint: Checkpoint) -> str:
    """The licence of the weights, as far as it is known: checkpoints do not carry one."""
    packaged = hashlib.sha256(default_checkpoint_path().read_bytes()).hexdigest()
    return KNOWN_LICENCE if checkpoint.digest == packaged else UNKNOWN_LICENCE
