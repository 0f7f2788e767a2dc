"""dense.json: what dense heads make of features, and what can be asked of their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from veca_edge.arrays import Float
from veca_edge.modelfile.heads import DenseHead, DenseTask
from veca_edge.runtime.dense import DenseResult, dense_result

Json = dict[str, Any]

ANIMALS = DenseTask("animals", "segmentation", 4, ("ground", "cat", "dog"), ((9, 8, 7), (255, 0, 0), (0, 0, 255)))
PEOPLE = DenseTask("people", "segmentation", 2, ("background", "person"), ((0, 0, 0), (255, 96, 0)))
DEPTH = DenseTask("depth", "regression", 1, unit="m", range=(0.5, 8.0))
HEADS = ((PEOPLE, 3, 4), (DEPTH, 5, 2))  # of so many features, on so many patches


@dataclass(frozen=True)
class Case:
    """A head's outputs for a grid of patches, and the sizes that the result is enlarged to."""

    task: DenseTask
    grid: tuple[int, int]
    crop: tuple[int, int, int, int]
    sizes: tuple[tuple[int, int], ...]
    computed: tuple[int, ...] | None = None

    def outputs(self) -> Float:
        """Quarters, exact in every language; the first patch's last cell has equal ones, so that classes tie."""
        count = self.grid[0] * self.grid[1] * self.task.outputs
        values: Float = (np.arange(count) * 7919 % 41 - 20).astype(np.float32) / np.float32(4)
        values = values.reshape(-1, self.task.outputs)
        values[0, self.task.cells**2 - 1 :: self.task.cells**2] = 1.5
        return values

    def result(self) -> DenseResult:
        computed = None
        if self.computed is not None:
            computed = np.isin(np.arange(self.grid[0] * self.grid[1]), self.computed).reshape(self.grid)
        return dense_result(self.task, self.outputs(), self.grid, self.crop, computed)


CASES = (
    Case(ANIMALS, (1, 2), (3, 0, 64, 32), ((3, 7), (9, 5))),
    Case(PEOPLE, (3, 2), (-5, 12, 40, 60), ((7, 11), (1, 1)), computed=(1, 4)),
    Case(DEPTH, (2, 3), (0, 0, 48, 32), ((5, 4), (2, 3), (1, 13)), computed=()),
)
# Tables of a manifest that must be refused.
REFUSED: tuple[tuple[str, Any], ...] = (
    ("Upper", {"kind": "regression"}),
    ("9lives", {"kind": "regression"}),
    ("features", {"kind": "regression"}),
    ("a" * 32, {"kind": "regression"}),
    ("depth", []),
    ("depth", {"kind": "colour", "labels": ["a", "b"]}),
    ("depth", {"kind": "regression", "cells": 0}),
    ("depth", {"kind": "regression", "cells": 17}),
    ("depth", {"kind": "regression", "cells": 1.5}),
    ("depth", {"kind": "regression", "range": [1, 1]}),
    ("depth", {"kind": "regression", "range": [0]}),
    ("depth", {"kind": "regression", "unit": 3}),
    ("people", {"kind": "segmentation", "labels": ["one"]}),
    ("people", {"kind": "segmentation", "labels": ["one", "one"]}),
    ("people", {"kind": "segmentation", "labels": ["one", " "]}),
    ("people", {"kind": "segmentation", "labels": ["one", "two"], "colours": [[0, 0, 0]]}),
    ("people", {"kind": "segmentation", "labels": ["one", "two"], "colours": [[0, 0, 0], [0, 0, 256]]}),
)


def dense_vectors() -> Json:
    return {
        "heads": [_head(*given) for given in HEADS],
        "results": [_result(case) for case in CASES],
        "refused": [{"name": name, "table": table} for name, table in REFUSED],
    }


def task_table(task: DenseTask) -> Json:
    return {"name": task.name} | task.to_dict()


def _head(task: DenseTask, width: int, patches: int) -> Json:
    """Small fractions with exact products."""
    weight: Float = (np.arange(task.outputs * width).reshape(-1, width) % 7 - 3).astype(np.float32) / np.float32(4)
    bias: Float = np.arange(task.outputs, dtype=np.float32) / np.float32(2) - np.float32(0.25)
    features: Float = (np.arange(patches * width).reshape(patches, width) % 11 - 5).astype(np.float32) / np.float32(
        16
    )
    arrays = {"weight": weight, "bias": bias, "features": features}
    arrays["outputs"] = DenseHead(task, weight, bias).outputs(features)
    return {"task": task_table(task)} | {name: array.tolist() for name, array in arrays.items()}


def _result(case: Case) -> Json:
    result = case.result()
    told = {
        "task": task_table(case.task),
        "grid": list(case.grid),
        "crop": list(case.crop),
        "outputs": case.outputs().tolist(),
        "cells": result.cells.ravel().tolist(),
        "at": [_at(result, *size) for size in case.sizes],
    }
    if case.computed is not None:
        assert result.computed is not None
        told |= {"computed": list(case.computed), "computed_cells": np.flatnonzero(result.computed).tolist()}
    if case.task.kind == "regression":
        return told | {"values": result.values().ravel().tolist()}
    return told | {
        "classes": result.classes().ravel().tolist(),
        "probabilities": result.probabilities().ravel().tolist(),
        "areas": result.areas(),
    }


def _at(result: DenseResult, height: int, width: int) -> Json:
    told: Json = {"height": height, "width": width, "values": result.at(height, width).ravel().tolist()}
    if result.task.kind == "segmentation":
        told["classes"] = result.classes(height, width).ravel().tolist()
    return told
