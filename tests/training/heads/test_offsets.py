"""Offsets of a segmentation head's classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.photos.masks import IGNORE
from veca_edge.training.heads.offsets import class_offsets, mean_overlap


def places() -> tuple[Float, NDArray[np.uint8]]:
    """Logits of three classes, one of them rare and said too seldom, and what is right; a fourth is never shown."""
    generator = np.random.default_rng(0)
    wanted = generator.choice(3, 20_000, p=[0.8, 0.18, 0.02]).astype(np.uint8)
    logits = generator.normal(size=(20_000, 4)).astype(np.float32)
    logits[np.arange(20_000), wanted] += 2
    return logits + np.array([0, 0, -1.5, -3], np.float32), wanted


def test_a_class_that_is_said_too_seldom_is_said_more_often() -> None:
    logits, wanted = places()
    done: list[float] = []
    offsets = class_offsets(logits, wanted, done.append)
    before, after = (
        mean_overlap(found.argmax(1), wanted.astype(np.int64), 4) for found in (logits, logits + offsets)
    )
    assert after > before + 0.04
    assert offsets[2] - offsets[0] > 0
    assert (offsets.shape, offsets[3]) == ((4,), 0)
    assert (len(done), done[-1]) == (6, 1.0)


def test_unknown_places_do_not_count() -> None:
    logits, wanted = places()
    known = class_offsets(logits[:9000], wanted[:9000])
    wanted[9000:] = IGNORE
    np.testing.assert_array_equal(class_offsets(logits, wanted), known)


def test_what_is_right_stays() -> None:
    wanted = np.arange(300, dtype=np.uint8) % 3
    np.testing.assert_array_equal(class_offsets(5 * np.eye(3, dtype=np.float32)[wanted], wanted), 0)


def test_the_overlap_is_that_of_the_classes_shown() -> None:
    found, wanted = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1])
    assert mean_overlap(found, wanted, 3) == np.mean([2 / 3, 1 / 3])
