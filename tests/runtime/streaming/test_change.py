"""What is computed again: on synthetic patches with known noise and known change."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from veca_edge.errors import VecaError
from veca_edge.image.patches import cut_bytes
from veca_edge.runtime.streaming.change import ChangeDetector, ChangeSettings, _quantile

Bytes = NDArray[np.uint8]
COUNT, VALUES = 256, 768


class Camera:
    """A still scene with sensor noise, to which changes can be made."""

    def __init__(self, noise: float, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._noise = noise
        self.scene = self._rng.uniform(40, 200, (COUNT, VALUES)).astype(np.float32)

    def frame(self) -> Bytes:
        noisy = self.scene + self._rng.normal(0, self._noise, self.scene.shape)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _watch(camera: Camera, frames: int, settings: ChangeSettings | None = None) -> ChangeDetector:
    detector = ChangeDetector(settings or ChangeSettings())
    for _ in range(frames):
        detector.plan(camera.frame())
    return detector


@pytest.mark.parametrize("noise", [0.0, 1.0, 4.0, 10.0])
def test_noise_is_estimated_and_triggers_nothing(noise: float) -> None:
    camera = Camera(noise)
    detector = _watch(camera, 12)
    # Rounding to whole levels adds a twelfth of a level squared.
    assert detector.noise == pytest.approx(np.hypot(noise, 0.29 if noise else 0), rel=0.1, abs=0.02)
    plans = [detector.plan(camera.frame()) for _ in range(24)]
    assert sum(plan.changed for plan in plans) == 0
    assert not any(plan.keyframe for plan in plans)
    # The rotation alone, 256 patches in 64 frames, eight frames' worth at a time.
    assert sorted({len(plan.patches) for plan in plans}) == [0, 32]
    assert sum(len(plan.patches) for plan in plans) == 24 * 4


def test_a_pan_is_not_taken_for_noise(photo: NDArray[np.uint8]) -> None:
    """Every patch of a real photo moves by three pixels a frame; the noise stays what it is."""
    rng = np.random.default_rng(0)
    wide = np.concatenate([photo, photo[:, ::-1]] * 3, axis=1)
    detector = ChangeDetector(ChangeSettings())
    plans = []
    for step in range(60):
        window = wide[:128, 3 * step : 3 * step + 128] + rng.normal(0, 2, (128, 128, 3))
        plans.append(detector.plan(cut_bytes(np.clip(np.rint(window), 0, 255).astype(np.uint8), 16)))
    assert detector.noise < 7  # 14 if motion counted
    assert np.mean([plan.changed for plan in plans]) > 40


def test_the_first_frame_and_another_shape_are_keyframes() -> None:
    camera = Camera(1)
    detector = ChangeDetector(ChangeSettings())
    assert detector.plan(camera.frame()).keyframe
    assert not detector.plan(camera.frame()).keyframe
    assert detector.plan(camera.frame()[:100]).keyframe
    detector.reset()
    assert detector.plan(camera.frame()).keyframe


def test_a_frame_that_is_taken_is_what_the_next_one_is_compared_with() -> None:
    camera = Camera(1)
    detector = _watch(camera, 12)
    camera.scene = 255 - camera.scene
    taken = detector.take(camera.frame())
    assert (len(taken.patches), taken.keyframe, taken.looked) == (COUNT, True, False)
    plan = detector.plan(camera.frame())
    assert (plan.changed, plan.looked) == (0, True)
    assert detector.age.max() == 1


@pytest.mark.parametrize("count", [1, 2, 3, 16, 17])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.6, 1.0])
def test_a_quantile_is_numpys(count: int, share: float) -> None:
    values = np.random.default_rng(count).normal(size=count).astype(np.float32)
    assert _quantile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-6)


def test_changed_patches_are_computed_at_once() -> None:
    camera = Camera(2)
    detector = _watch(camera, 10)
    camera.scene[[3, 77, 200]] += 25
    plan = detector.plan(camera.frame())
    assert set(plan.patches) >= {3, 77, 200}
    assert plan.changed == 3
    assert detector.plan(camera.frame()).changed == 0  # computed is computed


def test_faint_changes_wait_for_company_but_not_for_long() -> None:
    camera = Camera(0.5)
    detector = _watch(camera, 10, ChangeSettings(sensitivity=8, patience=3, refresh_frames=10_000))
    camera.scene[5] += 12
    waited = [detector.plan(camera.frame()) for _ in range(4)]
    assert [5 in plan.patches for plan in waited] == [False, False, False, True]
    assert all(plan.changed == 1 for plan in waited)
    camera.scene[5] += 12
    camera.scene[9] += 40  # a strong change takes the faint one along
    assert {5, 9} <= set(detector.plan(camera.frame()).patches)


def test_without_patience_faint_changes_are_computed_at_once() -> None:
    camera = Camera(0.5)
    detector = _watch(camera, 10, ChangeSettings(sensitivity=8, patience=0, refresh_frames=10_000))
    camera.scene[5] += 12
    assert 5 in detector.plan(camera.frame()).patches


@pytest.mark.parametrize(("changed", "computed"), [(1, 8), (8, 8), (9, 16), (60, 64), (65, 80), (129, 160)])
def test_the_oldest_fill_what_is_over(changed: int, computed: int) -> None:
    camera = Camera(0.5)
    detector = _watch(camera, 10, ChangeSettings(refresh_frames=10_000, keyframe_share=0.9))
    camera.scene[:changed] += 40
    oldest = detector.age.copy()
    plan = detector.plan(camera.frame())
    assert (plan.changed, len(plan.patches), len(set(plan.patches))) == (changed, computed, computed)
    rest = np.setdiff1d(plan.patches, np.arange(changed))
    assert set(oldest[rest]) <= {oldest.max()}


def test_noise_that_grows_later_is_followed() -> None:
    camera = Camera(1)
    detector = _watch(camera, 40)
    camera._noise = 4
    for _ in range(200):
        detector.plan(camera.frame())
    assert detector.noise == pytest.approx(4, rel=0.15)


def test_a_slow_fade_does_not_go_unseen() -> None:
    """A fifth of a grey level per frame is far below the threshold from frame to frame."""
    camera = Camera(2)
    detector = _watch(camera, 10, ChangeSettings(refresh_frames=10_000))
    seen: set[int] = set()
    for _ in range(60):
        camera.scene += 0.2
        plan = detector.plan(camera.frame())
        seen |= {COUNT} if plan.keyframe else set(map(int, plan.patches))
    assert COUNT in seen or len(seen) == COUNT
    assert detector.noise < 3  # the fade was not taken for noise


def test_a_cut_is_a_keyframe() -> None:
    camera = Camera(1)
    detector = _watch(camera, 5, ChangeSettings(patch_budget=16))
    camera.scene = 255 - camera.scene
    assert detector.plan(camera.frame()).keyframe
    assert not detector.plan(camera.frame()).keyframe


@pytest.mark.parametrize("budget", [2, 3, 8, 40])
def test_the_budget_holds_and_the_most_changed_come_first(budget: int) -> None:
    camera = Camera(0.5)
    detector = _watch(camera, 5, ChangeSettings(patch_budget=budget))
    camera.scene[:100] += np.linspace(20, 60, 100, dtype=np.float32)[:, None]
    plan = detector.plan(camera.frame())
    assert len(plan.patches) <= budget
    assert plan.changed == 100
    first = budget - max(1, budget // 4)
    assert set(range(100 - first, 100)) <= set(map(int, plan.patches))


@pytest.mark.parametrize("budget", [None, 2, 8])
def test_every_patch_is_computed_within_a_bounded_number_of_frames(budget: int | None) -> None:
    camera = Camera(1)
    settings = ChangeSettings(patch_budget=budget, refresh_frames=32)
    detector = _watch(camera, 1, settings)
    oldest = 0
    for step in range(600):
        camera.scene[step % 3] += 30 * (-1) ** step  # something is always moving
        detector.plan(camera.frame())
        oldest = max(oldest, int(detector.age.max()))
    rotation = 8 if budget is None else min(8, max(1, budget // 4))
    assert oldest <= -(-COUNT // rotation) + 8


def test_more_sensitive_computes_more() -> None:
    counts = []
    for sensitivity in (2.0, 6.0, 20.0):
        camera = Camera(1)
        detector = _watch(camera, 8, ChangeSettings(sensitivity=sensitivity, keyframe_share=1))
        camera.scene[:100] += np.linspace(0, 30, 100, dtype=np.float32)[:, None]
        counts.append(detector.plan(camera.frame()).changed)
    assert counts[0] > counts[1] > counts[2] > 0


@pytest.mark.parametrize(
    "settings",
    [{"sensitivity": value} for value in (0, float("nan"), 1e-308, 1e308)]
    + [{"patch_budget": 1}, {"patience": -1}]
    + [{"refresh_frames": 0}]
    + [{"keyframe_share": value} for value in (0, 1.5, float("nan"))],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(VecaError):
        ChangeSettings(**settings)  # type: ignore[arg-type]
