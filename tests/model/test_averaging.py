"""Means of checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from veca_edge.errors import VecaError
from veca_edge.model.averaging import mean_checkpoint
from veca_edge.model.checkpoint import Checkpoint, default_checkpoint_path, read_checkpoint
from veca_edge.modelfile.heads import DenseHead


@pytest.fixture(scope="module")
def packaged() -> Checkpoint:
    return read_checkpoint(default_checkpoint_path())


def moved(checkpoint: Checkpoint, by: float) -> Checkpoint:
    """The same with `by` added to every weight."""
    assert checkpoint.head is not None
    return replace(
        checkpoint,
        state={name: value + by for name, value in checkpoint.state.items()},
        head={name: value + by for name, value in checkpoint.head.items()},
        dense=tuple(DenseHead(head.task, head.weight + by, head.bias + by) for head in checkpoint.dense),
    )


def test_every_weight_is_the_mean(packaged: Checkpoint) -> None:
    mean, wanted = mean_checkpoint([packaged, moved(packaged, 1), moved(packaged, 5)]), moved(packaged, 2)
    assert mean.head is not None
    assert wanted.head is not None
    for name, value in (wanted.state | wanted.head).items():
        torch.testing.assert_close((mean.state | mean.head)[name], value)
    for found, right in zip(mean.dense, wanted.dense, strict=True):
        np.testing.assert_allclose(found.weight, right.weight, atol=1e-6)
        np.testing.assert_allclose(found.bias, right.bias, atol=1e-6)
    assert mean.labels == packaged.labels
    assert (mean.certainty, mean.digest, mean.path) == (None, "", None)


def test_parts_are_weights(packaged: Checkpoint) -> None:
    mean, wanted = mean_checkpoint([packaged, moved(packaged, 4)], (3, 1)), moved(packaged, 1)
    for name, value in wanted.state.items():
        torch.testing.assert_close(mean.state[name], value)
    np.testing.assert_allclose(mean.dense[0].weight, wanted.dense[0].weight, atol=1e-6)
    alone = mean_checkpoint([moved(packaged, 4), packaged], (0, 0.5))
    torch.testing.assert_close(alone.state, packaged.state)


@pytest.mark.parametrize("part", [3e38, 1e39, 1e-46, 1e-300])
def test_only_the_ratio_of_parts_counts(packaged: Checkpoint, part: float) -> None:
    mean = mean_checkpoint([packaged, moved(packaged, 4)], (part, part))
    torch.testing.assert_close(mean.state, moved(packaged, 2).state)


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ((1,), "1 part for 2 checkpoints"),
        ((1, 2, 3), "3 parts for 2 checkpoints"),
        ((0, 0), "not all of them 0"),
        ((-1, 2), "at least 0"),
        ((np.nan, 1), "at least 0"),
        ((1e308, 1e308), "finite"),
    ],
)
def test_impossible_parts(packaged: Checkpoint, parts: tuple[float, ...], line: str) -> None:
    with pytest.raises(VecaError, match=line):
        mean_checkpoint([packaged, packaged], parts)


def others(checkpoint: Checkpoint) -> dict[str, Checkpoint]:
    """Checkpoints that have no mean with this one, by what their error says."""
    config = replace(checkpoint.config, num_layers=checkpoint.config.num_layers - 1)
    return {
        "another architecture": replace(checkpoint, config=config),
        "other labels, or in another order,": replace(checkpoint, labels=checkpoint.labels[::-1]),
        "another number of classifiers": replace(checkpoint, head=None, labels=()),
        "another normalisation of pixels": replace(
            checkpoint, preprocessing={**checkpoint.preprocessing, "mean": [0.0, 0.0, 0.0]}
        ),
        "other dense heads": replace(checkpoint, dense=(), path=Path("bare.pt")),
    }


@pytest.mark.parametrize(
    "difference",
    [
        "another architecture",
        "other labels, or in another order,",
        "another number of classifiers",
        "another normalisation of pixels",
        "other dense heads",
    ],
)
def test_what_differs_in_more_than_weights_has_no_mean(packaged: Checkpoint, difference: str) -> None:
    with pytest.raises(VecaError, match=f"has {difference} than"):
        mean_checkpoint([packaged, others(packaged)[difference]])
