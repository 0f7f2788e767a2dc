"""`veca-edge inspect`: what is inside a checkpoint, a model file or a Core ML package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.options import InputPath, images_option, path_option
from veca_edge.cli.progress import Stages, command_line, echo_lines, next_step, say
from veca_edge.cli.tables import alike
from veca_edge.errors import VecaError, require
from veca_edge.files import is_package, is_regular, is_there
from veca_edge.modelfile.heads import DenseTask
from veca_edge.plotting import check_picture
from veca_edge.tables import Table

if TYPE_CHECKING:
    from veca_edge.modelfile.pte import ModelFile

EPILOG = """\b
Examples:
  veca-edge inspect                                 # the checkpoint that comes with the package
  veca-edge inspect veca.pte                        # sizes, budgets, methods, labels
  veca-edge inspect veca.pte --quality --plot quality.png
  veca-edge inspect Veca.mlpackage --ane
"""
FIRST_LABELS = 6


@dataclass(frozen=True)
class InspectRequest:
    """What to look into, and what to look for.

    Attributes:
        path: a checkpoint, a model file or a Core ML package; None for the checkpoint that comes with the package.
        ane: look for what keeps a Core ML package off the Neural Engine.
        images: a folder of images to measure on with `ane`; None for some of the packaged photos.
        quality: look at a model file's quality table.
        plot: where a picture of the quality table goes.

    Raises:
        VecaError: options that contradict each other.
    """

    path: Path | None = None
    ane: bool = False
    images: Path | None = None
    quality: bool = False
    plot: Path | None = None

    def __post_init__(self) -> None:
        if self.quality and self.ane:
            raise VecaError("--quality and --ane: give one of them")
        if self.plot is not None and not self.quality:
            raise VecaError("--plot works with --quality only: leave it out")
        if self.images is not None and not self.ane:
            raise VecaError("--data works with --ane only: leave it out")
        if self.path is None and (self.quality or self.ane):
            needs = "--quality needs a model file" if self.quality else "--ane needs a Core ML package"
            raise VecaError(f"{needs}: name one")


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        facts: as plain values, ready for JSON.
        lines: the same for a terminal, to be read once.
    """

    facts: Mapping[str, Any]
    lines: Iterator[str]


@click.command("inspect", epilog=EPILOG)
@click.argument("path", required=False, type=InputPath())
@click.option(
    "--ane",
    is_flag=True,
    help="Show which operations of a Core ML package are known to leave the Neural Engine, and whether float16 "
    "holds every value.",
)
@images_option(
    show_default="some of the packaged photos",
    help="With --ane: measure on the images in this folder.",
)
@click.option(
    "--quality",
    is_flag=True,
    help="Show what each run configuration of a model file keeps of the best one's results.",
)
@path_option("--plot", help="With --quality: draw the table (.png, .svg, .pdf).")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(as_json: bool, **given: Any) -> None:
    """Show what is inside a checkpoint, a model file or a Core ML package.

    Without PATH it shows the checkpoint that comes with the package.
    """
    found = inspect(InspectRequest(**given), None if as_json else Stages())
    if given["plot"] is not None:
        say(f"wrote {given['plot']}")
    if as_json:
        click.echo(json.dumps(found.facts, indent=2, ensure_ascii=False, default=str))
    else:
        echo_lines(found.lines)
        if given["quality"]:
            command = command_line("profile", given["path"], "--target-fps", 15)
            next_step(f"{command} recommends one for this device")


def inspect(request: InspectRequest, stages: Stages | None = None) -> Findings:
    """Look into a file.

    Args:
        stages: to report progress to.

    Raises:
        VecaError: as `inspect_file`, or the file is not of the kind that the request is about.
    """
    path = request.path
    if request.quality and path is not None:
        return _quality(path, request.plot)
    if request.ane and path is not None:
        return _neural_engine(path, request.images, stages)
    facts = inspect_file(path)
    return Findings(facts, LINES.get(facts.get("kind", ""), nested_lines)(facts))


def _quality(path: Path, plot: Path | None) -> Findings:
    from veca_edge.calibration.quality.plot import draw_quality
    from veca_edge.cli.quality_table import quality_lines, read_quality

    picture = None if plot is None else check_picture(plot)
    manifest, table = read_quality(path)
    named = {"path": str(path), "name": manifest.name, "quantization": manifest.quantization}
    values = table.to_dict()
    for cells, row in zip(values["rows"], table.rows, strict=True):
        cells["fidelity"] = row.fidelity
    if picture is not None:
        draw_quality(picture, table, f"{manifest.name}, {manifest.quantization}")
    title = f"{path}  ({manifest.name}, {manifest.quantization})"
    return Findings(named | values, chain([title, ""], quality_lines(table)))


def _neural_engine(path: Path, images: Path | None, stages: Stages | None) -> Findings:
    if is_there(path) and not is_package(path):
        raise VecaError(f"{path} is not a Core ML package: --ane works with packages only")
    require("coremltools", "coreml")
    from veca_edge.cli.neural_engine import neural_engine_facts, neural_engine_lines

    facts = inspect_file(path)
    facts["neural_engine"] = neural_engine_facts(path, images, stages)
    return Findings(facts, chain([_package_title(facts)], neural_engine_lines(facts["neural_engine"])))


def inspect_file(path: Path | None) -> dict[str, Any]:
    """Facts about a checkpoint, a model file or a Core ML package (of any tool), told apart by content.

    With ExecuTorch installed they say what a model file's methods consist of; importing the parser takes seconds.

    Args:
        path: None for the checkpoint that comes with the package.

    Raises:
        VecaError: the file is none of them, is damaged, or reading it needs a package that is not installed.
    """
    if path is not None and is_package(path):
        from veca_edge.modelfile.mlpackage import describe_package

        return describe_package(path)
    if path is not None and is_regular(path):
        from veca_edge.modelfile.pte import describe, is_model_file, read_model_file

        if is_model_file(path):
            file = read_model_file(path)
            facts = describe(file)
            return facts | {"methods": _method_contents(file)} if find_spec("executorch") else facts
    require("torch", "run")
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint
    from veca_edge.model.summary import summarize

    return summarize(read_checkpoint(path or default_checkpoint_path()))


def _method_contents(file: ModelFile) -> dict[str, str]:
    from veca_edge.runtime.native import quiet

    with quiet(), file.path.open("rb") as stream:
        from veca_edge.converters.executorch.coverage import read_coverage

        coverage = read_coverage(stream.read(file.manifest.program_size))
    contents = {
        name: f"{len(m.delegates)} delegate ({', '.join(m.delegates)}), {len(m.operators)} operators outside, "
        f"graph {m.graph_bytes / 1e3:.0f} kB"
        for name, m in coverage.methods.items()
    }
    return contents | {
        "all methods share": f"{coverage.weight_bytes / 1e6:.2f} MB of weights",
        "graphs": f"{coverage.graph_bytes / 1e3:.0f} kB; encode and encode_N share one, and so do step and step_N",
    }


def checkpoint_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """A checkpoint's facts for a terminal: what it is, what it does, what it costs."""
    yield f"{facts['path']}  (checkpoint, {facts['bytes'] / 1e6:.1f} MB)"
    yield ""
    yield from Table(("", ""), tuple(_checkpoint_rows(facts)), words=2).lines()
    yield ""
    costs = facts["gflops"]
    sides = next(iter(costs.values()))
    rows = tuple((cores, *(f"{row[side]:.3f}" for side in sides)) for cores, row in costs.items())
    yield from Table(("cores", *(f"{side} px" for side in sides)), rows, "GFLOPs per image").lines()


def model_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """A model file's facts for a terminal, laid out as a checkpoint's; the quality table has its own option."""
    yield f"{facts['path']}  (model file for ExecuTorch, {facts['quantization']}, {facts['bytes'] / 1e6:.1f} MB)"
    yield ""
    yield from Table(("", ""), tuple(_model_rows(facts)), words=2).lines()
    yield ""
    yield "Methods"
    width = max(map(len, facts["methods"]))
    methods = facts["methods"]
    said = methods.items() if isinstance(methods, Mapping) else ((name, "") for name in methods)
    yield from (f"  {name:<{width}}  {what}".rstrip() for name, what in said)
    yield ""
    yield "Made with"
    yield from nested_lines(facts["made_with"], "  ")


def _package_title(facts: Mapping[str, Any]) -> str:
    return f"{facts['path']}  (Core ML package, {facts['bytes'] / 1e6:.1f} MB, {facts['minimum_target']} or newer)"


def package_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """A Core ML package's facts for a terminal: functions, what they are made of, weights, and the rest."""
    yield _package_title(facts)
    functions = facts["functions"]
    rows = tuple(
        (
            name + (" (default)" if name == facts["default_function"] and len(functions) > 1 else ""),
            str(sum(function["operations"].values())),
            str(function["constants"]),
            f"{function['weight_bytes'] / 1e6:.2f} MB",
        )
        for name, function in functions.items()
    )
    yield ""
    yield from Table(("function", "operations", "constants", "weights"), rows, words=1).lines()
    for title in ("operations", "inputs", "outputs"):
        for names, found in alike({name: function[title] for name, function in functions.items()}):
            yield ""
            yield f"{title.capitalize()} of {names}"
            lines = (f"{n} {kind}" for kind, n in found.items()) if title == "operations" else found
            yield from (f"  {line}" for line in lines)
    yield ""
    yield "Weights"
    yield from nested_lines(facts["weights"], "  ")
    rest = {key: facts[key] for key in ("metadata", "manifest") if facts[key]}
    yield ""
    yield from nested_lines(rest or {"manifest": None})


def nested_lines(facts: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Any nested facts as aligned names and values, one level deeper for every dictionary."""
    width = max((len(_title(key)) for key, value in facts.items() if not isinstance(value, Mapping)), default=0)
    for key, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{_title(key)}"
            yield from nested_lines(value, indent + "  ")
        else:
            yield f"{indent}{_title(key):<{width}}  {_text(value)}"


def _checkpoint_rows(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    heads = f"{facts['num_heads']} heads of {facts['head_dim']}"
    yield "model", f"{facts['family']}: {facts['num_layers']} layers, {facts['hidden_dim']} wide, {heads}"
    yield "MLP", f"{facts['ffn_dim']} wide, gated"
    yield "patches", f"{facts['patch_size']} x {facts['patch_size']} pixels"
    yield from _shared_rows(facts)
    total = facts["parameters"] + facts["head_parameters"]
    yield "parameters", f"{total / 1e6:.2f} M"
    yield "head", f"linear, {facts['head_classes']} classes" if facts["head_classes"] else "none"
    yield from _label_rows(facts["labels"])
    if facts["certainty"] is not None:
        yield _certainty_row(facts["certainty"])
    yield from _dense_rows(facts["heads"])
    yield from _preprocessing_rows(facts["preprocessing"])
    yield "sha256", facts["sha256"]


def _model_rows(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    heads = f"{facts['num_heads']} heads of {facts['hidden_dim'] // facts['num_heads']}"
    sizes = f"{facts['num_layers']} layers, {facts['hidden_dim']} wide, {heads}"
    yield "model", f"{facts['name']} ({facts['family']}): {sizes}"
    yield "patches", f"{facts['patch_size']} x {facts['patch_size']} pixels, up to {facts['max_patches']} at once"
    yield from _shared_rows(facts)
    yield "head", f"linear, {len(facts['labels'])} classes" if facts["labels"] else "none"
    yield from _label_rows(facts["labels"])
    if facts["labels"]:
        yield _certainty_row(facts["certainty"])
    yield from _dense_rows(facts["heads"])
    yield from _preprocessing_rows(facts["preprocessing"])
    rows = (facts.get("quality") or {}).get("rows")
    yield "quality", f"{len(rows)} run configurations: see --quality" if isinstance(rows, list) else "not evaluated"
    verification = facts.get("verification") or {}
    passed = "passed" if verification.get("passed") else "not passed"
    yield "verified", f"{passed}: {verification['tolerance']}" if "tolerance" in verification else "no"
    yield "weights", f"{facts['weight_bytes'] / 1e6:.2f} MB"
    yield "checkpoint", f"sha256 {facts['source_digest']}"


def _shared_rows(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "cores", f"{facts['num_cores']}, in chunks of {facts['chunk_size']}"
    yield "budgets", " ".join(str(budget) for budget in facts["budgets"])
    yield "output", f"embedding and patch features, {facts['feature_dim']} wide"


def _label_rows(labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    if labels:
        yield "labels", _listed(labels, FIRST_LABELS)


def _certainty_row(certainty: Mapping[str, Any]) -> tuple[str, str]:
    default = "" if certainty["about"] else " (default)"
    return "sure", f"from {100 * certainty['threshold']:.0f} % on{default}"


def _dense_rows(heads: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A line for each dense head, and what it says."""
    for name, values in heads.items():
        task = DenseTask.from_dict(name, values)
        says = _listed(task.labels, FIRST_LABELS) if task.labels else _span(task)
        yield "dense head", f"{name}, {task.kind}, {task.cells} x {task.cells} cells a patch: {says}"


def _span(task: DenseTask) -> str:
    low, high = task.range
    return f"{low:.3g} to {high:.3g} {task.unit}".rstrip()


def _preprocessing_rows(preprocessing: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "image", f"{preprocessing['image_size']} px, {preprocessing['fit']}"
    for name in ("mean", "std"):
        yield name, " ".join(f"{value:g}" for value in preprocessing[name])


def _title(key: object) -> str:
    return str(key).replace("_", " ")


def _text(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return _listed([_text(item) for item in value], 2 * FIRST_LABELS) or "none"
    return str(value)


def _listed(texts: Sequence[str], most: int) -> str:
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f", and {more} more" if more > 0 else "")


# How each kind of facts reads best; others are nested names and values.
LINES: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "checkpoint": checkpoint_lines,
    "model file": model_lines,
    "Core ML package": package_lines,
}
