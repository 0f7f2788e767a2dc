"""How well patch features find a place again, measured where the answer is known.

Every photo is turned, scaled, shifted, lit differently and made noisy by draws from a seed. A patch that both
pictures show is found if the most similar patch of the other picture lies within one patch of where it went. The
patches' own pixels are compared in the same way, which shows what the features add.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.calibration.benchmark.machine import Machine
from veca_edge.errors import VecaError
from veca_edge.image.patches import cell_centres, cut_patches
from veca_edge.runtime.matching import directions, nearest
from veca_edge.runtime.model import Model

TURN = 15.0  # degrees, at most
ZOOM = 0.2  # factor 1 ± this
SHIFT = 0.15  # of the picture's side, at most
LIGHT = 0.2  # factor 1 ± this
NOISE = 4.0  # standard deviation, grey levels

Float = NDArray[np.float32]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class MatchingRow:
    """One way of comparing patches.

    Attributes:
        what: "features" or "pixels".
        cores: active cores, 0 for pixels.
        image_size: pixels.
        patches: that both pictures of a pair show, over all photos.
        found: share of them whose most similar patch is the right one or a neighbour, 0..1.
        pairs: patches that are each other's most similar.
        right: share of the pairs that are right within one patch, 0..1.
    """

    what: str
    cores: int
    image_size: int
    patches: int
    found: float
    pairs: int
    right: float


@dataclass(frozen=True)
class MatchingReport:
    """All rows and what they were measured on.

    Attributes:
        name: of the model.
        photos: how many.
        digest: SHA-256 of the photos' pixels, hexadecimal.
        seed: decides the draws.
        machine: what it ran on.
        rows: one per way.
    """

    name: str
    photos: int
    digest: str
    seed: int
    machine: Machine
    rows: tuple[MatchingRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"kind": "matching", **asdict(self)}


@dataclass(frozen=True, eq=False)
class Pair:
    """A square photo, the same photo moved, and the motion: x' = matrix @ x + offset, in pixels."""

    first: Image
    second: Image
    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]


def photos_digest(photos: Sequence[Image]) -> str:
    """SHA-256 of photos' sizes and pixels, hexadecimal."""
    digest = hashlib.sha256()
    for photo in photos:
        digest.update(repr(photo.shape).encode() + photo.tobytes())
    return digest.hexdigest()


def measure_matching(
    model: Model,
    photos: Sequence[Image],
    cores: Sequence[int],
    image_sizes: Sequence[int],
    seed: int = 0,
    advance: Callable[[float], None] = lambda _: None,
) -> tuple[MatchingRow, ...]:
    """Measure pixels once per image size, features once per image size and core budget.

    Args:
        model: any.
        photos: uint8 (H, W, 3), RGB.
        cores: budgets.
        image_sizes: pixels, multiples of the patch size.
        seed: decides the draws.
        advance: called with how much is done, 0..1.

    Raises:
        VecaError: a size that does not fit the patches, or a budget that the model does not offer.
    """
    if odd := [size for size in image_sizes if size % model.patch_size]:
        raise VecaError(f"image size {odd[0]} is not a multiple of the patch size {model.patch_size}")
    rows, ways = [], [(size, count) for size in image_sizes for count in (0, *cores)]
    for done, (size, count) in enumerate(ways):
        generator = np.random.default_rng(seed)
        pairs = [_moved(_square(photo, size), generator) for photo in photos]
        rows.append(_row(model, pairs, count, size))
        advance((done + 1) / len(ways))
    return tuple(rows)


def _square(photo: Image, size: int) -> Image:
    from veca_edge.image.preprocessing import Preprocessing

    return Preprocessing(image_size=size).resize(photo, 1).image


def _moved(photo: Image, generator: np.random.Generator) -> Pair:
    import cv2

    size = len(photo)
    turn = np.deg2rad(generator.uniform(-TURN, TURN))
    zoom = generator.uniform(1 - ZOOM, 1 + ZOOM)
    matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.full(2, size / 2)
    offset = centre - matrix @ centre + generator.uniform(-SHIFT, SHIFT, 2) * size
    # OpenCV counts from the middle of the first pixel, we from its corner.
    inner = offset + matrix @ np.full(2, 0.5) - 0.5
    moved = cv2.warpAffine(photo, np.column_stack([matrix, inner]), (size, size), borderMode=cv2.BORDER_REFLECT)
    lit = moved * generator.uniform(1 - LIGHT, 1 + LIGHT) + generator.normal(0, NOISE, moved.shape)
    return Pair(photo, np.clip(np.rint(lit), 0, 255).astype(np.uint8), matrix, offset)


def _row(model: Model, pairs: Sequence[Pair], cores: int, size: int) -> MatchingRow:
    """One way over all pairs; 0 cores compare pixels."""
    patch = model.patch_size
    centres = (cell_centres(size // patch, size // patch) + 1) / 2 * size

    def seen(image: Image) -> Float:
        pixels = cut_patches(image, patch)
        # Around each patch's own mean, so that light does not count.
        values = model(image, cores, size).features if cores else pixels - pixels.mean(1, keepdims=True)
        return directions(values)

    counts = np.zeros(4, np.int64)
    for pair in pairs:
        there, mutual = nearest(seen(pair.first) @ seen(pair.second).T)
        wanted = centres @ pair.matrix.T + pair.offset
        inside = ((wanted >= 0) & (wanted < size)).all(1)
        right = inside & (np.linalg.norm(wanted - centres[there], axis=1) <= patch)
        counts += [inside.sum(), right.sum(), mutual.sum(), (right & mutual).sum()]
    patches, found, mutual_pairs, mutual_right = (int(count) for count in counts)
    what = "features" if cores else "pixels"
    return MatchingRow(
        what, cores, size, patches, found / max(1, patches), mutual_pairs, mutual_right / max(1, mutual_pairs)
    )
