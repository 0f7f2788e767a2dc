"""results.json: probabilities, the most likely labels, and what a head makes of embedding and features."""

from __future__ import annotations

from typing import Any

import numpy as np

from veca_edge.arrays import Float
from veca_edge.modelfile.certainty import DEFAULT_CERTAINTY, Certainty
from veca_edge.modelfile.pte import Head
from veca_edge.runtime.result import Result

Json = dict[str, Any]

# logits, k
TOPS = (
    ((2.5, -1.0, 0.25, 3.0, 0.0), 3),
    ((1.0, 2.0, 2.0, 1.0, 2.0), 5),  # equal ones keep their order
    ((1000.0, 999.0, -1000.0), 2),  # no overflow
    ((-87.5, -90.0, -88.25), 9),  # more than there are
    ((0.0, 1.0), 0),
    ((7.0,), 5),
)
# logits, a manifest's certainty
SURE: tuple[tuple[tuple[float, ...], Json], ...] = (
    ((2.5, -1.0, 0.25, 3.0, 0.0), {}),
    ((2.5, -1.0, 0.25, 3.0, 0.0), {"threshold": 0.6}),
    ((2.5, -1.0, 0.25, 3.0, 0.0), {"temperature": 0.5, "threshold": 0.6, "about": {"photos": 900}}),
    ((2.5, -1.0, 0.25, 3.0, 0.0), {"temperature": 4, "threshold": 0}),
    ((1000.0, 999.0, -1000.0), {"temperature": 20.0}),  # no overflow
    ((7.0,), {"threshold": 1}),
)
REFUSED_CERTAINTY = (
    {"threshold": 1e9},
    {"threshold": -0.1},
    {"threshold": "0.5"},
    {"threshold": [0.5]},
    {"temperature": 0},
    {"temperature": 1e9},
    {"temperature": "hot"},
    [0.5],
    "sure",
    0.5,
)


def result_of(
    logits: list[float] | None, labels: tuple[str, ...] = (), certainty: Certainty = DEFAULT_CERTAINTY
) -> Result:
    """A result with nothing else in it."""
    return Result(
        embedding=np.zeros(2, np.float32),
        features=np.zeros((1, 1, 2), np.float32),
        core_attention=None,
        logits=None if logits is None else np.array(logits, np.float32),
        labels=labels,
        cores=8,
        image_size=(16, 16),
        crop=(0, 0, 16, 16),
        latency=0.0,
        certainty=certainty,
    )


def result_vectors() -> Json:
    return {
        "top": [_top(list(logits), k) for logits, k in TOPS],
        "sure": [_sure(list(logits), certainty) for logits, certainty in SURE],
        "refused_certainty": list(REFUSED_CERTAINTY),
        "head": [_head(3, 4, 6), _head(1, 2, 1)],
    }


def _top(logits: list[float], k: int) -> Json:
    labels = tuple(f"label {index}" for index in range(len(logits)))
    result = result_of(logits, labels)
    return {
        "logits": logits,
        "labels": list(labels),
        "k": k,
        "probabilities": result.probabilities.tolist(),
        "top": [[found.label, found.probability] for found in result.top(k)],
    }


def _sure(logits: list[float], certainty: Json) -> Json:
    result = result_of(logits, ("",) * len(logits), Certainty.from_dict(certainty))
    assert abs(result.confidence - result.certainty.threshold) > 1e-4 or len(logits) == 1
    return {"logits": logits, "certainty": certainty, "confidence": result.confidence, "sure": result.sure}


def _head(labels: int, width: int, patches: int) -> Json:
    """Small fractions with exact products."""
    weight: Float = (np.arange(labels * 2 * width).reshape(labels, -1) % 7 - 3).astype(np.float32) / np.float32(4)
    bias: Float = np.arange(labels, dtype=np.float32) / np.float32(2) - np.float32(0.25)
    embedding: Float = (np.arange(width, dtype=np.float32) % 5 - 2) / np.float32(8)
    features: Float = (np.arange(patches * width, dtype=np.float32).reshape(patches, width) % 11 - 5) / np.float32(
        16
    )
    named = {"weight": weight, "bias": bias, "embedding": embedding, "features": features}
    logits = Head(weight, bias).logits(embedding, features)
    return {name: array.tolist() for name, array in (named | {"logits": logits}).items()}
