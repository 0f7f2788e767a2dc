"""The mean of checkpoints that went on from a common one, which is often better than any of them.

Wortsman et al., Model soups, ICML 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from veca_edge.arrays import Float
from veca_edge.errors import VecaError
from veca_edge.files import check_checkpoint_target, same_file, shortened
from veca_edge.image.skipping import Say
from veca_edge.model.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from veca_edge.modelfile.heads import DenseHead
from veca_edge.numbers import counted


@dataclass(frozen=True)
class AverageRequest:
    """Which checkpoints to average, and where to write their mean.

    Attributes:
        checkpoints: two or more of one kind.
        output: the checkpoint to write.
        parts: how much each of them counts, finite, at least 0 and not all 0; None for the same.
    """

    checkpoints: tuple[Path, ...]
    output: Path
    parts: tuple[float, ...] | None = None


def average(request: AverageRequest, say: Say = lambda _: None) -> int:
    """Write the mean of checkpoints, in half precision.

    Args:
        request: which ones, and where to.
        say: receives a line about what they have and their mean has not.

    Returns:
        The file's bytes.

    Raises:
        VecaError: one line about what is wrong with a checkpoint, the parts, or the file to write.
    """
    if len(request.checkpoints) < 2:
        raise VecaError("one checkpoint is its own mean: name two or more")
    target = check_checkpoint_target(request.output)
    if any(same_file(target, path) for path in request.checkpoints):
        raise VecaError(f"--output {shortened(target)} would overwrite one of the checkpoints: choose another name")
    for one, other in combinations(request.checkpoints, 2):
        if same_file(one, other):
            raise VecaError(f"{shortened(other)} is named twice: name it once, and how much it counts with --parts")
    _shares(request.parts, len(request.checkpoints))  # before anything is read
    checkpoints = [read_checkpoint(path) for path in request.checkpoints]
    write_checkpoint(mean_checkpoint(checkpoints, request.parts), target)
    if any(one.certainty is not None for one in checkpoints):
        say("how sure one must be of a label is not averaged: `veca-edge convert --data DIR --unknown DIR` fits it")
    return target.stat().st_size


def mean_checkpoint(checkpoints: Sequence[Checkpoint], parts: Sequence[float] | None = None) -> Checkpoint:
    """A checkpoint whose weights are the means of these.

    Args:
        checkpoints: one or more of one architecture, with the same labels and dense heads. The mean of models that
            were trained apart from the start is worth nothing.
        parts: how much each of them counts, finite, at least 0 and not all 0; None for the same.

    Returns:
        The mean with the first one's image size and fit, and without certainty, which belongs to the weights.

    Raises:
        VecaError: two that differ in more than their weights, or parts that are not such.
    """
    first, *others = checkpoints
    for other in others:
        if difference := _difference(first, other):
            raise VecaError(
                f"{other.path or 'a checkpoint'} has {difference} than {first.path or 'the first'}: only "
                "checkpoints that differ in nothing but their weights have a mean"
            )
    shares = _shares(parts, len(checkpoints))
    state = {name: _mean([one.state[name] for one in checkpoints], shares) for name in first.state}
    heads = [one.head for one in checkpoints if one.head is not None]
    head = {name: _mean([one[name] for one in heads], shares) for name in heads[0]} if heads else None
    dense = tuple(_mean_head(heads, shares) for heads in zip(*(one.dense for one in checkpoints), strict=True))
    return replace(first, state=state, head=head, dense=dense, certainty=None, digest="", path=None)


def _shares(parts: Sequence[float] | None, count: int) -> Float:
    """float32 (count,), of sum 1."""
    given = (1.0,) * count if parts is None else tuple(parts)
    if len(given) != count:
        raise VecaError(f"{counted(len(given), 'part')} for {count} checkpoints: give one for each, such as 3,1")
    if min(given) < 0 or not 0 < sum(given) < math.inf:  # neither of which holds with a NaN
        raise VecaError("parts are finite numbers of at least 0, and not all of them 0: give such as 3,1")
    return (np.array(given) / sum(given)).astype(np.float32)


def _mean(tensors: Sequence[Tensor], shares: Float) -> Tensor:
    total = torch.zeros_like(tensors[0])
    for share, tensor in zip(shares.tolist(), tensors, strict=True):
        total += share * tensor
    return total


def _difference(first: Checkpoint, other: Checkpoint) -> str:
    """What is not the same but should be, or "": "other labels"."""
    if other.config != first.config:
        return "another architecture"
    if (other.head is None) != (first.head is None):
        return "another number of classifiers"
    if other.labels != first.labels:
        return "other labels, or in another order,"
    if any(other.preprocessing[name] != first.preprocessing[name] for name in ("mean", "std")):
        return "another normalisation of pixels"
    if [head.task for head in other.dense] != [head.task for head in first.dense]:
        return "other dense heads"
    return ""


def _mean_head(heads: Sequence[DenseHead], shares: Float) -> DenseHead:
    weight, bias = (np.tensordot(shares, [getattr(head, name) for head in heads], 1) for name in ("weight", "bias"))
    return DenseHead(heads[0].task, weight, bias)
