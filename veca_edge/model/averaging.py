"""The mean of checkpoints that went on from a common one, which is often better than any of them.

Wortsman et al., Model soups, ICML 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.heads import DenseHead


def mean_checkpoint(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """A checkpoint whose weights are the means of these.

    Args:
        checkpoints: one or more of one architecture, with the same labels and dense heads. The mean of models that
            were trained apart from the start is worth nothing.

    Returns:
        A single one as it is; else the mean with the first one's preprocessing, and without certainty, which
        belongs to the weights.

    Raises:
        VecaError: two that differ in more than their weights.
    """
    first, *others = checkpoints
    if not others:
        return first
    for other in others:
        if difference := _difference(first, other):
            raise VecaError(
                f"{other.path or 'a checkpoint'} has {difference} than {first.path or 'the first'}: only "
                "checkpoints that differ in nothing but their weights have a mean"
            )
    state = {name: torch.stack([one.state[name] for one in checkpoints]).mean(0) for name in first.state}
    heads = [one.head for one in checkpoints if one.head is not None]
    head = {name: torch.stack([one[name] for one in heads]).mean(0) for name in heads[0]} if heads else None
    dense = tuple(_mean_head(heads) for heads in zip(*(one.dense for one in checkpoints), strict=True))
    return replace(first, state=state, head=head, dense=dense, certainty=None, digest="", path=None)


def _difference(first: Checkpoint, other: Checkpoint) -> str:
    """What is not the same but should be, or "": "other labels"."""
    if other.config != first.config:
        return "another architecture"
    if other.labels != first.labels or (other.head is None) != (first.head is None):
        return "other labels"
    if [head.task for head in other.dense] != [head.task for head in first.dense]:
        return "other dense heads"
    return ""


def _mean_head(heads: Sequence[DenseHead]) -> DenseHead:
    weight = np.stack([head.weight for head in heads]).mean(axis=0)
    bias = np.stack([head.bias for head in heads]).mean(axis=0)
    return DenseHead(heads[0].task, weight, bias)
