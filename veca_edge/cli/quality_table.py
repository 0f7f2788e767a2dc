"""`veca-edge inspect --quality`: what each run configuration keeps of the best one's results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from veca_edge.errors import VecaError
from veca_edge.files import is_package, is_regular
from veca_edge.governor.quality import QualityRow, QualityTable
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.pte import is_model_file, read_model_file
from veca_edge.tables import Table, number

SMOOTHED = "~"  # before a value that is not as it was measured
# Headings of the columns, by what they show of a row; a column without a value is left out.
COLUMNS = {
    "embedding_cosine": "embedding",
    "embedding_p5": "5th pct.",
    "feature_cosine": "features",
    "feature_p5": "5th pct.",
    "label_overlap": "label overlap",
    "top1_agreement": "same top-1",
    "dense_agreement": "dense agreement",
    "accuracy": "accuracy",
    "miou": "mIoU",
}
RIGHT = {"accuracy": "Accuracy", "miou": "mIoU"}  # what photos with right answers are for


def read_quality(path: Path) -> tuple[Manifest, QualityTable]:
    """What a model file is, and its quality table.

    Raises:
        VecaError: no model file, or one without a table, or a table that is damaged.
    """
    if is_package(path):
        raise VecaError(
            f"{path}: packages have no quality table: --cores auto runs on .pte files; what a package's functions "
            "keep of the checkpoint is in its verification"
        )
    if is_regular(path) and not is_model_file(path):
        raise VecaError(f"{path}: only model files have a quality table: convert it with `veca-edge convert`")
    manifest = read_model_file(path).manifest
    try:
        table = QualityTable.of_file(manifest.quality, manifest.budgets)
    except VecaError as error:
        raise VecaError(f"{path}: {error}") from None
    if table is None:
        raise VecaError(f"{path} has no quality table: convert the checkpoint again, without --no-evaluate")
    return manifest, table


def quality_lines(table: QualityTable) -> Iterator[str]:
    """The table for a terminal, the best configuration first, and what it was measured on."""
    names = [name for name in COLUMNS if any(getattr(row, name) is not None for row in table.rows)]
    rows = tuple((*_place(row), *(_cell(row, name) for name in names)) for row in table.rows)
    columns = ("size", "cores", "patch budget", "fidelity", *(COLUMNS[name] for name in names))
    yield from Table(columns, rows).lines()
    yield ""
    yield from _notes(table)


def _place(row: QualityRow) -> tuple[str, ...]:
    return str(row.image_size), str(row.cores), number(row.patch_budget, "d"), f"{row.fidelity:.3f}"


def _cell(row: QualityRow, name: str) -> str:
    """A value, as a share with its standard error if it is one."""
    value = getattr(row, name)
    text = number(value)
    if value is not None and not name.endswith(("_cosine", "_p5")):
        error = getattr(row, "top1_error" if name == "top1_agreement" else f"{name}_error")
        text = f"{100 * value:.1f}" + ("" if error is None else f" ± {100 * error:.1f}") + " %"
    return (SMOOTHED if name in row.raw else "") + text


def _notes(table: QualityTable) -> Iterator[str]:
    """What it was measured on. Files of earlier versions say less."""
    facts = table.facts
    if facts.get("about"):
        yield f"Measured on {facts['about']}."
    *most, last = (name.replace("_", " ") for name in table.rows[0].measures)
    yield f"Fidelity: the geometric mean of {', '.join(most)} and {last}."
    sample, smoothed, made_with = (_mapping(facts, name) for name in ("sample", "smoothed", "made_with"))
    if sample:
        yield (
            f"Photos: {sample.get('photos')} of {sample.get('found')}, {sample.get('labelled')} with labels and "
            f"{sample.get('masked', 0)} with masks of the model, {sample.get('skipped')} unreadable, "
            f"seed {sample.get('seed')}, sha256 {str(sample.get('digest'))[:16]}"
        )
    for name, words in RIGHT.items():
        if isinstance(best := sample.get(f"reference_{name}"), (int, float)):
            yield f"{words} of the checkpoint in fp32, all cores, largest size: {100 * best:.1f} %"
    if smoothed:
        yield (
            f"{SMOOTHED} {smoothed.get('changed')} of {smoothed.get('values')} values were smoothed so that more "
            f"is never worse; {smoothed.get('beyond_error')} contradict that by more than their standard error"
        )
    if made_with:
        yield ", ".join(f"{name} {value}" for name, value in made_with.items())


def _mapping(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = facts.get(name)
    return value if isinstance(value, Mapping) else {}
