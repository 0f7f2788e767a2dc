"""What the photos of a conversion have in common: it is taken off before two of a model's vectors are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError, shown
from veca_edge.numbers import finite, whole

DIGITS = 5  # of a stored value
LARGEST = 1e6  # of a value; embeddings have about 1


@dataclass(frozen=True)
class Means:
    """Means over photos, which a model file carries for `Gallery`.

    Attributes:
        embedding: D' values, of the embeddings.
        features: D' values, of all patch features.
        photos: how many there were.
    """

    embedding: tuple[float, ...]
    features: tuple[float, ...]
    photos: int = 0

    @cached_property
    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both means, float64 (D',)."""
        return np.array(self.embedding), np.array(self.features)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON, with five digits."""
        short = {name: [float(f"{value:.{DIGITS}g}") for value in getattr(self, name)] for name in _VECTORS}
        return short | {"photos": self.photos}

    @classmethod
    def from_dict(cls, values: Any, width: int) -> Means:
        """Read what `to_dict` wrote.

        Args:
            width: D' of the model.

        Raises:
            VecaError: no table of two lists of D' finite numbers.
        """
        table = values if isinstance(values, Mapping) else {}
        vectors = [table.get(name) for name in _VECTORS]
        if not all(isinstance(vector, list) and len(vector) == width for vector in vectors):
            raise VecaError(f"means: {shown(values)} holds no two lists of {width} numbers")
        if any(finite(value, -LARGEST, LARGEST) is None for vector in vectors for value in vector or ()):
            raise VecaError("means: a value is no number, or too large")
        embedding, features = (tuple(float(value) for value in vector or ()) for vector in vectors)
        return cls(embedding, features, whole(table.get("photos"), 0) or 0)


_VECTORS = tuple(field.name for field in fields(Means))[:2]
