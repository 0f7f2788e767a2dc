"""The borders between the classes of a segmentation head, moved to where its mean IoU on train is best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.photos.masks import IGNORE
from veca_edge.training.heads.dense_metrics import confusion, overlaps

PLACES = 200_000  # so many places of train are looked at
ROUNDS = 2
# A class's logit is moved by at most so much in a round; of equally good steps the smallest is taken.
STEPS = tuple(sorted((np.arange(-20, 21) / 10).tolist(), key=abs))


def class_offsets(
    logits: Float, targets: NDArray[np.uint8], progress: Callable[[float], None] = lambda _: None
) -> Float:
    """What to add to each class's logit so that the largest one gives the best mean IoU.

    A loss of shares leaves the border between classes a little off where a rare class meets a common one. So one
    class after the other is moved to where the mean over all classes that the targets show is best.

    Args:
        logits: float32 (n, K), of places of photos that the head learned from.
        targets: uint8 (n,), their class numbers, 255 ignored.
        progress: called with how much is done, 0..1.

    Returns:
        float32 (K,); 0 for classes that the targets do not show.
    """
    known = targets != IGNORE
    found, wanted = logits[known], targets[known].astype(np.int64)
    offsets = np.zeros(found.shape[1], np.float32)
    turns = (*np.unique(wanted),) * ROUNDS
    for turn, number in enumerate(turns):
        moved = found + offsets
        moved[:, number] = -np.inf
        rival = moved.argmax(axis=1)
        gap = moved.max(axis=1) - found[:, number] - offsets[number]
        scores = [mean_overlap(np.where(gap < step, number, rival), wanted, len(offsets)) for step in STEPS]
        offsets[number] += STEPS[int(np.argmax(scores))]
        progress((turn + 1) / len(turns))
    return offsets


def mean_overlap(found: NDArray[np.int64], wanted: NDArray[np.int64], classes: int) -> float:
    """Mean IoU of class numbers (n,) over the classes that `wanted` (n,) shows, 0..1."""
    counts = confusion(wanted, found, classes)
    there = counts.sum(axis=1) > 0
    both, either = overlaps(counts)[:, there]
    return float((both / either).mean())
