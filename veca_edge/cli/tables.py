"""Tables that more than one command prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from veca_edge.tables import Table, number

COLUMNS = ("cores", "embedding cosine", "feature cosine", "relative error", "same top-1")


def verification_lines(verification: Mapping[str, Any]) -> Iterator[str]:
    """A verification by budget: the worst of the methods, which all compute the same."""
    rows = verification["rows"]
    budgets = dict.fromkeys(row["cores"] for row in rows)
    cells = tuple(_cells([row for row in rows if row["cores"] == cores]) for cores in budgets)
    yield from Table(COLUMNS, cells).lines()
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
    return str(rows[0]["cores"]), f"{embedding:.6f}", f"{features:.6f}", f"{error:.2g}", same


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
