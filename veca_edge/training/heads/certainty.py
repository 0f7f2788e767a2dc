"""How sure a head must be of a label before that is shown: fitted on photos of its labels and of other things."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from veca_edge.image.preprocessing import Preprocessing
from veca_edge.image.skipping import Say
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.certainty import DEFAULT_THRESHOLD, Certainty
from veca_edge.photos.folders import UNLABELLED, Photos
from veca_edge.runtime.result import softmax
from veca_edge.training.heads.confidence import fit_temperature, halves
from veca_edge.training.heads.features import Progress, compute_features, draw_budgets
from veca_edge.training.heads.head import LinearHead
from veca_edge.training.heads.metrics import Float, Targets

PRECISION = 0.85  # of the labels that are shown so many shall be right
UNKNOWN_ANSWERED = 0.10  # of photos of other things so many may get a label
FEWEST = 50  # photos of labels; from fewer no threshold can be read
MOST = 500  # photos of either kind that a conversion looks at

Logits = NDArray[np.floating]
Flags = NDArray[np.bool_]


def fit_certainty(logits: Logits, targets: Targets, unknown: Logits | None, temperature: float) -> Certainty:
    """The lowest threshold with which enough answers are right and few other things get one.

    What that is worth is measured on photos that the threshold was not fitted on: each half of them with the
    threshold of the other half. Where no threshold is good enough, or there are fewer than 50 photos, the default
    one stays; without photos of other things none is below it.

    Args:
        logits: (n, B, K), of n photos at B budgets.
        targets: (n,), the right answers.
        unknown: (m, B', K), of photos of things without a label; None for none.
        temperature: what logits are divided by.
    """
    known = np.asarray(logits, np.float64)
    others = np.empty((0, 1, known.shape[-1])) if unknown is None else np.asarray(unknown, np.float64)
    sure, right = _confidence(known / temperature), known.argmax(axis=2) == targets[:, None]
    doubt = _confidence(others / temperature)
    fit = fit_threshold if len(known) >= FEWEST else _default_threshold
    about: dict[str, float] = {"photos": len(known), "unknown_photos": len(others)}
    about |= _measured(fit, sure, right, doubt)
    return Certainty(round(temperature, 4), round(fit(sure, right, doubt), 4), about)


def fit_threshold(sure: Float, right: Flags, doubt: Float) -> float:
    """The lowest threshold that keeps to `PRECISION` and `UNKNOWN_ANSWERED`, else the default.

    Args:
        sure: (n, B), confidences in the answers to photos of labels.
        right: (n, B), whether these are right.
        doubt: (m, B'), confidences in the answers to photos of other things.
    """
    if not sure.size:
        return DEFAULT_THRESHOLD
    order = np.argsort(-sure, axis=None)
    values, hits = sure.ravel()[order], np.cumsum(right.ravel()[order])
    good = hits >= PRECISION * np.arange(1, len(hits) + 1)
    good[:-1] &= values[:-1] > values[1:]  # equal confidences are answered together
    if doubt.size:
        good &= values > np.sort(doubt, axis=None)[::-1][int(UNKNOWN_ANSWERED * doubt.size)]
    else:
        good &= values >= DEFAULT_THRESHOLD
    return float(values[good].min()) if good.any() else DEFAULT_THRESHOLD


def _default_threshold(*_: object) -> float:
    return DEFAULT_THRESHOLD


def _measured(
    fit: Callable[[Float, Flags, Float], float], sure: Float, right: Flags, doubt: Float
) -> dict[str, float]:
    """What a threshold is worth on photos that it was not fitted on."""
    given, given_doubt = np.zeros_like(right), np.zeros(doubt.shape, np.bool_)
    for (half, other), (doubt_half, doubt_other) in zip(halves(len(sure)), halves(len(doubt)), strict=True):
        threshold = fit(sure[other], right[other], doubt[doubt_other])
        given[half] = sure[half] >= threshold
        given_doubt[doubt_half] = doubt[doubt_half] >= threshold
    found = {} if not given.size else {"answered": float(given.mean())}
    if given.any():
        found["precision"] = float(right[given].mean())
    if doubt.size:
        found["unknown_answered"] = float(given_doubt.mean())
    return {name: round(value, 4) for name, value in found.items()}


def _confidence(logits: Float) -> Float:
    return softmax(logits).max(axis=-1) if logits.size else np.empty(logits.shape[:-1])


def measure_certainty(
    checkpoint: Checkpoint,
    known: Photos,
    unknown: Photos | None,
    image_size: int,
    budgets: Sequence[int],
    say: Say = lambda _: None,
    progress: Progress = lambda _: None,
) -> Certainty:
    """Fit temperature and threshold of the head that a checkpoint has, on at most 500 photos of either kind.

    Args:
        checkpoint: with a head.
        known: photos in random order, with its labels.
        unknown: photos in random order of things without a label, None for none.
        image_size: pixels.
        budgets: core counts; each photo is computed at one of them, drawn at random.
        say: receives lines about photos that are left out.
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: what `compute_features` refuses.
    """
    assert checkpoint.head is not None
    head = LinearHead(checkpoint.head["weight"].numpy(), checkpoint.head["bias"].numpy())
    preprocessing = Preprocessing.from_dict({**checkpoint.preprocessing, "image_size": image_size})

    def logits(photos: Photos, part: Progress) -> tuple[Logits, Photos]:
        taken = photos.select(range(min(MOST, len(photos))))
        found = compute_features(checkpoint, preprocessing, taken, draw_budgets(taken, budgets, 1), say, part)
        return head.logits(found.values), found.photos

    answers, photos = logits(known, lambda done: progress(done / 2))
    others = None if unknown is None else logits(unknown, lambda done: progress(0.5 + done / 2))[0]
    return fit_certainty(answers, photos.targets, others, fit_temperature(answers, photos.targets))


def labelled_for(photos: Photos, labels: tuple[str, ...]) -> Photos:
    """Those photos whose labels a model has, with its numbers as their targets."""
    numbers = {label: number for number, label in enumerate(labels)}
    targets = np.array([numbers.get(name or "", UNLABELLED) for name in photos.label_names()], np.int64)
    kept = np.flatnonzero(targets >= 0)
    return Photos(tuple(photos.paths[index] for index in kept), targets[kept], labels)
