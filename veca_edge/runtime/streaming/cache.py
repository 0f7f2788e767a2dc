"""What a stream remembers of every patch: features, and keys and values per layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float

ALL = slice(None)
HIDE = -1e4  # added to an attention score, leaves nothing of it: the mask of a row that is being replaced

Half = NDArray[np.float16]
CacheType = Literal["float32", "float16"]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Stepped:
    """What an engine computes for n patches; arrays may lie in the engine's memory until its next call.

    Attributes:
        embedding: float32 (D',).
        features: float32 (n, D').
        core_attention: float32 (n, C).
        keys: per layer, float32 (heads, n, head_dim), positions applied.
        values: per layer, float32 (heads, n, head_dim).
    """

    embedding: Float
    features: Float
    core_attention: Float
    keys: tuple[Float, ...]
    values: tuple[Float, ...]


@dataclass
class PatchCache:
    """The remembered rows of all N patches of one image size at one core budget.

    Keys and values are written in place. Features and core attention are what results show: they are replaced,
    never written, so that frames of which nothing is computed share them.

    Attributes:
        keys: float32 or float16 (layers, heads, N, head_dim).
        values: as `keys`.
        features: float32 (N, D').
        core_attention: float32 (N, C).
    """

    keys: Float | Half
    values: Float | Half
    features: Float
    core_attention: Float

    @classmethod
    def of(cls, keyframe: Stepped, dtype: CacheType = "float32") -> PatchCache:
        """The cache after a step that computed every patch."""
        shape = (len(keyframe.keys), *keyframe.keys[0].shape)
        keys, values = np.empty(shape, dtype), np.empty(shape, dtype)
        cache = cls(keys, values, keyframe.features, keyframe.core_attention)
        cache.write(ALL, keyframe)
        return cache

    def rows(self) -> Iterator[Float]:
        """Keys, values of the first layer, keys, values of the second, ... as `step` takes them: float32.

        A float32 cache is handed over as it lies in memory. A float16 cache is converted for every step.
        """
        for rows in self._by_layer:
            yield rows.astype(np.float32, copy=False)

    @cached_property
    def _by_layer(self) -> list[Float | Half]:
        return [rows for both in zip(self.keys, self.values, strict=True) for rows in both]

    @property
    def nbytes(self) -> int:
        """Memory in bytes: 4 N (2 layers D + D' + C) in float32, 4 N (layers D + D' + C) in float16."""
        return self.keys.nbytes + self.values.nbytes + self.features.nbytes + self.core_attention.nbytes

    def write(self, patches: Index | slice, new: Stepped) -> None:
        """Replace the rows of `patches` (indices, in the order of the step's rows); nothing else is touched."""
        for layer in range(len(self.keys)):
            self.keys[layer][:, patches] = new.keys[layer]
            self.values[layer][:, patches] = new.values[layer]
        self.features = _replaced(self.features, patches, new.features)
        self.core_attention = _replaced(self.core_attention, patches, new.core_attention)


def _replaced(rows: Float, patches: Index | slice, new: Float) -> Float:
    """A copy of the rows with new ones at `patches`."""
    copy = rows.copy()
    copy[patches] = new
    return copy
