"""Which patches of a camera frame are worth computing again. Pure numpy: pixels in, indices out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError

Float = NDArray[np.float32]
Index = NDArray[np.intp]

# Noise alone gives a patch of p * p * 3 = 768 values a mean square of 2 sigma^2 with a deviation of 5 %, and
# brighter patches are noisier than the quiet ones that the estimate is taken from.
NOISE_MARGIN = 1.5
# The estimate is a low quantile over patches, so that moving ones do not count, corrected for being low.
NOISE_QUANTILE = 0.25
# Frames over which the noise estimate follows.
NOISE_MEMORY = 8
# Sampled patches are enough for the noise.
NOISE_STRIDE = 8


@dataclass(frozen=True)
class ChangeSettings:
    """What counts as change, and how much may be computed for it.

    Attributes:
        sensitivity: root mean square change of a patch's pixels, in grey levels (0..255) beyond the sensor's noise,
            above which it is computed again. Smaller follows fainter changes and computes more.
        patch_budget: most patches computed per frame (keyframes apart), or None for no limit.
        refresh_frames: every patch is computed at least once in so many frames, changed or not.
        keyframe_share: if more than this share of the patches changed, all are computed.
        drift: if the embedding's cosine to the last keyframe's falls below this, the next frame is a keyframe: the
            cores have moved on, and remembered patches were computed under the old ones. -1 switches it off.
    """

    sensitivity: float = 6.0
    patch_budget: int | None = None
    refresh_frames: int = 64
    keyframe_share: float = 0.6
    drift: float = 0.9

    def __post_init__(self) -> None:
        if not self.sensitivity > 0:
            raise VecaError(f"sensitivity {self.sensitivity}: use grey levels above 0")
        if self.patch_budget is not None and self.patch_budget < 1:
            raise VecaError(f"patch budget {self.patch_budget}: use 1 or more")
        if self.refresh_frames < 1:
            raise VecaError(f"refresh after {self.refresh_frames} frames: use 1 or more")
        if not 0 < self.keyframe_share <= 1:
            raise VecaError(f"keyframe share {self.keyframe_share}: use a fraction above 0, up to 1")
        if not -1 <= self.drift < 1:
            raise VecaError(f"drift {self.drift}: use a cosine from -1 up to, but not, 1")


@dataclass(frozen=True)
class Plan:
    """What to compute of one frame.

    Attributes:
        patches: indices, ascending.
        keyframe: whether that is all of them, because too much changed or nothing was known.
        changed: how many moved past the threshold.
    """

    patches: Index
    keyframe: bool
    changed: int


class ChangeDetector:
    """Compares each patch with its pixels when it was *last computed*, so that slow drift cannot hide."""

    def __init__(self, settings: ChangeSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is a keyframe."""
        self._seen: Float = np.zeros((0, 0), np.float32)
        self._last: Float = np.zeros((0, 0), np.float32)
        self.age: NDArray[np.int32] = np.zeros(0, np.int32)
        self.noise = 0.0

    def plan(self, patches: Float, all_of_them: bool = False) -> Plan:
        """Decide for a frame, and take its pixels as computed.

        Args:
            patches: float32 (N, p * p * 3), values 0..255, in the same order as in the frames before.
            all_of_them: make it a keyframe.
        """
        count = len(patches)
        if self._seen.shape != patches.shape:
            self.reset()
            self._seen, self.age = patches.copy(), np.zeros(count, np.int32)
            self._last = patches[::NOISE_STRIDE].copy()
            return Plan(np.arange(count), keyframe=True, changed=count)
        self._follow_noise(patches)
        self.age += 1
        score = self._scores(patches)
        changed = np.flatnonzero(score > 0)
        if all_of_them or len(changed) > self.settings.keyframe_share * count:
            chosen, keyframe = np.arange(count), True
        else:
            chosen, keyframe = self._choose(score, changed), False
        self._seen[chosen] = patches[chosen]
        self.age[chosen] = 0
        return Plan(chosen, keyframe, len(changed))

    def _scores(self, patches: Float) -> Float:
        """Mean square change beyond noise and threshold; above 0 counts as changed."""
        difference = patches - self._seen
        energy = np.einsum("ij,ij->i", difference, difference) / patches.shape[1]
        floor = NOISE_MARGIN * 2 * self.noise**2 + self.settings.sensitivity**2
        return np.asarray(energy - floor, np.float32)

    def _choose(self, score: Float, changed: Index) -> Index:
        """The most changed, and as many of the oldest as a full round in `refresh_frames` takes."""
        count, budget = len(score), self.settings.patch_budget
        refresh = -(-count // self.settings.refresh_frames)
        if budget is not None:
            # Change cannot starve the rotation, nor the rotation change.
            refresh = min(refresh, max(1, budget // 4))
            if len(changed) > budget - refresh:
                order = np.argsort(-score[changed], kind="stable")
                changed = changed[order[: max(0, budget - refresh)]]
        age = self.age.copy()
        age[changed] = -1
        oldest = np.argpartition(-age, refresh - 1)[:refresh] if refresh < count else np.arange(count)
        return np.union1d(changed, oldest)

    def _follow_noise(self, patches: Float) -> None:
        """Noise from one frame to the next: the even change of a patch (a fade, a flicker) is not noise."""
        sample = patches[::NOISE_STRIDE]
        difference = sample - self._last
        difference -= difference.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", difference, difference) / sample.shape[1]
        sigma = float(np.sqrt(np.quantile(variance, NOISE_QUANTILE) / 2))
        # At once up from nothing, slowly afterwards.
        weight = 1 / NOISE_MEMORY if self.noise else 1.0
        self.noise += weight * (sigma - self.noise)
        self._last = sample.copy()
