"""`veca-edge inspect --quality`: what each operating point keeps of the best results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from veca_edge.errors import VecaError
from veca_edge.governor.quality import QualityRow, QualityTable

SMOOTHED = "~"  # before a value that is not as it was measured


def quality_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The quality table of a model file, from the facts that `inspect` has gathered.

    Raises:
        VecaError: not a model file, one without a table, or a table that is not valid.
    """
    path = facts.get("path")
    if facts.get("kind") == "Core ML package":
        raise VecaError(
            f"{path}: packages have no quality table: --cores auto runs on .pte files; what a package's functions "
            "keep of the checkpoint is in its verification"
        )
    if facts.get("kind") != "model file":
        raise VecaError(f"{path}: only model files have a quality table: convert it with `veca-edge convert`")
    stored = facts.get("quality") or {}
    if not stored:
        raise VecaError(
            f"{path}: it was converted without a quality table: convert the checkpoint again, without --no-evaluate"
        )
    try:
        table = QualityTable.from_dict(stored)
    except VecaError as error:
        raise VecaError(f"{path}: {error}") from None
    rows = [row | {"fidelity": known.fidelity} for row, known in zip(stored["rows"], table.rows, strict=True)]
    return (
        {"path": path, "name": facts.get("name"), "quantization": facts.get("quantization")}
        | stored
        | {"rows": rows}
    )


def quality_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The table for a terminal, the best operating point first."""
    table = QualityTable.from_dict(facts)
    yield f"{facts['path']}  ({facts['name']}, {facts['quantization']})"
    yield ""
    accurate = any(row.accuracy is not None for row in table.rows)
    yield (
        "  size  cores  patch budget  fidelity  embedding  5th pct.  features  5th pct.     same top-1"
        + (f"  {'accuracy':>14}" if accurate else "")
    )
    for row in table.rows:
        yield _row_line(row) + (f"  {_share(row.accuracy, row.accuracy_error):>14}" if accurate else "")
    yield ""
    yield from _notes(facts)


def _row_line(row: QualityRow) -> str:
    budget = "-" if row.patch_budget is None else str(row.patch_budget)
    embedding = _mark(row, "embedding_cosine") + _number(row.embedding_cosine)
    feature = _mark(row, "feature_cosine") + _number(row.feature_cosine)
    return (
        f"  {row.image_size:>4}  {row.cores:>5}  {budget:>12}  {row.fidelity:>8.3f}"
        f"  {embedding:>9}  {_number(row.embedding_p5):>8}  {feature:>8}  {_number(row.feature_p5):>8}"
        f"  {_mark(row, 'top1_agreement') + _share(row.top1_agreement, row.top1_error):>13}"
    )


def _mark(row: QualityRow, name: str) -> str:
    return SMOOTHED if name in row.raw else ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _share(value: float | None, error: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" + ("" if error is None else f" ± {100 * error:.1f}") + " %"


def _notes(facts: Mapping[str, Any]) -> Iterator[str]:
    """What it was measured on. Files of earlier versions say less."""
    if facts.get("about"):
        yield f"Measured on {facts['about']}."
    yield "Fidelity: the geometric mean of embedding cosine, feature cosine and share of same top-1."
    sample = _table(facts, "sample")
    if sample:
        yield (
            f"Photos: {sample.get('photos')} of {sample.get('found')}, {sample.get('labelled')} with labels of the "
            f"model, {sample.get('skipped')} unreadable, seed {sample.get('seed')}, "
            f"sha256 {str(sample.get('digest'))[:16]}"
        )
    if isinstance(best := sample.get("reference_accuracy"), (int, float)):
        yield f"Accuracy of the checkpoint in fp32, all cores, largest size: {100 * best:.1f} %"
    smoothed = _table(facts, "smoothed")
    if smoothed:
        yield (
            f"{SMOOTHED} {smoothed.get('changed')} of {smoothed.get('values')} values smoothed so that more is "
            f"never worse; {smoothed.get('beyond_error')} contradict that by more than their standard error"
        )
    made_with = _table(facts, "made_with")
    if made_with:
        yield ", ".join(f"{name} {value}" for name, value in made_with.items())


def _table(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = facts.get(name)
    return value if isinstance(value, Mapping) else {}
