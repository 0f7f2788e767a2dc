"""Which places of two pictures look alike: patch features compared with each other. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.errors import VecaError, shown
from veca_edge.image.patches import cell_centres
from veca_edge.numbers import finite
from veca_edge.runtime.result import Result


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of patches, each the other's most alike; the best first.

    Attributes:
        first: float32 (n, 2), centres (x, y) in pixels of the first picture.
        second: float32 (n, 2), of the second.
        similarity: float32 (n,), cosine of their features around each picture's mean, -1..1, descending.
    """

    first: Float
    second: Float
    similarity: Float

    def __len__(self) -> int:
        return len(self.similarity)


def match_patches(first: Result, second: Result, min_similarity: float = 0.0) -> Matches:
    """Pair the patches of two pictures, results of one model with any budgets and image sizes.

    Args:
        first, second: results.
        min_similarity: cosine below which pairs are left out, -1..1.

    Raises:
        VecaError: no results, features of different widths, or an impossible cosine.
    """
    for result in (first, second):
        if not isinstance(result, Result):
            raise VecaError(f"cannot match {shown(result)}: give two results, such as model(image)")
    if finite(min_similarity, -1, 1) is None:
        raise VecaError(f"min_similarity {shown(min_similarity)}: use a cosine from -1 to 1")
    widths = first.features.shape[-1], second.features.shape[-1]
    if widths[0] != widths[1]:
        raise VecaError(f"features of {widths[0]} and {widths[1]} values do not match: use results of one model")
    similarity = directions(first.features) @ directions(second.features).T
    there, mutual = nearest(similarity)
    rows = np.flatnonzero(mutual)
    best = similarity[rows, there[rows]]
    order = [index for index in np.argsort(-best, kind="stable") if best[index] >= min_similarity]
    chosen = rows[order]
    return Matches(patch_centres(first)[chosen], patch_centres(second)[there[chosen]], best[order])


def nearest(similarity: Float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """For every row of (n, m) the column that is most alike, and whether that column finds the row so too: (n,)."""
    there, back = similarity.argmax(1), similarity.argmax(0)
    return there, back[there] == np.arange(len(there))


def directions(features: Float) -> Float:
    """Features (..., D) as unit vectors (N, D) around their mean, which says what the picture has in common."""
    flat = features.reshape(-1, features.shape[-1])
    centred = flat - flat.mean(0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(length, 1e-12), np.float32)


def patch_centres(result: Result) -> Float:
    """Centres (x, y) of a result's patches in pixels of the given picture, row by row: float32 (N, 2)."""
    x, y, width, height = result.crop
    share = (cell_centres(*result.features.shape[:2]) + 1) / 2
    return np.asarray(share * (width, height) + (x, y), np.float32)
