"""A model file of veca-edge 0.2.0 (`random_checkpoint(("red", "green", "blue"))`, budgets 8 and 16) still loads."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.paths import GOLDEN
from veca_edge.photos.samples import sample_images
from veca_edge.runtime.model import Model, load


@pytest.fixture(scope="module")
def model() -> Model:
    return load(GOLDEN / "made-by-0.2.0.pte")


def test_it_says_what_it_said(model: Model) -> None:
    expected = json.loads((GOLDEN / "made-by-0.2.0.json").read_text())
    result = model(sample_images()[6], cores=8)
    # Processors round int8 differently, a little.
    np.testing.assert_allclose(result.embedding, expected["embedding"], atol=0.05)
    found = {prediction.label: prediction.probability for prediction in result.top(3)}
    assert found == pytest.approx(expected["probabilities"], abs=0.02)


def test_it_streams_and_has_its_quality_table(model: Model) -> None:
    stream = model.stream(cores=16)
    results = [stream.update(image) for image in sample_images()[:3]]
    assert results[0].keyframe
    assert model.quality
