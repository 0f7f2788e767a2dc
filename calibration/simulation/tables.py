"""The measured tables that come with the simulation, and reading other ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from veca_edge.calibration.simulation.evaluate import Tables
from veca_edge.errors import VecaError
from veca_edge.files import regular_file, shortened
from veca_edge.governor.quality import LatencyTable, QualityTable
from veca_edge.governor.settings import BALANCED

PACKAGED = "table.json"


def read_tables(path: Path | None = None, target_rate: float = BALANCED.target_rate) -> Tables:
    """Tables from a JSON file, see `tables_from`; None for the packaged ones.

    Raises:
        VecaError: the file cannot be read or holds something else.
    """
    name = "the packaged table" if path is None else shortened(path)
    try:
        if path is None:
            text = (resources.files("veca_edge.calibration.simulation") / PACKAGED).read_text("utf-8")
        else:
            text = regular_file(path).read_text("utf-8")
        values = json.loads(text)
    except OSError as error:
        raise VecaError(f"cannot read {name}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise VecaError(f"{name} is not a table of operating points: expected JSON") from None
    try:
        return tables_from(values, target_rate)
    except VecaError as error:
        raise VecaError(f"{name}: {error}") from None


def tables_from(values: Any, target_rate: float = BALANCED.target_rate) -> Tables:
    """Tables from plain values: `quality`, `freshness` (may be absent) and `latency`.

    Raises:
        VecaError: something is missing, or a number is out of its range.
    """
    if not isinstance(values, Mapping):
        raise VecaError("a table of operating points is a JSON object")
    for name in ("quality", "latency"):
        if not isinstance(values.get(name), list):
            raise VecaError(f"{name} must be a list of objects, one per operating point")
    quality = QualityTable.from_dict({"rows": values["quality"], "freshness": values.get("freshness")})
    return Tables.of(quality, LatencyTable.from_rows(values["latency"]), target_rate)
