"""Tables that more than one command prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def verification_lines(verification: Mapping[str, Any]) -> Iterator[str]:
    """A verification by budget: the worst of the methods, which all compute the same."""
    rows = verification["rows"]
    yield "cores  embedding cosine  feature cosine  relative error  same top-1"
    for cores in dict.fromkeys(row["cores"] for row in rows):
        these = [row for row in rows if row["cores"] == cores]
        agreements = [row["top1_agreement"] for row in these if row["top1_agreement"] is not None]
        top1 = f"{100 * min(agreements):8.1f} %" if agreements else "         -"
        yield (
            f"{cores:5}  {min(row['embedding_cosine'] for row in these):16.6f}"
            f"  {min(row['feature_cosine'] for row in these):14.6f}"
            f"  {max(row['max_error'] for row in these):14.2g}  {top1}"
        )
    methods = len({row["method"].replace(f"_{row['cores']}", "_C") for row in rows})
    yield ""
    outcome = "passed" if verification["passed"] else "FAILED"
    yield (
        f"verification {outcome}: the worst of {methods} methods per budget on {verification['images']} images "
        f"against PyTorch in fp32 ({verification['tolerance']})"
    )
    if verification["quantization"] != "fp32":
        yield from _range_warning(max((row.get("largest") or 0.0 for row in rows), default=0.0))


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
