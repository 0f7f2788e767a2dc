"""The linear head: the optimum, whatever the scale of the features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from veca_edge.photos.folders import Photos
from veca_edge.training.heads.features import Features
from veca_edge.training.heads.head import USUAL_DECAY, Choice, LinearHead, choose_decay, fit_linear

WIDTH, CLASSES, BUDGETS = 12, 4, 2


def some_features(count: int = 240, signal: float = 1.0, seed: int = 0) -> Features:
    """Classes around four centres, at two budgets that differ a little; `signal` 0 is noise alone."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(CLASSES, WIDTH))
    targets = np.arange(count) % CLASSES
    values = signal * centres[targets][:, None] + generator.normal(size=(count, BUDGETS, WIDTH))
    photos = Photos(tuple(Path(f"{i}.jpg") for i in range(count)), targets, ("a", "b", "c", "d"))
    return Features(photos, np.tile([8, 16], (count, 1)), values.astype(np.float16))


def even(features: Features) -> np.ndarray:
    return np.ones(features.values.shape[:2])


def slope(features: Features, weights: np.ndarray, decay: float, head: LinearHead) -> float:
    """The largest derivative of the loss by any weight, by the definition: features of mean 0 and deviation 1."""
    values = torch.from_numpy(features.values).double()
    mean, deviation = values.mean((0, 1)), values.std((0, 1), unbiased=False)
    weight = (torch.from_numpy(head.weight).double() * deviation).requires_grad_()
    bias = (torch.from_numpy(head.bias).double() + torch.from_numpy(head.weight).double() @ mean).requires_grad_()
    logits = ((values - mean) / deviation @ weight.T + bias).flatten(0, 1)
    targets = torch.from_numpy(features.photos.targets).repeat_interleave(BUDGETS)
    importance = torch.from_numpy(weights / weights.sum()).flatten()
    loss = importance @ F.cross_entropy(logits, targets, reduction="none") + decay / 2 * weight.square().sum()
    loss.backward()
    return float(max(weight.grad.abs().max(), bias.grad.abs().max()))


@pytest.mark.parametrize("decay", [1.0, 0.03, 0.001])
def test_it_ends_where_the_loss_is_flat(decay: float) -> None:
    features = some_features()
    weights = np.tile([1.0, 3.0], (len(features.photos), 1))
    head = fit_linear(features, weights, decay)
    start = LinearHead(np.zeros((CLASSES, WIDTH), np.float32), np.zeros(CLASSES, np.float32))
    assert slope(features, weights, decay, head) < 5e-4 < 0.05 < slope(features, weights, decay, start)


def test_it_does_not_depend_on_where_it_starts() -> None:
    features = some_features()
    head = fit_linear(features, even(features), 0.01)
    again = fit_linear(features, even(features), 0.01, fit_linear(features, even(features), 1.0))
    assert again.logits(features.values) == pytest.approx(head.logits(features.values), abs=0.02)


def test_scale_and_shift_of_features_do_not_matter() -> None:
    features = some_features()
    other = Features(features.photos, features.cores, (features.values * np.float16(64) + np.float16(100)))
    head, scaled = (fit_linear(f, even(f), 0.03) for f in (features, other))
    assert scaled.logits(other.values) == pytest.approx(head.logits(features.values), abs=0.02)


def test_a_constant_feature_weighs_nothing() -> None:
    features = some_features()
    features.values[..., 3] = 7
    head = fit_linear(features, even(features), 0.03)
    assert not head.weight[:, 3].any()
    assert np.isfinite(head.weight).all()


def test_budgets_count_as_much_as_their_weights() -> None:
    features = some_features()
    features.values[:, 1] = np.random.default_rng(5).normal(size=features.values[:, 1].shape)  # says nothing
    heads = [fit_linear(features, np.tile([w, 1 - w], (240, 1)), 0.1) for w in (1.0, 0.5)]
    spread = [float(head.logits(features.values[:, 0]).std()) for head in heads]
    assert spread[1] < 0.8 * spread[0]


def test_what_is_learned_holds_for_new_photos() -> None:
    train, val = some_features(), some_features(seed=1)
    choice = choose_decay(train, even(train))
    answers = fit_linear(train, even(train), choice.decay).logits(val.values).argmax(2)
    accuracy = float((answers == val.photos.targets[:, None]).mean())
    assert accuracy > 0.9
    assert choice.top1 == pytest.approx(accuracy, abs=0.08)


def test_noise_is_held_small() -> None:
    noise, signal = some_features(signal=0.0), some_features(count=2400)
    assert choose_decay(noise, even(noise)).decay >= 0.3
    assert choose_decay(signal, even(signal)).decay <= 0.03


def test_one_photo_per_label_leaves_nothing_to_choose_by() -> None:
    features = some_features(count=4)
    assert choose_decay(features, even(features)) == Choice(USUAL_DECAY, None)
    head = fit_linear(features, even(features), USUAL_DECAY)
    assert (head.logits(features.values).argmax(2) == features.photos.targets[:, None]).all()


def test_a_temperature_goes_into_the_weights() -> None:
    features = some_features()
    head = fit_linear(features, even(features), 0.03)
    assert head.cooled(2.0).logits(features.values) == pytest.approx(head.logits(features.values) / 2, abs=1e-5)
    assert head.halved().logits(features.values) == pytest.approx(head.logits(features.values), abs=0.02)
