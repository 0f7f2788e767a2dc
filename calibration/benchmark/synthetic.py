"""Synthetic streams from the packaged photos: one thing happens in each, the same for every run.

A recorded clip mixes everything; here each stream asks one question of streaming, and its `Scene.shows` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.errors import VecaError, require
from veca_edge.photos.samples import sample_images

Light = NDArray[np.float32]
Moments = Iterator[Light]

SHAPE = (360, 640)  # (height, width) in pixels, as a modest camera's
FRAMES = 240  # 8 s
RATE = 29.97  # frames per second
NOISE = 3.0  # standard deviation of the sensor's noise in grey levels: a phone indoors
TILES_UP = 2  # photos above each other in a frame
OBJECT = 0.25  # side of the moving object, of the frame's height
ROUND = 120  # frames in which it goes round
PAN = (0.025, 0.04)  # (down, right) per frame, of the frame's height: a camera turned briskly
CUT_FRAMES = 30  # a scene lasts so long
DARKEST = 0.35  # of the brightness, in the middle of the fade
MAINS = 100.0  # Hz: lamps on alternating current of 50 Hz darken twice per period
RIPPLE = 0.06  # of the brightness, up and down


@dataclass(frozen=True)
class Scene:
    """A kind of stream.

    Attributes:
        name: after "synthetic:".
        shows: what it is for.
        moments: light on the sensor, float32 (H, W, 3), 0..255, without an end and before noise.
    """

    name: str
    shows: str
    moments: Callable[[np.random.Generator, tuple[int, int]], Moments]


def synthetic_frames(
    name: str, frames: int = FRAMES, seed: int = 0, shape: tuple[int, int] = SHAPE
) -> Iterator[Image]:
    """A stream's frames: uint8 (H, W, 3), RGB, with sensor noise, the same for the same arguments.

    Args:
        name: one of `SCENES`.
        frames: how many.
        seed: of the choice of photos and of the noise.
        shape: (height, width) in pixels.

    Raises:
        VecaError: no such stream, or OpenCV is missing.
    """
    scene = find_scene(name)
    require("cv2", "run")
    layout, sensor = (np.random.default_rng((seed, part)) for part in (0, 1))
    moments = scene.moments(layout, shape)
    for _ in range(frames):
        light = next(moments)
        noisy = light + np.float32(NOISE) * sensor.standard_normal(light.shape, np.float32)
        yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def find_scene(name: str) -> Scene:
    """The stream of this name.

    Raises:
        VecaError: there is none.
    """
    if name not in SCENES:
        raise VecaError(f"unknown synthetic stream {name!r}: use one of {', '.join(SCENES)}")
    return SCENES[name]


def _mosaic(rng: np.random.Generator, shape: tuple[int, int], tile: int) -> Light:
    """Photos side by side in random order: float32 (H, W, 3)."""
    import cv2

    height, width = shape
    rows, columns = -(-height // tile), -(-width // tile)
    photos = [cv2.resize(photo, (tile, tile), interpolation=cv2.INTER_LINEAR) for photo in sample_images()]
    order = [photos[index] for _ in range(rows) for index in _shuffled(rng, len(photos), columns)]
    lines = [np.concatenate(order[row * columns : (row + 1) * columns], axis=1) for row in range(rows)]
    mosaic: NDArray[np.float32] = np.concatenate(lines, axis=0)[:height, :width].astype(np.float32)
    return mosaic


def _shuffled(rng: np.random.Generator, count: int, wanted: int) -> list[int]:
    """`wanted` numbers below `count`, each as often as the others."""
    rounds = -(-wanted // count)
    return [int(index) for _ in range(rounds) for index in rng.permutation(count)][:wanted]


def _still(rng: np.random.Generator, shape: tuple[int, int]) -> Light:
    return _mosaic(rng, shape, -(-shape[0] // TILES_UP))


def _static(rng: np.random.Generator, shape: tuple[int, int]) -> Moments:
    still = _still(rng, shape)
    while True:
        yield still


def _object(rng: np.random.Generator, shape: tuple[int, int]) -> Moments:
    still, side = _still(rng, shape), max(1, round(OBJECT * shape[0]))
    thing, frame = _mosaic(rng, (side, side), side), 0
    while True:
        angle = 2 * np.pi * frame / ROUND
        # Inside the middle square, which a model that crops looks at.
        reach = (min(shape) - side) / 2
        y = round((shape[0] - side) / 2 + reach * np.sin(2 * angle))
        x = round((shape[1] - side) / 2 + reach * np.cos(angle))
        moment = still.copy()
        moment[y : y + side, x : x + side] = thing
        yield moment
        frame += 1


def _pan(rng: np.random.Generator, shape: tuple[int, int]) -> Moments:
    tile = -(-shape[0] // TILES_UP)
    world = _mosaic(rng, (8 * tile, 8 * tile), tile)
    # The world goes on over its edges.
    world = np.concatenate([world, world[:, : shape[1]]], axis=1)
    world = np.concatenate([world, world[: shape[0]]], axis=0)
    down, right, frame = *(round(step * shape[0]) for step in PAN), 0
    while True:
        y, x = (frame * step % (8 * tile) for step in (down, right))
        yield world[y : y + shape[0], x : x + shape[1]]
        frame += 1


def _cut(rng: np.random.Generator, shape: tuple[int, int]) -> Moments:
    scenes = [_still(rng, shape), _still(rng, shape)]
    while True:
        for still in scenes:
            for _ in range(CUT_FRAMES):
                yield still


def _fade(rng: np.random.Generator, shape: tuple[int, int]) -> Moments:
    still, frame = _still(rng, shape), 0
    while True:
        dark = (1 - np.cos(2 * np.pi * frame / FRAMES)) / 2
        yield still * np.float32(1 - (1 - DARKEST) * dark)
        frame += 1


def _flicker(rng: np.random.Generator, shape: tuple[int, int]) -> Moments:
    still, frame = _still(rng, shape), 0
    while True:
        yield still * np.float32(1 + RIPPLE * np.sin(2 * np.pi * MAINS * frame / RATE))
        frame += 1


SCENES = {
    scene.name: scene
    for scene in (
        Scene("static", "a still scene: sensor noise alone is not taken for change", _static),
        Scene("object", "a photo moves over a still scene: the cost follows what moves", _object),
        Scene("pan", "the camera turns, every patch changes: streaming costs little more than not", _pan),
        Scene("cut", f"another scene every {CUT_FRAMES} frames: one keyframe each, nothing in between", _cut),
        Scene("fade", "the light goes down and up again within 8 s: slow change cannot hide", _fade),
        Scene("flicker", f"lamps flicker by {100 * RIPPLE:.0f} %: what light alone costs", _flicker),
    )
}
