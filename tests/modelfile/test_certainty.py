"""How sure a model must be: what it makes of logits, and what a file may say of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.golden.result_vectors import REFUSED_CERTAINTY
from tests.paths import GOLDEN
from veca_edge.errors import VecaError
from veca_edge.modelfile.certainty import DEFAULT_CERTAINTY, Certainty
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.pte import read_model_file
from veca_edge.runtime.result import softmax

LOGITS = np.array([2.0, 1.0, -1.0], np.float32)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    """Of a file that was written before there was a certainty."""
    return read_model_file(GOLDEN / "made-by-0.2.0.pte").manifest


def test_the_confidence_is_the_best_labels_probability_at_the_temperature() -> None:
    assert DEFAULT_CERTAINTY.confidence(LOGITS) == pytest.approx(softmax(LOGITS).max(), abs=1e-6)
    assert Certainty(temperature=2).confidence(LOGITS) == pytest.approx(softmax(LOGITS / 2).max(), abs=1e-6)


@pytest.mark.parametrize(("threshold", "sure"), [(0.0, True), (0.70, True), (0.71, False), (1.0, False)])
def test_it_is_sure_from_the_threshold_on(threshold: float, sure: bool) -> None:
    assert DEFAULT_CERTAINTY.at(threshold).sure(LOGITS) is sure


@pytest.mark.parametrize("broken", [[np.nan, 9.0], [np.inf, 0.0], [-np.inf, -np.inf]])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_it_is_never_sure_of_what_is_no_number(broken: list[float]) -> None:
    assert not DEFAULT_CERTAINTY.at(0).sure(np.array(broken, np.float32))


def test_an_older_file_has_the_default(manifest: Manifest) -> None:
    assert manifest.certainty == DEFAULT_CERTAINTY == Certainty(1.0, 0.5)


def test_a_manifest_keeps_it(manifest: Manifest) -> None:
    certainty = Certainty(0.8, 0.61, {"photos": 1374, "precision": 0.86})
    assert Manifest.from_json(replace(manifest, certainty=certainty).to_json()).certainty == certainty


@pytest.mark.parametrize(
    "value", [*REFUSED_CERTAINTY, None, {"threshold": None}, {"threshold": float("nan")}, {"about": 1}]
)
def test_what_cannot_be_is_one_line(manifest: Manifest, value: Any) -> None:
    damaged = json.dumps(json.loads(manifest.to_json()) | {"certainty": value})
    with pytest.raises(VecaError, match=r"^the manifest.* certainty|JSON") as failed:
        Manifest.from_json(damaged)
    assert "\n" not in str(failed.value)


def test_only_known_numbers_are_kept_of_what_it_says_about_itself() -> None:
    about = {"photos": 9, "precision": "\x1b[31m", "answered": float("inf"), "\n": 1, "unknown_photos": [3]}
    assert Certainty.from_dict({"about": about}).about == {"photos": 9}


def test_what_is_made_in_python_is_checked_and_plain() -> None:
    with pytest.raises(VecaError, match="5 is no table"):
        Certainty(about=5)  # type: ignore[arg-type]
    own = Certainty().at(np.float32(0.25))  # type: ignore[arg-type]
    assert json.loads(json.dumps(own.to_dict()))["threshold"] == 0.25
