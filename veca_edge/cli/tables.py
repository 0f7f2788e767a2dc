"""Tables that more than one command prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from veca_edge.modelfile.certainty import NOT_SURE, Certainty
from veca_edge.numbers import counted
from veca_edge.tables import Table, number

if TYPE_CHECKING:
    from veca_edge.calibration.quality.few_shot import FewShot
    from veca_edge.calibration.quality.recognition import Recognised
    from veca_edge.training.heads.evaluation import PointScores

CLASSES_SHOWN = 12  # columns that a terminal has room for
# Scores by their names in JSON: heading, form, unit.
SCORES = {
    "top1": ("top-1", ".1f", " %"),
    "top5": ("top-5", ".1f", " %"),
    "ece": ("calibration error", ".1f", " %"),
    "miou": ("mIoU", ".1f", " %"),
    "foreground": ("all but ", ".1f", " %"),
    "accuracy": ("pixels right", ".1f", " %"),
    "rmse": ("RMSE", ".4g", ""),
    "relative": ("absolute relative error", ".1f", " %"),
    "delta1": ("within 1.25x", ".1f", " %"),
}
COLUMNS = ("cores", "embedding cosine", "feature cosine", "relative error", "same top-1")


def verification_lines(verification: Mapping[str, Any]) -> Iterator[str]:
    """A verification by budget: the worst of the methods, which all compute the same."""
    rows = verification["rows"]
    budgets = dict.fromkeys(row["cores"] for row in rows)
    cells = tuple(_cells([row for row in rows if row["cores"] == cores]) for cores in budgets)
    yield from Table((*COLUMNS, *(f"same {name}" for name in rows[0].get("dense", ()))), cells).lines()
    methods = len({row["method"].replace(f"_{row['cores']}", "_C") for row in rows})
    yield ""
    outcome = "passed" if verification["passed"] else "FAILED"
    yield (
        f"verification {outcome}: the worst of {methods} methods per budget on {verification['images']} images "
        f"against PyTorch in fp32 ({verification['tolerance']})"
    )
    if verification["quantization"] != "fp32":
        yield from _range_warning(max((row.get("largest") or 0.0 for row in rows), default=0.0))


def _cells(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The worst of the methods of one budget."""
    embedding, features = (min(row[f"{name}_cosine"] for row in rows) for name in ("embedding", "feature"))
    agreements = [100 * row["top1_agreement"] for row in rows if row["top1_agreement"] is not None]
    error = max(row["max_error"] for row in rows)
    same = number(min(agreements, default=None), ".1f", " %")
    heads = rows[0].get("dense", {})
    dense = (f"{min(row['dense'][name] for row in rows):.4f}" for name in heads)
    return str(rows[0]["cores"]), f"{embedding:.6f}", f"{features:.6f}", f"{error:.2g}", same, *dense


def score_lines(points: Sequence[PointScores]) -> Iterator[str]:
    """Scores on photos with right answers, a line for each core budget and image size."""
    names = points[0].to_dict()
    classes = list(names.get("iou", {}))[:CLASSES_SHOWN]
    columns = [name for name in names if name in SCORES]
    rows = []
    for point in points:
        values = point.to_dict()
        by_class = (number(_percent(values["iou"][label]), ".1f", " %") for label in classes)
        shown = (number(_shown(name, values[name]), *SCORES[name][1:]) for name in columns)
        rows.append((str(point.point.cores), f"{point.point.image_size} px", *shown, *by_class))
    # What is no class of its own: "all but background".
    headings = (SCORES[name][0] + (classes[0] if name == "foreground" else "") for name in columns)
    yield from Table(("cores", "size", *headings, *classes), tuple(rows)).lines()
    left_out = len(names.get("iou", {})) - len(classes)
    if left_out > 0:
        yield f"  and {left_out} more classes: --json names them"


def few_shot_lines(outcome: FewShot) -> Iterator[str]:
    """How well things are recognised by a few examples, a line for each number of labels and of examples."""
    asked = list(outcome.rows[0].right)
    rows = []
    for row in outcome.rows:
        right = (f"{100 * share.mean:.1f} ± {100 * share.error:.1f} %" for share in row.right.values())
        shares = (row.named, row.right_named, row.strangers_named)
        said = (number(_percent(share), ".0f", " %") for share in shares)
        rows.append((f"{row.way} labels, {counted(row.shot, 'example')}", *right, *said))
    headings = (f"{name} cores" if name.isdecimal() else name for name in asked)
    yield f"{outcome.what}, {outcome.photos}: learned with {outcome.learned} cores, asked with"
    yield from Table(("", *headings, "named", "right of these", "strangers named"), tuple(rows), words=1).lines()
    yield f"  means and standard errors of {outcome.episodes} episodes"
    yield f'  from "named" on, with {asked[0]} cores: what is sure of a name; strangers are of other labels'


def recognition_lines(rows: Sequence[Recognised], totals: Mapping[str, Any]) -> Iterator[str]:
    """What a gallery says of folders of photos, a line for each label, and of all."""
    cells = (
        (row.label, str(row.photos), _known(row, row.right), str(row.named), _known(row, row.right_named))
        for row in rows
    )
    yield from Table(("label", "photos", "right", "named", "right of these"), tuple(cells), words=1).lines()
    shares = {name: number(_percent(share), ".1f", " %") for name, share in totals.items() if "photos" not in name}
    yield ""
    yield (
        f"{counted(totals['photos'], 'photo')} of the gallery's labels: best match right {shares['right']}, named "
        f"{shares['named']}, of these right {shares['right_named']}"
    )
    if not totals["stranger_photos"]:
        return
    yield (
        f"{counted(totals['stranger_photos'], 'photo')} of other labels, which should get no name: named "
        f"{shares['strangers_named']}"
    )


def _known(row: Recognised, count: int) -> str:
    """A count of right answers, of which a label that was not taught has none."""
    return str(count) if row.known else "-"


def certainty_lines(certainty: Certainty) -> Iterator[str]:
    """From which confidence on labels are shown, and what that was measured to be worth."""
    about = {name: number(100 * share, ".1f", " %") for name, share in certainty.about.items()}
    default = "" if about else " (default)"
    yield f'below a confidence of {100 * certainty.threshold:.0f} % a label counts as "{NOT_SURE}"{default}'
    if "answered" not in about:
        return
    others = "other things were not tried: see --unknown"
    if "unknown_answered" in about:
        count = certainty.about["unknown_photos"]
        others = f"{about['unknown_answered']} of {count:.0f} photos of other things got one"
    right = f", {about['precision']} of these right" if "precision" in about else ""
    yield f"  {about['answered']} of {certainty.about['photos']:.0f} photos got a label{right}; {others}"
    yield "  (each half of the photos with a threshold that was fitted on the other half)"


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _shown(name: str, value: float) -> float:
    return value if name in ("rmse", "nll") else 100 * value


def _range_warning(largest: float) -> Iterator[str]:
    from veca_edge.converters.coreml.neural_engine.ranges import HALF_LARGEST, NEAR_OVERFLOW

    if largest >= NEAR_OVERFLOW * HALF_LARGEST:
        yield (
            f"warning: values up to {largest:.3g}, and float16 ends at {HALF_LARGEST:g}: see where with "
            "`veca-edge inspect --ane`"
        )


def alike(functions: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is said of a package's functions, equal values once: (whose it is, in words, the value)."""
    groups: dict[str, list[str]] = {}
    for name, value in functions.items():
        groups.setdefault(json.dumps(value), []).append(name)
    for names in groups.values():
        yield "all functions" if len(names) == len(functions) > 1 else ", ".join(names), functions[names[0]]
