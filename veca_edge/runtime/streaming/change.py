"""Which patches of a camera frame are worth computing again. Pure numpy: pixels in, indices out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.errors import VecaError, shown
from veca_edge.numbers import finite, whole

Bytes = NDArray[np.uint8]
Index = NDArray[np.intp]

# Noise alone gives a patch of 8 * 8 * 3 = 192 values a mean square of 2 sigma^2 with a deviation of 10 %, and
# brighter patches are noisier than the quiet ones that the estimate is taken from.
NOISE_MARGIN = 1.5
# The estimate is a low quantile over patches, so that moving ones do not count, corrected for being low.
NOISE_QUANTILE = 0.25
# Estimates over which the noise is averaged. At first as many frames in a row are looked at, then one in as many:
# noise changes with the light, which is slow.
NOISE_MEMORY = 8
# Noise is rough: what differs smoothly from pixel to pixel is motion. Resizing smooths noise too, but by less than
# this factor in standard deviation.
ROUGHNESS = 2.5
# This many patches are enough for the noise.
NOISE_SAMPLE = 16
# A step costs the cores whatever its patches, so the rotation joins steps that are made anyway; without any it
# waits until this many frames' worth is due.
ROTATION_FRAMES = 8
# The engine makes a new plan whenever it gets another number of patches, which takes as long as some patches do. So
# numbers come in steps of 8, larger ones of at least an eighth, and the oldest patches fill what is over.
STEP = 8
# A patch that changed by this many times the sensitivity does not wait.
STRONG = 2.0
SENSITIVITIES = (0.01, 255.0)  # grey levels: the range of sensitivities, up to never


@dataclass(frozen=True)
class ChangeSettings:
    """What counts as change, and how much may be computed for it.

    Attributes:
        sensitivity: root mean square change of a patch's pixels, in grey levels (0.01..255) beyond the sensor's
            noise, above which it is computed again. Smaller follows fainter changes and computes more.
        patience: frames that faint changes (all below twice the sensitivity) may wait so that one step computes
            several of them; 0 computes them at once.
        patch_budget: most patches computed per frame (keyframes apart), 2 or more, or None for no limit.
        refresh_frames: every patch is computed about once in this many frames, changed or not. A patch budget
            below 4 / refresh_frames of all patches makes that longer: a quarter of the budget is for this.
        keyframe_share: if more than this share of the patches changed, all are computed.
        drift: if the embedding's cosine to the last keyframe's falls below this, the next frame is a keyframe: the
            cores have moved on, and remembered patches were computed under the old ones. -1 switches it off.
    """

    sensitivity: float = 4.5
    patience: int = 3
    patch_budget: int | None = None
    refresh_frames: int = 64
    keyframe_share: float = 0.6
    drift: float = 0.95

    def __post_init__(self) -> None:
        if finite(self.sensitivity, *SENSITIVITIES) is None:
            low, high = SENSITIVITIES
            raise VecaError(f"sensitivity {shown(self.sensitivity)}: use grey levels from {low:g} to {high:g}")
        if whole(self.patience, 0) is None:
            raise VecaError(f"patience {shown(self.patience)}: use a whole number of frames, 0 or more")
        if self.patch_budget is not None and whole(self.patch_budget, 2) is None:
            raise VecaError(
                f"patch budget {shown(self.patch_budget)}: use a whole number, 2 or more (one for change, one to "
                "refresh), or None"
            )
        if whole(self.refresh_frames, 1) is None:
            raise VecaError(f"refresh after {shown(self.refresh_frames)} frames: use a whole number, 1 or more")
        if not finite(self.keyframe_share, 0, 1):
            raise VecaError(f"keyframe share {shown(self.keyframe_share)}: use a share above 0, up to 1")
        if finite(self.drift, -1) is None or self.drift >= 1:
            raise VecaError(f"drift {shown(self.drift)}: use a cosine from -1 to below 1")


@dataclass(frozen=True)
class Plan:
    """What to compute of one frame.

    Attributes:
        patches: indices, ascending; none if the last result still holds.
        keyframe: whether that is all of them, because too much changed or nothing was known.
        changed: how many moved past the threshold.
        looked: whether anybody looked; if not, all may have changed.
    """

    patches: Index
    keyframe: bool
    changed: int
    looked: bool = True


class ChangeDetector:
    """Compares each patch with its pixels when it was *last computed*, so that slow drift cannot hide."""

    def __init__(self, settings: ChangeSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is a keyframe."""
        self._seen: Bytes = np.zeros((0, 0), np.uint8)
        self._last: Float = np.zeros((0, 0), np.float32)
        self.age: NDArray[np.int32] = np.zeros(0, np.int32)
        self.noise = 0.0
        self._waited = 0
        self._due = 0.0
        self._frames = 0

    def plan(self, patches: Bytes, all_of_them: bool = False) -> Plan:
        """Decide for a frame, and take its pixels as computed.

        Args:
            patches: uint8 (N, q * q * 3), of any size q, in the same order as in the frames before. They are
                kept, not copied.
            all_of_them: make it a keyframe.
        """
        count = len(patches)
        if self._seen.shape != patches.shape:
            self.reset()
            self._last = _sample(patches)
            return self._keyframe(patches, count)
        self._follow_noise(patches)
        self.age += 1
        change = self._change(patches)
        changed = np.flatnonzero(change > 1)
        if all_of_them or len(changed) > self.settings.keyframe_share * count:
            return self._keyframe(patches, len(changed))
        chosen = self._choose(change, changed)
        self._seen[chosen] = patches[chosen]
        self.age[chosen] = 0
        return Plan(chosen, keyframe=False, changed=len(changed))

    def take(self, patches: Bytes) -> Plan:
        """A keyframe without a look: only what the next frame is compared with."""
        return self._keyframe(patches, len(patches), looked=False)

    def _keyframe(self, patches: Bytes, changed: int, looked: bool = True) -> Plan:
        count = len(patches)
        self._seen, self.age = patches, np.zeros(count, np.int32)
        self._waited, self._due = 0, 0.0
        return Plan(np.arange(count), keyframe=True, changed=changed, looked=looked)

    def _change(self, patches: Bytes) -> Float:
        """Mean square change beyond the noise in units of the threshold's; above 1 counts as changed."""
        difference = np.subtract(patches, self._seen, dtype=np.float32)
        energy = np.einsum("ij,ij->i", difference, difference) / patches.shape[1]
        noise = NOISE_MARGIN * 2 * self.noise**2
        return np.asarray((energy - noise) / self.settings.sensitivity**2, np.float32)

    def _choose(self, change: Float, changed: Index) -> Index:
        """The most changed, and as many of the oldest as are due for a round in `refresh_frames`."""
        count, budget = len(change), self.settings.patch_budget
        rate = count / self.settings.refresh_frames
        self._due = min(self._due + rate, count)
        rotating = self._due >= max(1, ROTATION_FRAMES * rate)
        if not rotating and (not len(changed) or self._waits(float(change.max()))):
            return np.zeros(0, np.intp)
        self._waited, refresh = 0, int(self._due)
        most = count if budget is None else min(budget, count)
        if budget is not None:
            # Change cannot starve the rotation, nor the rotation change.
            refresh = min(refresh, max(1, budget // 4))
            if len(changed) > budget - refresh:
                order = np.argsort(-change[changed], kind="stable")
                changed = changed[order[: budget - refresh]]
        refresh = min(_whole_steps(len(changed) + refresh), most) - len(changed)
        self._due = max(0.0, self._due - refresh)
        return np.sort(np.concatenate([changed, self._oldest(refresh, changed)]))

    def _waits(self, strongest: float) -> bool:
        """Whether this frame's changes wait for the next frame's."""
        self._waited += 1
        return strongest <= STRONG**2 and self._waited <= self.settings.patience

    def _oldest(self, number: int, apart_from: Index) -> Index:
        if number < 1:
            return np.zeros(0, np.intp)
        age = self.age.copy()
        age[apart_from] = -1
        # Stable: of equally old ones the first, so that every implementation chooses the same.
        return np.argsort(-age, kind="stable")[:number]

    def _follow_noise(self, patches: Bytes) -> None:
        """Noise from one frame to the next: the even change of a patch (a fade, a flicker) is not noise."""
        self._frames += 1
        turn = self._frames % NOISE_MEMORY
        if self._frames > NOISE_MEMORY and turn > 1:
            return
        sample = _sample(patches)
        difference = sample - self._last
        self._last = sample
        if self._frames > NOISE_MEMORY and turn == 0:
            return  # only what the next frame is compared with
        difference -= difference.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", difference, difference) / sample.shape[1]
        rough = ROUGHNESS**2 * _roughness(difference)
        sigma = math.sqrt(_quantile(np.minimum(variance, rough), NOISE_QUANTILE) / 2)
        # At once up from nothing, slowly afterwards.
        weight = 1 / NOISE_MEMORY if self.noise else 1.0
        self.noise += weight * (sigma - self.noise)


def _quantile(values: Float, share: float) -> float:
    """Interpolated between order statistics. `numpy.quantile` takes as long as all else of a look."""
    place = share * (len(values) - 1)
    low, ordered = int(place), np.sort(values)
    high = min(low + 1, len(values) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def _whole_steps(patches: int) -> int:
    """The next number of patches that the engine is asked for."""
    step = max(STEP, 1 << max(0, (patches - 1).bit_length() - 3))
    return -(-patches // step) * step


def _sample(patches: Bytes) -> Float:
    """Some patches, evenly spread: float32 (n, q * q * 3)."""
    return patches[:: max(1, len(patches) // NOISE_SAMPLE)].astype(np.float32)


def _roughness(patches: Float) -> Float:
    """Variance of white noise as rough as these patches (n, q * q * 3): (n,).

    From second differences along both axes, which leave little of a picture (Immerkaer, Computer Vision and Image
    Understanding 64(2), 1996); 36 is the sum of their squared weights.
    """
    side = math.isqrt(patches.shape[1] // 3)
    if side < 3:
        return np.full(len(patches), np.inf, np.float32)
    image = patches.reshape(len(patches), side, side, 3)
    rows = image[:, :-2] - 2 * image[:, 1:-1] + image[:, 2:]
    both = rows[:, :, :-2] - 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    return np.asarray(np.square(both).mean(axis=(1, 2, 3)) / 36, np.float32)
