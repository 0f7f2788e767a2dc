"""A conversion from end to end: checkpoint, recipe, calibration, file, verification, evaluation."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from veca_edge.converters.recipes import DEFAULT, PRECISIONS, Compression, QuantizationRecipe, ready_recipe
from veca_edge.errors import VecaError, require
from veca_edge.files import PACKAGE_SUFFIX, check_package_target, check_target, same_file
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.mlpackage import MinimumTarget
from veca_edge.modelfile.pte import read_model_file
from veca_edge.requests import given_options
from veca_edge.runtime.native import quiet
from veca_edge.runtime.trust import remember

if TYPE_CHECKING:
    from veca_edge.converters.draft import Draft
    from veca_edge.converters.executorch.convert import ConvertOptions
    from veca_edge.model.checkpoint import Checkpoint

Target = Literal["executorch", "coreml"]
TARGETS: Mapping[str, tuple[Target, ...]] = {
    "executorch": ("executorch",),
    "coreml": ("coreml",),
    "all": ("executorch", "coreml"),
}
# The package and the extra that each needs beside torch, and the ending of its files.
NEEDS: Mapping[Target, tuple[str, str]] = {
    "executorch": ("executorch", "convert"),
    "coreml": ("coremltools", "coreml"),
}
ENDINGS: Mapping[Target, str] = {"executorch": ".pte", "coreml": PACKAGE_SUFFIX}
# Options that only one target has.
ONLY_FOR: Mapping[Target, tuple[str, ...]] = {
    "executorch": ("max_patches", "evaluate", "data", "max_drop", "max_size"),
    "coreml": ("minimum_target", "classifier"),
}
UNEVALUATED = 0.5  # of the time of a .pte without its evaluation: measured for 4 million parameters

Progress = Callable[[str, float], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class ConvertRequest:
    """What to convert, to what, and how.

    Attributes:
        checkpoint: a checkpoint's file; None for the checkpoint that comes with the package.
        target: "executorch", "coreml" or "all"; None for what the output's ending says, else "executorch".
        output: the file or package to write; with "all" each gets its own ending. None for NAME-PRECISION.pte and
            NAME-PRECISION.mlpackage in the current folder.
        quantize: how weights are stored; None for `DEFAULT`. A .pte takes "int8", "int4" or "fp32".
        recipe: a file that says how each layer is stored, in place of `quantize`.
        data: a folder of photos: weights are rounded to serve them, and what is made is verified and evaluated on
            others of them. Where they have labels, they also say how sure the head must be of one.
        unknown: a folder of photos of things without a label, which are to get none; needs `data`.
        max_drop: find the smallest recipe that loses at most this much, 0..1; needs `data`.
        max_size: find the best recipe for a .pte of this many bytes; needs `data`.
        cores: budgets to offer; None for all.
        image_sizes: sides of the image in pixels, the default first; None for the checkpoint's. A .pte takes one.
        minimum_target: oldest system for a package; "iOS17" (macOS 14) takes a package per budget.
        classifier: whether a package gives label and probabilities in place of logits.
        max_patches: most patches at once in a .pte; None for `DEFAULT_MAX_PATCHES`, or enough for the image.
        evaluate: whether to measure what each operating point of a .pte keeps of the best results.
        force: whether to write even what is outside the tolerance.

    Raises:
        VecaError: options that contradict each other.
    """

    checkpoint: Path | None = None
    target: Literal["executorch", "coreml", "all"] | None = None
    output: Path | None = None
    quantize: Compression | None = None
    recipe: Path | None = None
    data: Path | None = None
    unknown: Path | None = None
    max_drop: float | None = None
    max_size: int | None = None
    cores: tuple[int, ...] | None = None
    image_sizes: tuple[int, ...] | None = None
    minimum_target: MinimumTarget = "iOS18"
    classifier: bool = False
    max_patches: int | None = None
    evaluate: bool = True
    force: bool = False

    def __post_init__(self) -> None:
        if self.unknown is not None and self.data is None:
            raise VecaError("--unknown needs photos of the labels as well: name a folder of them with --data")
        for target, names in ONLY_FOR.items():
            names = tuple(name for name in names if name != "data" or self.unknown is None)
            if target not in self.targets and (given := given_options(self, names)):
                raise VecaError(f"{given[0]} works with --target {target} only: leave it out")
        goals = given_options(self, ("max_drop", "max_size"))
        if goals and self.data is None:
            raise VecaError(f"{goals[0]} needs photos to measure on: name a folder of them with --data")
        if len(chosen := [*goals, *given_options(self, ("recipe", "quantize"))]) > 1:
            raise VecaError(f"{chosen[0]} and {chosen[1]} both say how layers are stored: give one of them")
        if "executorch" in self.targets and self.quantize not in (None, *PRECISIONS):
            raise VecaError(f"--quantize {self.quantize} is for Core ML: a .pte takes {', '.join(PRECISIONS)}")
        if "executorch" in self.targets and len(self.image_sizes or ()) > 1:
            raise VecaError("several sizes in --image-size are for --target coreml: a .pte takes one")

    @property
    def targets(self) -> tuple[Target, ...]:
        """What is to be made."""
        named = next(
            (name for name, ending in ENDINGS.items() if self.output and self.output.suffix == ending), None
        )
        return TARGETS[self.target or named or "executorch"]


@dataclass(frozen=True)
class Output:
    """A file or package that was written.

    Attributes:
        path: where it lies.
        bytes: its size.
        manifest: what it says about itself.
        graph_bytes: of each method's graph, by name; {} of a package.
    """

    path: Path
    bytes: int
    manifest: Manifest
    graph_bytes: Mapping[str, int]

    @property
    def default_function(self) -> str:
        """Of a package, the function that runs if an app names none: the largest budget at the first size."""
        return self.manifest.methods[len(self.manifest.budgets) - 1]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        functions = {"functions": list(self.manifest.methods), "default_function": self.default_function}
        return {
            "output": str(self.path),
            "bytes": self.bytes,
            "weight_bytes": self.manifest.weight_bytes,
            **({"methods": dict(self.graph_bytes)} if self.graph_bytes else functions),
            "verification": self.manifest.verification,
        }


@dataclass(frozen=True)
class Conversion:
    """What was made for one target, and how long that took."""

    target: Target
    outputs: tuple[Output, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        made = [output.to_dict() for output in self.outputs]
        return (made[0] if self.target == "executorch" else {"packages": made}) | {"seconds": self.seconds}


def convert(
    request: ConvertRequest, progress: Progress = lambda *_: None, say: Say = lambda _: None
) -> tuple[Conversion, ...]:
    """Convert a checkpoint, verify and evaluate the result, and give it its name.

    Args:
        progress: called with a stage ("folding weights", ...) and how much of it is done, 0..1.
        say: told what a person should know, a line each.

    Returns:
        One conversion per target. Its manifests hold the verification and, of a .pte, the quality table.

    Raises:
        VecaError: a package is missing, something in the request cannot be had, a file cannot be written, or the
            result is outside the tolerance.
    """
    require("torch", "convert")
    for target in request.targets:
        require(*NEEDS[target])
    if "coreml" in request.targets:
        _check_writer()
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint

    path = request.checkpoint or default_checkpoint_path()
    checkpoint = read_checkpoint(path)
    recipe = None if request.recipe is None else QuantizationRecipe.read(request.recipe)
    places = {target: _place(request, target, path, recipe) for target in request.targets}
    seconds = sum(_estimate(checkpoint, request.evaluate or target != "executorch") for target in places)
    progress = _announced(f"converting {path.name} takes about {seconds:.0f} s on two server cores", say, progress)
    checkpoint = _with_facts(request, checkpoint, say, progress)
    made = []
    for target, place in places.items():
        start = perf_counter()
        drafts = _drafts(request, target, place, checkpoint, recipe, progress, say)
        outputs = _finished(drafts, request, path, progress)
        made.append(Conversion(target, outputs, perf_counter() - start))
    return tuple(made)


def _with_facts(request: ConvertRequest, checkpoint: Checkpoint, say: Say, progress: Progress) -> Checkpoint:
    """The checkpoint with what photos say about it, which the manifests will hold."""
    from veca_edge.conversion.certainty import with_certainty
    from veca_edge.conversion.means import with_means
    from veca_edge.converters.description import check_budgets, check_image_size

    size = check_image_size(checkpoint, None if request.image_sizes is None else request.image_sizes[0])
    budgets = check_budgets(checkpoint, request.cores)
    checkpoint = with_certainty(checkpoint, request.data, request.unknown, size, budgets, say, progress)
    return with_means(checkpoint, request.data, size, progress)


def _check_writer() -> None:
    """Refuse what coremltools could not finish: only its built packages have the part that writes weights."""
    spec = find_spec("coremltools")
    folders = (spec.submodule_search_locations if spec else None) or ()
    if not any(any(Path(folder).glob("libmilstoragepython*")) for folder in folders):
        raise VecaError(
            f"coremltools only reads packages on {platform.system()} on {platform.machine()}, where it is not "
            "built: write them with --target coreml on a Mac or on Linux on x86_64"
        )


def _announced(line: str, say: Say, progress: Progress) -> Progress:
    """Progress that says a line first: once the work begins, when all that can be refused has been."""
    told: list[str] = []

    def announced(stage: str, done: float) -> None:
        if not told:
            told.append(line)
            say(line)
        progress(stage, done)

    return announced


def _estimate(checkpoint: Checkpoint, whole: bool) -> float:
    """Seconds that a conversion takes: measured for 4, 22 and 86 million parameters.

    Args:
        checkpoint: what is converted.
        whole: False for a .pte that is verified, but not evaluated.
    """
    parameters = sum(int(value.numel()) for value in checkpoint.state.values())
    return (20 + 2.9e-6 * parameters) * (1 if whole else UNEVALUATED)


def _place(request: ConvertRequest, target: Target, source: Path, recipe: QuantizationRecipe | None) -> Path:
    """Where the result goes."""
    path = request.output
    if path is None:
        searched = target == "executorch" and (request.max_drop is not None or request.max_size is not None)
        name = recipe.name if recipe is not None else "mixed" if searched else request.quantize or DEFAULT
        path = Path(f"{source.stem}-{name}{ENDINGS[target]}")
    elif len(request.targets) > 1:
        stem = path.with_suffix("") if path.suffix in ENDINGS.values() else path
        path = Path(f"{stem}{ENDINGS[target]}")
    if target == "coreml":
        return check_package_target(path)
    path = check_target(path)
    if path.suffix != ENDINGS[target]:
        raise VecaError(f"{path} would hold a model for ExecuTorch: let its name end in {ENDINGS[target]}")
    if same_file(path, source):
        raise VecaError(f"{path} is the checkpoint itself: name another --output")
    return path


def _drafts(
    request: ConvertRequest,
    target: Target,
    place: Path,
    checkpoint: Checkpoint,
    recipe: QuantizationRecipe | None,
    progress: Progress,
    say: Say,
) -> AbstractContextManager[tuple[Draft, ...]]:
    """The conversion itself, which runs as the context is entered."""
    quantize = request.quantize or DEFAULT
    if target == "coreml":
        with quiet():
            from veca_edge.converters.coreml.convert import PackageOptions, draft_packages
        packages = PackageOptions(
            quantize, recipe, request.cores, request.image_sizes, request.minimum_target, request.classifier
        )
        return draft_packages(checkpoint, place, packages, progress)
    with quiet():
        from veca_edge.converters.executorch.convert import ConvertOptions, draft_model_file
    options = ConvertOptions(
        recipe=recipe or ready_recipe(quantize),
        budgets=request.cores,
        image_size=None if request.image_sizes is None else request.image_sizes[0],
        max_patches=request.max_patches,
    )
    if request.data is not None:
        options = _calibrated(request, request.data, checkpoint, options, progress, say)
    return draft_model_file(checkpoint, place, options, progress)


def _calibrated(
    request: ConvertRequest,
    photos: Path,
    checkpoint: Checkpoint,
    options: ConvertOptions,
    progress: Progress,
    say: Say,
) -> ConvertOptions:
    """The options with rounding learned from photos and, where there is a goal, the recipe that reaches it."""
    from veca_edge.calibration.quantization.calibrator import Calibrator, file_size
    from veca_edge.calibration.quantization.findings import Goal
    from veca_edge.photos.calibration import read_calibration
    from veca_edge.runtime.machine import read_machine

    machine = read_machine()  # before the work, whose traces it would show
    calibrator = Calibrator(checkpoint, read_calibration(checkpoint, photos, say=say), None, progress)
    options = replace(options, round=calibrator.round)
    goal = Goal(request.max_drop, request.max_size)
    if goal == Goal():
        return options
    report = calibrator.report(
        machine, goal, lambda recipe, round: file_size(checkpoint, replace(options, recipe=recipe, round=round))
    )
    assert report.chosen is not None  # there was a goal
    return replace(options, recipe=report.chosen.recipe)


def _finished(
    drafts: AbstractContextManager[tuple[Draft, ...]], request: ConvertRequest, source: Path, progress: Progress
) -> tuple[Output, ...]:
    """Verify drafts, evaluate those of a .pte, and give them their names."""
    with drafts as made:
        for index, draft in enumerate(made):
            _verify(draft, request, source, partial(_advance, progress, index, len(made)))
            if draft.graph_bytes and request.evaluate:
                _evaluate(draft, request, source, progress)
    for draft in made:
        if draft.graph_bytes:
            remember(read_model_file(draft.target))
    return tuple(Output(d.target, _bytes_of(d.target), d.manifest, d.graph_bytes) for d in made)


def _advance(progress: Progress, index: int, count: int, done: float) -> None:
    progress("verifying", (index + done) / count)


def _verify(draft: Draft, request: ConvertRequest, source: Path, progress: Callable[[float], None]) -> None:
    from veca_edge.converters.verification import verify_in_child

    progress(0.0)  # the child starts and reads photos before it reports
    outcome = verify_in_child(draft.path, source, progress, data=request.data)
    if not outcome.passed and not request.force:
        raise VecaError(f"{draft.target} was not written: {outcome.complaint()}; --force writes it anyway")
    draft.describe(replace(draft.manifest, verification=outcome.to_dict()))


def _evaluate(draft: Draft, request: ConvertRequest, source: Path, progress: Progress) -> None:
    from veca_edge.calibration.quality.measure import quality_in_child

    remember(read_model_file(draft.path))  # it has just run without harm
    progress("evaluating", 0.0)  # the photos are read and seen by the checkpoint first
    quality = quality_in_child(draft.path, source, lambda done: progress("evaluating", done), request.data)
    draft.describe(replace(draft.manifest, quality=quality))


def _bytes_of(path: Path) -> int:
    """The size of a file, or of all files in a package."""
    files = [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]
    return sum(file.stat().st_size for file in files)
