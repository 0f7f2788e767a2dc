"""`veca-edge inspect`: what is inside a checkpoint, a model file or a Core ML package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.options import InputPath
from veca_edge.cli.progress import Stages
from veca_edge.cli.tables import alike
from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, is_package, is_regular, is_there
from veca_edge.plotting import check_picture

if TYPE_CHECKING:
    from veca_edge.modelfile.pte import ModelFile

FIRST_LABELS = 6


@click.command("inspect")
@click.argument("path", required=False, type=InputPath())
@click.option(
    "--ane",
    is_flag=True,
    help="Of a Core ML package: what is known to leave the Neural Engine, and whether float16 holds every value.",
)
@click.option(
    "--images",
    type=InputPath(),
    metavar="DIR",
    help="With --ane: your own images to measure on.",
)
@click.option(
    "--quality", is_flag=True, help="Of a model file: what each way of running keeps of the best one's results."
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --quality: draw it (.png, .svg, .pdf).",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    path: Path | None, ane: bool, images: Path | None, quality: bool, plot: Path | None, as_json: bool
) -> None:
    """Show what is inside a checkpoint, a model file or a Core ML package.

    Without PATH: the checkpoint that comes with the package.
    """
    _check_options(path, ane, images, quality, plot)
    facts = inspect_file(path, contents=not quality)
    lines = LINES.get(facts.get("kind", ""), nested_lines)
    if quality:
        from veca_edge.cli.quality_table import quality_facts, quality_lines

        facts, lines = quality_facts(facts), quality_lines
        if plot is not None:
            _draw_quality(check_target(plot), facts)
    if ane and path is not None:
        from veca_edge.cli.neural_engine import neural_engine_facts

        facts["neural_engine"] = neural_engine_facts(path, images, None if as_json else Stages())
        lines = _ane_lines
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False, default=str))
        return
    click.echo("\n".join(lines(facts)))


def _check_options(path: Path | None, ane: bool, images: Path | None, quality: bool, plot: Path | None) -> None:
    if quality and (ane or path is None):
        raise VecaError("--quality goes without --ane" if ane else "--quality is for model files: name one")
    if plot is not None and not quality:
        raise VecaError("--plot is for --quality only")
    if plot is not None:
        check_picture(plot)
    if images is not None and not ane:
        raise VecaError("--images is for --ane only")
    if ane and (path is None or (is_there(path) and not is_package(path))):
        raise VecaError("--ane is for Core ML packages: " + ("name one" if path is None else f"{path} is none"))
    if ane:
        require("coremltools", "coreml")


def _draw_quality(path: Path, facts: Mapping[str, Any]) -> None:
    from veca_edge.calibration.quality.plot import draw_quality
    from veca_edge.governor.quality import QualityTable

    draw_quality(path, QualityTable.from_dict(facts), f"{facts['name']}, {facts['quantization']}")


def inspect_file(path: Path | None, contents: bool = True) -> dict[str, Any]:
    """Facts about a checkpoint, a model file or a Core ML package (of any tool), told apart by content.

    Args:
        path: None for the checkpoint that comes with the package.
        contents: with ExecuTorch installed, also what a model file's methods consist of: importing the parser
            takes seconds.

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
            return facts | {"methods": _method_contents(file)} if contents and find_spec("executorch") else facts
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
        "shared by all": f"{coverage.weight_bytes / 1e6:.2f} MB of weights",
        "graphs": f"{coverage.graph_bytes / 1e3:.0f} kB, each stored once: encode and encode_N share one, so do "
        "step and step_N",
    }


def checkpoint_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """A checkpoint's facts for a terminal: what it is, what it does, what it costs."""
    yield f"{facts['path']}  (checkpoint, {facts['bytes'] / 1e6:.1f} MB)"
    yield ""
    yield from _columns(_checkpoint_rows(facts))
    yield ""
    yield "GFLOPs per image"
    yield from _cost_lines(facts["gflops"])


def model_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """A model file's facts for a terminal; the table of its ways of running has an option of its own."""
    rows = (facts.get("quality") or {}).get("rows")
    judged = f"{len(rows)} ways of running: see --quality" if isinstance(rows, list) else "not judged"
    return nested_lines({**facts, "quality": judged})


def _ane_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    from veca_edge.cli.neural_engine import neural_engine_lines

    yield _package_title(facts)
    yield from neural_engine_lines(facts["neural_engine"])


def _package_title(facts: Mapping[str, Any]) -> str:
    return f"{facts['path']}  (Core ML package, {facts['bytes'] / 1e6:.1f} MB, {facts['minimum_target']} or newer)"


def package_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """A Core ML package's facts for a terminal: functions, what they are made of, weights, and the rest."""
    yield _package_title(facts)
    functions = facts["functions"]
    width = max(map(len, functions))
    yield f"\n  {'function':<{width}}  operations  constants  weights"
    for name, function in functions.items():
        count, stored = sum(function["operations"].values()), function["weight_bytes"] / 1e6
        note = "  (default)" if name == facts["default_function"] and len(functions) > 1 else ""
        yield f"  {name:<{width}}  {count:>10}  {function['constants']:>9}  {stored:>4.2f} MB{note}"
    for title in ("operations", "inputs", "outputs"):
        for names, found in alike({name: function[title] for name, function in functions.items()}):
            yield f"\n{title.capitalize()} of {names}"
            lines = (f"{n} {kind}" for kind, n in found.items()) if title == "operations" else found
            yield from (f"  {line}" for line in lines)
    yield "\nWeights"
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
    yield "cores", f"{facts['num_cores']}, in chunks of {facts['chunk_size']}"
    yield "budgets", " ".join(str(budget) for budget in facts["budgets"])
    yield "output", f"embedding and patch features, {facts['feature_dim']} wide"
    total = facts["parameters"] + facts["head_parameters"]
    yield "parameters", f"{total / 1e6:.2f} M"
    if facts["head_classes"]:
        first = ", ".join(facts["labels"][:FIRST_LABELS])
        more = facts["head_classes"] - FIRST_LABELS
        yield "head", f"linear, {facts['head_classes']} classes"
        yield "labels", first + (f", and {more} more" if more > 0 else "")
    else:
        yield "head", "none"
    yield from _preprocessing_rows(facts["preprocessing"])
    yield "sha256", facts["sha256"]


def _preprocessing_rows(preprocessing: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "image", f"{preprocessing['image_size']} px, {preprocessing['fit']}"
    for name in ("mean", "std"):
        yield name, " ".join(f"{value:g}" for value in preprocessing[name])


def _columns(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    for name, value in rows:
        yield f"  {name:<10}  {value}"


def _cost_lines(table: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    sides = list(next(iter(table.values())))
    yield "  cores" + "".join(f"{side + ' px':>10}" for side in sides)
    for cores, row in table.items():
        yield f"  {cores:>5}" + "".join(f"{row[side]:>10.3f}" for side in sides)


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
        texts = [_text(item) for item in value]
        more = len(texts) - 2 * FIRST_LABELS
        return ", ".join(texts[: 2 * FIRST_LABELS]) + (f", and {more} more" if more > 0 else "") or "none"
    return str(value)


# How each kind of facts reads best; others are nested names and values.
LINES: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "checkpoint": checkpoint_lines,
    "model file": model_lines,
    "Core ML package": package_lines,
}
