"""One linear classifier for all core budgets, on features that were computed beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from veca_edge.errors import VecaError
from veca_edge.runtime.result import log_softmax
from veca_edge.training.heads.features import Features

DECAYS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)  # tried in this order, strong to weak
USUAL_DECAY = 0.03  # where no photo can be held out to choose another
HELD_OUT = 5  # one photo in so many is held out to choose the decay
ITERATIONS = 100
CHUNK = 8192  # feature vectors that are in full precision at once

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A linear classifier.

    Attributes:
        weight: float32 (K, W).
        bias: float32 (K,).
    """

    weight: Float32
    bias: Float32

    def logits(self, values: NDArray[np.floating]) -> Float32:
        """Logits of feature vectors: (..., W) to (..., K)."""
        return np.asarray(np.asarray(values, np.float32) @ self.weight.T + self.bias, np.float32)

    def cooled(self, temperature: float) -> LinearHead:
        """The same head with its logits divided by a temperature."""
        return LinearHead(self.weight / np.float32(temperature), self.bias / np.float32(temperature))

    def halved(self) -> LinearHead:
        """The same head as half precision stores it."""
        return LinearHead(*(part.astype(np.float16).astype(np.float32) for part in (self.weight, self.bias)))


@dataclass(frozen=True)
class Choice:
    """The weight decay, and how it was chosen.

    Attributes:
        decay: the factor of half the squared weights in the loss, for features of unit deviation.
        top1: accuracy on the photos of train that were held out to choose it, 0..1; None if none could be.
    """

    decay: float
    top1: float | None


@dataclass(frozen=True, eq=False)
class _Scale:
    """Features to mean 0 and deviation 1: (x - mean) * gain. Constant ones become 0."""

    mean: Tensor
    gain: Tensor

    @classmethod
    def of(cls, values: NDArray[np.float16]) -> _Scale:
        rows = torch.from_numpy(values).flatten(0, 1)
        mean = torch.stack([part.double().sum(0) for part in rows.split(CHUNK)]).sum(0) / len(rows)
        squares = torch.stack([(part.double() - mean).square().sum(0) for part in rows.split(CHUNK)]).sum(0)
        deviation = (squares / len(rows)).sqrt()
        varies = deviation > 1e-6 * deviation.max()
        gain = torch.where(varies, 1 / deviation, torch.zeros(()))
        return cls(mean.float(), gain.float())


def choose_decay(features: Features, weights: NDArray[np.float64], seed: int = 0) -> Choice:
    """Try decays on a part of the photos and keep the one that suits the other part best.

    Args:
        features: of the photos to learn from.
        weights: (n, V), what each feature vector counts.
        seed: for the part that is held out.
    """
    held, rest = _parts(features.photos.targets, seed)
    if not len(held):
        return Choice(USUAL_DECAY, None)
    learned, others = features.select(rest), features.select(held)
    answers, importance = others.photos.targets, weights[held] / weights[held].sum()
    best, least, top1, start = USUAL_DECAY, np.inf, 0.0, None
    for decay in DECAYS:
        start = fit_linear(learned, weights[rest], decay, start)
        log = log_softmax(start.logits(others.values).astype(np.float64))
        loss = -float((importance * np.take_along_axis(log, answers[:, None, None], 2)[..., 0]).sum())
        if loss >= least:
            break  # weaker decays only overfit more
        best, least = decay, loss
        top1 = float((importance * (log.argmax(axis=2) == answers[:, None])).sum())
    return Choice(best, top1)


def fit_linear(
    features: Features, weights: NDArray[np.float64], decay: float, start: LinearHead | None = None
) -> LinearHead:
    """Multinomial logistic regression by L-BFGS, on standardised features; the result takes them as they are.

    Args:
        features: n photos at V budgets each.
        weights: (n, V), what each feature vector counts; only their ratios matter.
        decay: above 0; see `Choice`.
        start: a head to start from.

    Raises:
        VecaError: no finite solution was found.
    """
    scale = _Scale.of(features.values)
    weight = torch.zeros(len(features.photos.labels), features.values.shape[2])
    bias = torch.zeros(len(weight))
    if start is not None:
        raw = torch.from_numpy(start.weight)
        weight = torch.where(scale.gain > 0, raw / scale.gain.clamp_min(1e-12), torch.zeros(()))
        bias = torch.from_numpy(start.bias) + raw @ scale.mean
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=ITERATIONS, history_size=20, tolerance_change=1e-6, line_search_fn="strong_wolfe"
    )
    optimizer.step(_loss(features, weights, decay, scale, weight, bias))
    if not all(bool(part.isfinite().all()) for part in parameters):
        raise VecaError("no finite weights were found for the head: are the photos in the folders of their labels?")
    with torch.no_grad():
        folded = weight * scale.gain
        return LinearHead(folded.numpy(), (bias - folded @ scale.mean).numpy())


def _loss(
    features: Features, weights: NDArray[np.float64], decay: float, scale: _Scale, weight: Tensor, bias: Tensor
) -> Callable[[], float]:
    """Computes the loss and its gradients, a chunk at a time: only a chunk is in full precision."""
    values = torch.from_numpy(features.values).flatten(0, 1)
    targets = torch.from_numpy(features.photos.targets).repeat_interleave(features.values.shape[1])
    importance = torch.from_numpy(weights / weights.sum()).float().flatten()

    def closure() -> float:
        weight.grad = bias.grad = None
        penalty = decay / 2 * weight.square().sum()
        penalty.backward()
        total = penalty.item()
        for rows in torch.arange(len(values)).split(CHUNK):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            logits = F.linear((values[part].float() - scale.mean) * scale.gain, weight, bias)
            loss = importance[part] @ F.cross_entropy(logits, targets[part], reduction="none")
            loss.backward()
            total += loss.item()
        return float(total)

    return closure


def _parts(targets: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(held out, rest): one photo in five of each label, none of a label's only one."""
    random = np.random.default_rng(seed)
    held = []
    for label in np.unique(targets):
        rows = random.permutation(np.flatnonzero(targets == label))
        held.append(rows[: min(max(1, len(rows) // HELD_OUT), len(rows) - 1)])
    chosen = np.sort(np.concatenate(held))
    return chosen, np.setdiff1d(np.arange(len(targets)), chosen)
