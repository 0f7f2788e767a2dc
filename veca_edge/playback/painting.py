"""Colours for what a model computes per patch: its features, and the cores it attends to."""

from __future__ import annotations

import numpy as np

from veca_edge.arrays import Float, Image
from veca_edge.playback.drawing import oklab_to_rgb, oklch_to_rgb

GOLDEN_ANGLE = 2.399963
_FIRST_ROUNDS, _ROUNDS = 24, 2  # steps of the eigenvector iteration, from scratch and from the last frame
_FOLLOW = 0.15  # how fast mean, directions and ranges follow a changing scene, per frame
_OUTER, _INNER = 2, 98  # percentiles that span the colour range


class FeaturePainter:
    """Paints patch features by their first three principal components, steadily from frame to frame.

    Principal components come in any sign and order, so two frames analysed on their own would flash in
    different colours. Here each frame starts from the last one's directions, and the new directions are
    rotated onto the old ones before they are mixed.
    """

    def __init__(self) -> None:
        self._mean: Float | None = None
        self._basis: Float | None = None
        self._low: Float | None = None
        self._high: Float | None = None

    def paint(self, features: Float) -> Image:
        """Features (rows, columns, D) to colours (rows, columns, 3) uint8 RGB."""
        rows, columns, depth = features.shape
        flat = np.nan_to_num(features.reshape(-1, depth).astype(np.float32, copy=False))
        if self._mean is None or self._mean.shape != (depth,):
            self._mean = flat.mean(0)
            self._basis = self._low = self._high = None
        else:
            self._mean = _follow(self._mean, flat.mean(0))
        self._basis = self._turn(flat - self._mean)
        projected: Float = ((flat - self._mean) @ self._basis).astype(np.float32, copy=False)
        shades = self._stretch(projected)
        light, a, b = np.moveaxis(shades, -1, 0)
        colours = oklab_to_rgb(0.66 + 0.20 * light, 0.145 * a, 0.145 * b)
        return colours.reshape(rows, columns, 3)

    def _turn(self, centred: Float) -> Float:
        """The three directions (D, 3) of most variance, followed from the last frame's."""
        old = self._basis
        basis = _start(centred.shape[1]) if old is None else old
        for _ in range(_FIRST_ROUNDS if old is None else _ROUNDS):
            basis = _orthonormal(centred.T @ (centred @ basis) + np.float32(1e-6) * basis)
        if old is None:
            return _ordered(centred, basis)
        left, _, right = np.linalg.svd(basis.T @ old)
        return _orthonormal(_follow(old, basis @ (left @ right)))

    def _stretch(self, projected: Float) -> Float:
        """Projections (N, 3) to -1 … 1 over a range that changes slowly."""
        low = np.percentile(projected, _OUTER, axis=0).astype(np.float32)
        high = np.percentile(projected, _INNER, axis=0).astype(np.float32)
        self._low = low if self._low is None else _follow(self._low, low)
        self._high = high if self._high is None else _follow(self._high, high)
        # All three share one scale: a component with little variance stays a tint instead of noise.
        widest = float(np.max(self._high - self._low))
        span = np.maximum(self._high - self._low, max(0.5 * widest, 1e-6)).astype(np.float32)
        centred = projected - (self._low + self._high) / 2
        # A soft limit: strong patches keep their differences instead of all turning the same colour.
        shades: Float = np.tanh(1.6 * centred / span)
        return shades


def _start(depth: int) -> Float:
    """The same arbitrary directions (depth, 3) every time."""
    wave = np.arange(1, depth + 1, dtype=np.float32)[:, None] * np.array([1.0, 1.7, 2.9], np.float32)
    return _orthonormal(np.sin(wave).astype(np.float32))


def _orthonormal(matrix: Float) -> Float:
    q, r = np.linalg.qr(matrix)
    signs = np.where(np.diag(r) < 0, -1, 1)
    columns: Float = (q * signs).astype(np.float32)
    return columns


def _ordered(centred: Float, basis: Float) -> Float:
    """The basis turned to the components themselves, the strongest first, its heavier tail positive."""
    projected = centred @ basis
    _, vectors = np.linalg.eigh(projected.T @ projected)
    basis = basis @ vectors[:, ::-1].astype(np.float32)
    skew = np.sum((centred @ basis) ** 3, axis=0)
    signed: Float = (basis * np.where(skew < 0, -1, 1)).astype(np.float32)
    return signed


def _follow(old: Float, new: Float) -> Float:
    mixed: Float = (old + _FOLLOW * (new - old)).astype(np.float32)
    return mixed


def core_colours(cores: int) -> Image:
    """(cores, 3) uint8 RGB, well apart; a core keeps its colour whatever the number of cores."""
    index = np.arange(cores, dtype=np.float32)
    # The golden angle sets neighbours far apart; three tiers of lightness separate hues that come round.
    lightness = np.array([0.80, 0.68, 0.88], np.float32)[np.arange(cores) % 3]
    chroma = np.array([0.15, 0.17, 0.11], np.float32)[np.arange(cores) % 3]
    return oklch_to_rgb(lightness, chroma, index * np.float32(GOLDEN_ANGLE))


def paint_core_attention(core_attention: Float) -> Image:
    """Each patch in the colour of the core it attends to most, brighter the more it does.

    Args:
        core_attention: (rows, columns, cores), sums to 1 over the cores.

    Returns:
        (rows, columns, 3) uint8 RGB.
    """
    strongest = core_attention.argmax(-1)
    share = np.nan_to_num(core_attention.max(-1))
    # From "no more than any other core" (0) to the most decided patches of this frame (1).
    even = 1 / core_attention.shape[-1]
    top = max(float(np.percentile(share, 95)) - even, 1e-6)
    confidence = np.sqrt(np.clip((share - even) / top, 0, 1))[..., None]
    colours = core_colours(core_attention.shape[-1])[strongest].astype(np.float32)
    painted: Image = np.rint(colours * (0.30 + 0.70 * confidence)).astype(np.uint8)
    return painted
