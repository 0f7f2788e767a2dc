from __future__ import annotations

import math
import resource
from typing import Any

import numpy as np
import pytest

from tests.gallery.results import result
from veca_edge.arrays import Image
from veca_edge.errors import VecaError
from veca_edge.gallery.gallery import Gallery
from veca_edge.gallery.index import Index
from veca_edge.modelfile.means import Means
from veca_edge.runtime.model import Model

X, Y, Z = result(1, 0, 0), result(0, 1, 0), result(0, 0, 1)


def test_the_threshold_of_a_large_gallery_takes_little_memory() -> None:
    """A table of all examples and names would have 400 million values."""
    vectors = np.random.default_rng(0).standard_normal((20_000, 8), np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = Index.of([str(number) for number in range(len(vectors))], list(vectors)).threshold
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 18  # kilobytes
    assert 0.9 < found <= 2


def test_the_threshold_is_the_same_in_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = np.random.default_rng(0).standard_normal((40, 8), np.float32)
    labels = [str(number % 17) for number in range(40)]
    whole = Index.of(labels, list(vectors)).threshold
    monkeypatch.setattr("veca_edge.gallery.index.BLOCK", 3)
    assert Index.of(labels, list(vectors)).threshold == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("model", [None, 5, "veca.pte", X])
def test_a_gallery_is_of_a_model(model: Any) -> None:
    with pytest.raises(VecaError, match=r"no model: .*: give one of veca_edge\.load"):
        Gallery.of(model)


def test_what_was_named_is_recognised_and_the_gallery_before_stays() -> None:
    none = Gallery()
    one = none.add("mug", X)
    two = one.add("keys", Y).add("mug", result(1, 0.1, 0))
    assert (len(none), len(one), dict(two.labels)) == (0, 1, {"mug": 2, "keys": 1})
    best, other = two.predict(result(1, 0.2, 0))
    assert (best.label, best.sure, other.label, other.sure) == ("mug", True, "keys", False)
    assert best.similarity == pytest.approx(math.cos(math.atan(0.2) - math.atan(0.1) / 2), abs=1e-4)
    assert [match.label for match in two.remove("mug").predict(X)] == ["keys"]
    assert two.predict(Z)[0].sure is False
    assert (none.predict(X), len(two.predict(X, k=1)), repr(two)) == ((), 1, "<Gallery of 2 labels, 3 examples>")


def test_an_example_is_its_own_copy_and_counts_once() -> None:
    given = result(1, 0, 0)
    gallery = Gallery().add("mug", given)
    given.embedding.setflags(write=True)  # whoever owns the array may
    given.embedding[:] = 7
    assert gallery.examples[0].vector.tolist() == [1, 0, 0]
    assert gallery.add("mug", X) is gallery
    assert dict(gallery.add("cup", X).labels) == {"mug": 1, "cup": 1}
    with pytest.raises(ValueError, match="read-only"):
        gallery.examples[0].vector[0] = 2


def test_boxes_are_compared_with_boxes() -> None:
    scene = result(0, 0, 1, features=[(1, 0, 0), (0, 1, 0), (0, 1, 0), (0, 1, 0)])
    gallery = Gallery().add("corner", scene, (0, 0, 8, 8)).add("rest", scene, (8, 0, 8, 16)).add("scene", scene)
    assert [m.label for m in gallery.predict(scene, (1, 1, 5, 5))] == ["corner", "rest"]
    assert [m.label for m in gallery.predict(scene)] == ["scene"]
    np.testing.assert_allclose(gallery.examples[0].vector, (1, 0, 0))
    assert gallery.add("half", scene, (0, 0, 16, 8)).examples[-1].vector == pytest.approx((0.5, 0.5, 0))


def test_what_all_have_in_common_is_taken_off() -> None:
    """Without that, two pictures that share nothing else are alike."""
    common = (10.0, 10.0, 10.0)
    shown, other = (result(*np.add(common, vector)) for vector in ((1, 0, 0), (0, 1, 0)))
    assert Gallery().add("mug", shown).predict(other)[0].similarity > 0.99
    assert abs(Gallery((), Means(common, common)).add("mug", shown).predict(other)[0].similarity) < 1e-6


def test_unknown_things_stay_unknown() -> None:
    """Things in 32 dimensions, around a direction of their own: one in ten strangers may get a name."""
    random = np.random.default_rng(0)

    def pictures(count: int) -> Any:
        return 0.25 * random.normal(size=32) + 0.12 * random.normal(size=(count, 32))

    for labels, shown in ((1, 1), (2, 3), (8, 5)):
        known, unknown = [], []
        for _ in range(40):
            things = [pictures(shown + 1).astype(np.float32) for _ in range(labels)]
            names = [str(number) for number in range(labels) for _ in range(shown)]
            index = Index.of(names, [vector for thing in things for vector in thing[:-1]])
            known += [index.ranked(thing[-1])[0][1] >= index.threshold for thing in things]
            unknown += [index.ranked(vector)[0][1] >= index.threshold for vector in pictures(1).astype(np.float32)]
        assert np.mean(known) > 0.9
        assert np.mean(unknown) <= 0.25


def test_tight_examples_raise_the_threshold() -> None:
    random = np.random.default_rng(1)

    def threshold(scatter: float) -> float:
        kinds = 6 * np.eye(3, 32)
        vectors = [(kind + scatter * random.normal(size=32)).astype(np.float32) for kind in kinds for _ in range(8)]
        return Index.of([str(i // 8) for i in range(24)], vectors).threshold

    assert threshold(0.1) > threshold(1.5) + 0.05


@pytest.mark.parametrize(
    "label", ["", "  ", " mug", "a\x1b[31m", "a\u202eb", "a\nb", "m" * 10_000, "e\u0301" * 90, None, 3, b"mug"]
)
def test_names_that_cannot_be_shown(label: Any) -> None:
    with pytest.raises(VecaError, match="name") as caught:
        Gallery().add(label, X)
    assert len(str(caught.value)) < 200


def test_a_name_typed_in_two_ways_is_one() -> None:
    gallery = Gallery().add("cafe\u0301", X).add("caf\u00e9", Y)
    assert dict(gallery.labels) == {"caf\u00e9": 2}
    assert len(gallery.remove("cafe\u0301")) == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((result(math.nan, 1, 0), None), "not numbers"),
        ((result(math.inf, 1, 0), None), "not numbers"),
        ((result(1, 0), None), "2 values, and the gallery's have 3"),
        ((X, (100, 0, 5, 5)), "outside of what the model saw: give one within x 0 to 16, y 0 to 16"),
        ((X, (0, 0, 0, 5)), "is empty"),
        ((X, (0, 0, math.nan, 5)), "four numbers"),
        ((X, (1e300, 0, 1e300, 5)), "outside"),
        ((X, "0,0,5,5"), "four numbers"),
        (("photo.jpg", None), "give it a result"),
    ],
)
def test_results_and_boxes_that_are_refused(given: Any, said: str) -> None:
    gallery = Gallery().add("mug", X)
    for call in (lambda: gallery.add("mug", *given), lambda: gallery.predict(*given)):
        with pytest.raises(VecaError, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_removing_what_is_not_there() -> None:
    with pytest.raises(VecaError, match="no 'cup': it knows mug"):
        Gallery().add("mug", X).remove("cup")


def test_what_was_learned_with_all_cores_is_recognised_with_few(model: Model, photo: Image) -> None:
    gallery = Gallery.of(model).add("this", model(photo)).add("upside down", model(photo[::-1].copy()))
    assert gallery.model == model.source_digest
    assert len(gallery.model) == 64
    for cores in model.budgets:
        best = gallery.predict(model(photo, cores))[0]
        assert (best.label, best.sure) == ("this", True)
        assert best.similarity > 0.95
