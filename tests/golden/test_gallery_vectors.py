"""gallery.json is what the product does, and what its own page says in formulas."""

from __future__ import annotations

import base64
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.golden.result_vectors import result_of
from tests.golden.test_golden_vectors import read
from veca_edge.errors import VecaError
from veca_edge.gallery.file import archive_of
from veca_edge.gallery.gallery import Gallery
from veca_edge.gallery.regions import region_mean
from veca_edge.modelfile.means import Means
from veca_edge.runtime.result import Result

VECTORS = read("gallery.json")


def result(case: dict[str, Any]) -> Result:
    """A result with what a case says of it."""
    embedding = np.array(case.get("embedding", [0.0]), np.float32)
    features = np.array(case.get("features", [[[0.0]]]), np.float32)
    return replace(
        result_of(None), embedding=embedding, features=features, crop=tuple(case.get("crop", (0, 0, 1, 1)))
    )


def gallery_of(case: dict[str, Any]) -> Gallery:
    width = 0 if case["means"] is None else len(case["means"]["embedding"])
    gallery = Gallery((), None if case["means"] is None else Means.from_dict(case["means"], width))
    for step in case["steps"]:
        if "remove" in step:
            gallery = gallery.remove(step["remove"])
        else:
            gallery = gallery.add(step["add"], result(step), step.get("box"))
    return gallery


def test_boxes() -> None:
    for case in VECTORS["regions"]:
        assert region_mean(result(case), case["box"]) == pytest.approx(case["mean"], rel=1e-5, abs=1e-6)
    for case in VECTORS["refused_regions"]:
        features = np.zeros((*case["grid"], 2))
        with pytest.raises(VecaError, match="box"):
            region_mean(result({**case, "features": features}), case["box"])


def test_names_that_are_refused() -> None:
    for label in VECTORS["refused_labels"]:
        with pytest.raises(VecaError, match="name"):
            Gallery().add(label, result({}))


@pytest.mark.parametrize("case", VECTORS["galleries"], ids=lambda case: case["what"])
def test_galleries(case: dict[str, Any]) -> None:
    gallery = gallery_of(case)
    assert [[label, count] for label, count in gallery.labels.items()] == case["labels"]
    for name, region in (("images", False), ("regions", True)):
        assert gallery.threshold(region) == pytest.approx(case["thresholds"][name], abs=1e-5)
        assert by_the_page(case, region) == pytest.approx(case["thresholds"][name], abs=1e-5)
    for query in case["queries"]:
        found = gallery.predict(result(query), query.get("box"), query["k"])
        assert [match.label for match in found] == [label for label, _, _ in query["matches"]]
        assert [match.similarity for match in found] == pytest.approx([s for _, s, _ in query["matches"]], abs=1e-5)
        assert [match.sure for match in found] == [sure for _, _, sure in query["matches"]]


def test_the_file(tmp_path: Path) -> None:
    told = VECTORS["file"]
    path = tmp_path / "gallery.npz"
    path.write_bytes(base64.b64decode(told["npz"]))
    gallery = Gallery.load(path)
    assert archive_of(gallery) == path.read_bytes()
    assert (gallery.model, gallery.means) == (told["model"], Means.from_dict(told["means"], gallery.width or 0))
    for example, wanted in zip(gallery.examples, told["examples"], strict=True):
        assert (example.label, example.region) == (wanted["label"], wanted["region"])
        assert example.image_size == wanted["image_size"]
        np.testing.assert_allclose(example.vector, wanted["vector"], rtol=1e-6)


def by_the_page(case: dict[str, Any], region: bool) -> float:
    """The threshold example by example, as README.md puts it."""
    kept = [(e.label, e.vector.astype(float)) for e in gallery_of(case).examples if e.region == region]
    names = list(dict.fromkeys(label for label, _ in kept))
    if not names:
        return 1.0
    mean = np.zeros(1) if case["means"] is None else np.array(case["means"]["features" if region else "embedding"])
    x = [(label, unit(vector - mean)) for label, vector in kept]
    growth = math.log(len(names) / (len(names) - 1)) if len(names) > 1 else 0.0
    strangers, familiar = [], []
    for i, (own, vector) in enumerate(x):
        others = [unit(sum(v for label, v in x if label == name)) for name in names if name != own]
        strangers += [max(float(vector @ p) for p in others) + 0.075 * growth] if others else []
        rest = [v for j, (label, v) in enumerate(x) if label == own and j != i]
        familiar += [float(vector @ unit(sum(rest)))] if rest else []
    high = spread(strangers, 0.05 + 0.075 * math.log(len(names)), 0.12, 1.2816)
    return max(high, (high + spread(familiar, 0.5, 0.2, -1.2816)) / 2)


def unit(vector: Any) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector))


def spread(values: list[float], mean: float, deviation: float, z: float) -> float:
    m = (4 * mean + sum(values)) / (4 + len(values))
    squares = sum((value - m) ** 2 for value in values)
    return m + z * math.sqrt((4 * (deviation**2 + (mean - m) ** 2) + squares) / (4 + len(values)))
