"""Embeddings made ready for comparing. The only place that does it, so that all of them are made alike."""

from __future__ import annotations

import numpy as np

from veca_edge.arrays import Float
from veca_edge.errors import VecaError


def unit_vectors(embeddings: Float) -> Float:
    """Embeddings (..., D) at length 1, of which the dot product is the cosine: float32.

    Raises:
        VecaError: one is zero, or not finite.
    """
    wide = np.asarray(embeddings, np.float64)  # the square of a large float32 is none
    with np.errstate(over="ignore"):
        length = np.linalg.norm(wide, axis=-1, keepdims=True)
    if not (np.isfinite(length) & (length > 0)).all():
        raise VecaError("an embedding is zero or not finite, so it is like nothing: check the model")
    return np.asarray(wide / length, np.float32)
