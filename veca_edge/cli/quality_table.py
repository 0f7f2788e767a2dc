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
COLUMNS = (
    *("size", "cores", "patch budget", "fidelity", "embedding", "5th pct.", "features", "5th pct.", "same top-1"),
    "accuracy",
)


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
    columns = COLUMNS if any(row.accuracy is not None for row in table.rows) else COLUMNS[:-1]
    yield from Table(columns, tuple(tuple(_cells(row))[: len(columns)] for row in table.rows)).lines()
    yield ""
    yield from _notes(table.facts)


def _cells(row: QualityRow) -> Iterator[str]:
    def marked(name: str, text: str) -> str:
        return (SMOOTHED if name in row.raw else "") + text

    yield from (str(row.image_size), str(row.cores), number(row.patch_budget, "d"), f"{row.fidelity:.3f}")
    yield from (marked("embedding_cosine", number(row.embedding_cosine)), number(row.embedding_p5))
    yield from (marked("feature_cosine", number(row.feature_cosine)), number(row.feature_p5))
    yield marked("top1_agreement", _share(row.top1_agreement, row.top1_error))
    yield _share(row.accuracy, row.accuracy_error)


def _share(value: float | None, error: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" + ("" if error is None else f" ± {100 * error:.1f}") + " %"


def _notes(facts: Mapping[str, Any]) -> Iterator[str]:
    """What it was measured on. Files of earlier versions say less."""
    if facts.get("about"):
        yield f"Measured on {facts['about']}."
    yield "Fidelity: the geometric mean of embedding cosine, feature cosine and share of same top-1."
    sample, smoothed, made_with = (_mapping(facts, name) for name in ("sample", "smoothed", "made_with"))
    if sample:
        yield (
            f"Photos: {sample.get('photos')} of {sample.get('found')}, {sample.get('labelled')} with labels of the "
            f"model, {sample.get('skipped')} unreadable, seed {sample.get('seed')}, "
            f"sha256 {str(sample.get('digest'))[:16]}"
        )
    if isinstance(best := sample.get("reference_accuracy"), (int, float)):
        yield f"Accuracy of the checkpoint in fp32, all cores, largest size: {100 * best:.1f} %"
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
