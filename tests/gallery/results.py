"""Results without a model: an embedding, and features of four patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tests.golden.result_vectors import result_of
from veca_edge.runtime.result import Result


def result(*embedding: float, features: Sequence[Sequence[float]] | None = None) -> Result:
    """Of a picture of 16 x 16 pixels; `features` are those of its 2 x 2 patches, row by row."""
    vector = np.array(embedding or (1.0, 0.0, 0.0), np.float32)
    patches = np.zeros((4, len(vector))) if features is None else np.array(features)
    return replace(result_of(None), embedding=vector, features=patches.reshape(2, 2, -1).astype(np.float32))
