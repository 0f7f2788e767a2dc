from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from veca_edge.calibration.benchmark.synthetic import (
    CUT_FRAMES,
    DARKEST,
    NOISE,
    RIPPLE,
    SCENES,
    Scene,
    synthetic_frames,
)
from veca_edge.errors import VecaError
from veca_edge.image.patches import cut_bytes
from veca_edge.runtime.streaming.change import ChangeDetector, ChangeSettings

SHAPE = (96, 128)
PATCH = 16
PATCHES = 48


def floats(name: str, frames: int) -> list[Any]:
    return [frame.astype(np.float32) for frame in synthetic_frames(name, frames, shape=SHAPE)]


def plans(name: str, frames: int) -> list[Any]:
    """What the detector says, one plan per frame."""
    detector = ChangeDetector(ChangeSettings())
    return [detector.plan(cut_bytes(frame, PATCH)) for frame in synthetic_frames(name, frames, shape=SHAPE)]


@pytest.mark.parametrize("name", SCENES)
def test_frames_are_the_same_for_the_same_seed(name: str) -> None:
    first, again, other = (list(synthetic_frames(name, 3, seed, SHAPE)) for seed in (5, 5, 6))
    assert [(frame.shape, frame.dtype) for frame in first] == 3 * [((*SHAPE, 3), np.dtype(np.uint8))]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert not np.array_equal(first[1], first[2])  # the sensor's noise, at least


def test_a_shorter_stream_is_the_start_of_a_longer_one() -> None:
    short, long = (list(synthetic_frames("object", frames, shape=SHAPE)) for frames in (2, 5))
    assert len(short) == 2
    assert np.array_equal(short[1], long[1])


def test_the_static_scene_has_noise_and_nothing_else() -> None:
    a, b = floats("static", 2)
    inside = (np.minimum(a, b) > 20) & (np.maximum(a, b) < 235)  # nothing cut off
    assert (a - b)[inside].std() == pytest.approx(np.sqrt(2) * NOISE, rel=0.05)
    assert abs((a - b)[inside].mean()) < 0.2
    assert not any(plan.changed for plan in plans("static", 30)[1:])


def test_the_object_changes_some_patches_in_every_frame() -> None:
    found = plans("object", 40)[1:]
    assert all(0 < plan.changed < PATCHES / 2 and not plan.keyframe for plan in found)
    assert len({tuple(plan.patches) for plan in found}) > 20  # it goes somewhere


def test_the_pan_leaves_no_patch_as_it_was() -> None:
    for before, after in itertools.pairwise(synthetic_frames("pan", 30, shape=SHAPE)):
        difference = np.subtract(cut_bytes(after, PATCH), cut_bytes(before, PATCH), dtype=np.float32)
        assert np.sqrt((difference**2).mean(axis=1)).min() > 1.5 * NOISE


def test_the_pan_goes_over_the_worlds_edge() -> None:
    world = list(itertools.islice(SCENES["pan"].moments(np.random.default_rng(0), (16, 16)), 200))
    assert all(moment.shape == (16, 16, 3) for moment in world)


def test_a_cut_comes_with_every_scene_and_is_a_keyframe() -> None:
    found = plans("cut", 3 * CUT_FRAMES)
    assert [index for index, plan in enumerate(found) if plan.keyframe] == [0, CUT_FRAMES, 2 * CUT_FRAMES]
    first, second, third = floats("cut", 2 * CUT_FRAMES + 1)[::CUT_FRAMES]
    assert abs(first - third).mean() < 2 * NOISE < abs(first - second).mean()


def test_the_fade_goes_down_and_comes_back() -> None:
    light = [moment.mean() for moment in itertools.islice(_moments("fade"), 241)]
    assert light[120] == pytest.approx(DARKEST * light[0], rel=0.01)
    assert light[240] == pytest.approx(light[0], rel=0.01)
    assert light[:121] == sorted(light[:121], reverse=True)
    assert sum(len(plan.patches) for plan in plans("fade", 120)[1:]) > 2 * PATCHES


def test_flicker_is_quick_and_keeps_the_mean() -> None:
    light = np.array([moment.mean() for moment in itertools.islice(_moments("flicker"), 90)])
    still = next(_moments("static")).mean()
    assert light.max() == pytest.approx((1 + RIPPLE) * still, rel=0.01)
    assert light.min() == pytest.approx((1 - RIPPLE) * still, rel=0.01)
    assert light.mean() == pytest.approx(still, rel=0.01)
    assert abs(np.diff(light)).mean() > RIPPLE * still / 2


def test_an_unknown_stream_is_refused_with_those_there_are() -> None:
    with pytest.raises(VecaError, match="'zoom': use one of static, object, pan, cut, fade, flicker"):
        next(synthetic_frames("zoom"))


def _moments(name: str) -> Iterator[Any]:
    scene: Scene = SCENES[name]
    return scene.moments(np.random.default_rng(0), SHAPE)
