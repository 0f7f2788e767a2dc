"""gallery.json: examples added and removed, what a gallery says of other pictures and of boxes, and its file."""

from __future__ import annotations

import base64
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from tests.golden.result_vectors import result_of
from veca_edge.arrays import Float
from veca_edge.gallery.file import archive_of
from veca_edge.gallery.gallery import LONGEST_LABEL, Gallery
from veca_edge.gallery.regions import region_mean
from veca_edge.modelfile.means import Means
from veca_edge.runtime.result import Result

Json = dict[str, Any]

WIDTH, GRID, CROP = 6, (2, 3), (20, 10, 90, 60)
MODEL = "0123456789abcdef" * 4
MEANS = Means((0.5, 0.25, 0.0, -0.25, 0.125, 0.0), (1.0, 0.5, 0.0, 0.0, -0.5, 0.25), 16)
NEAR = 1e-3  # of a threshold; nothing is decided by less
# What a picture shows, and how unlike others of its kind it is, 0..1.
THINGS = ("mug", "keys", "plant", "caf\u00e9 \u2615", "stranger")
BOXES = (
    (20, 10, 90, 60),  # all of it
    (20, 10, 30, 30),  # one patch
    (35, 25, 30, 30),  # four patches, a quarter of each
    (44.5, 33.25, 0.5, 0.25),  # within a patch
    (-100, -100, 150, 130),  # further than the model saw
    (95, 10, 1000, 1000),
)
REFUSED_BOXES: tuple[tuple[float, ...], ...] = (
    *((0, 0, 20, 10), (110, 10, 5, 5), (0, 70, 200, 1)),  # beside what the model saw
    *((30, 30, 0, 5), (30, 30, 5, -1), (30, 30, 5), (30, 30, 5, 5, 5)),
)
REFUSED_LABELS = ("", " ", " mug", "mug ", "a\nb", "a\tb", "\u001b[2J", "a\u200bb", "a" * (LONGEST_LABEL + 1))


class _Numbers:
    """The generator of README.md, Frames."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def vector(self, scale: float = 8.0) -> Float:
        """Whole numbers -8..8 by the scale: float32 (WIDTH,)."""
        found = []
        for _ in range(WIDTH):
            self._state = (1664525 * self._state + 1013904223) % 2**32
            found.append((self._state >> 16) % 17 - 8)
        return np.array(found, np.float32) / np.float32(scale)


def gallery_vectors() -> Json:
    four = [(name, 0.6, False) for name in THINGS[:4] for _ in range(4)]
    alike = [(name, 0.1, False) for name in THINGS[:2] for _ in range(5)]
    boxed = [(name, 0.5, box) for name in THINGS[:3] for box in (True, False, True)]
    return {
        "model": MODEL,
        "regions": [_region(box) for box in BOXES],
        "refused_regions": [{"grid": list(GRID), "crop": list(CROP), "box": list(box)} for box in REFUSED_BOXES],
        "refused_labels": list(REFUSED_LABELS),
        "galleries": [
            _gallery("empty", [], None),
            _gallery("one example, nothing taken off", [("mug", 0.3, False)], None),
            _gallery("one example each", [(name, 0.4, False) for name in THINGS[:3]], MEANS),
            _gallery("several examples each", four, MEANS),
            _gallery("much alike within each", alike, MEANS),
            _gallery("boxes beside pictures", boxed, MEANS),
            _removed(),
        ],
        "file": _file(),
    }


def _features(seed: int) -> Float:
    numbers = _Numbers(seed)
    return np.stack([numbers.vector() for _ in range(GRID[0] * GRID[1])]).reshape(*GRID, WIDTH)


def _picture(thing: str, unlike: float, seed: int) -> Result:
    """A result around its thing's own vectors; unlike, 0..1, is how much of it is chance."""
    own, chance = THINGS.index(thing) + 1, seed * 97 + 11
    embedding = _Numbers(own).vector() + np.float32(unlike) * _Numbers(chance).vector()
    features = _features(own + 50) + np.float32(unlike) * _features(chance + 50)
    return replace(result_of(None), embedding=embedding, features=features, crop=CROP)


def _given(result: Result, box: tuple[float, ...] | None) -> Json:
    if box is None:
        return {"embedding": result.embedding.tolist()}
    return {"features": result.features.tolist(), "crop": list(CROP), "box": list(box)}


def _region(box: tuple[float, ...]) -> Json:
    result = replace(result_of(None), features=_features(7), crop=CROP)
    return {**_given(result, box), "mean": region_mean(result, box).tolist()}


def _gallery(what: str, steps: list[tuple[str, float, bool]], means: Means | None) -> Json:
    gallery, added = Gallery((), means, MODEL), []
    for seed, (label, unlike, boxed) in enumerate(steps):
        result, box = _picture(label, unlike, seed), BOXES[seed % 3] if boxed else None
        gallery = gallery.add(label, result, box)
        added.append({"add": label, **_given(result, box)})
    return {
        "what": what,
        "means": None if means is None else means.to_dict(),
        "steps": added,
        **_said(gallery),
    }


def _removed() -> Json:
    """An example that is added twice, which counts once, and a name that is removed."""
    first, box = _picture("mug", 0.0, 0), BOXES[2]
    other = _picture("keys", 0.5, 2)
    gallery = Gallery((), MEANS, MODEL).add("mug", first).add("mug", first).add("keys", other, box).remove("mug")
    steps = [
        *[{"add": "mug", **_given(first, None)}] * 2,
        {"add": "keys", **_given(other, box)},
        {"remove": "mug"},
    ]
    return {"what": "added twice, then removed", "means": MEANS.to_dict(), "steps": steps, **_said(gallery)}


def _said(gallery: Gallery) -> Json:
    queries = [_query(gallery, thing, 0.7, 30 + seed, None) for seed, thing in enumerate(THINGS)]
    if any(example.region for example in gallery.examples):
        queries += [_query(gallery, thing, 0.4, 40 + seed, BOXES[0]) for seed, thing in enumerate(THINGS)]
    return {
        "labels": [[label, count] for label, count in gallery.labels.items()],
        "thresholds": {"images": gallery.threshold(), "regions": gallery.threshold(region=True)},
        "queries": queries,
    }


def _query(gallery: Gallery, thing: str, unlike: float, seed: int, box: tuple[float, ...] | None) -> Json:
    result = _picture(thing, unlike, seed)
    matches = gallery.predict(result, box, k=3)
    threshold = gallery.threshold(region=box is not None)
    assert not matches or abs(matches[0].similarity - threshold) > NEAR
    assert all(a.similarity - b.similarity > NEAR for a, b in pairwise(matches))
    found = [[match.label, match.similarity, match.sure] for match in matches]
    return {**_given(result, box), "k": 3, "matches": found}


def _file() -> Json:
    gallery = Gallery((), MEANS, MODEL)
    wide = replace(_picture("plant", 0.5, 2), image_size=(32, 48))
    gallery = gallery.add("mug", _picture("mug", 0.5, 1)).add(THINGS[3], wide, BOXES[1])
    examples = [
        {
            "label": example.label,
            "region": example.region,
            "image_size": example.image_size,
            "vector": example.vector.tolist(),
        }
        for example in gallery.examples
    ]
    npz = base64.b64encode(archive_of(gallery)).decode()
    return {"npz": npz, "model": MODEL, "means": MEANS.to_dict(), "examples": examples}
