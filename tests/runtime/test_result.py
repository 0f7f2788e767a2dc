from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from veca_edge import Result, VecaError
from veca_edge.arrays import Image
from veca_edge.modelfile.certainty import Certainty
from veca_edge.runtime.model import Model
from veca_edge.runtime.result import log_softmax, softmax


def _result(logits: list[float] | None) -> Result:
    zeros = np.zeros((1, 1, 4), np.float32)
    labels = tuple("abc")[: len(logits or [])]
    values = None if logits is None else np.array(logits, np.float32)
    return Result(zeros[0, 0], zeros, zeros, values, labels, 8, (16, 16), (0, 0, 16, 16), 0.01)


def test_top_is_sorted_and_bounded() -> None:
    top = _result([0.0, 3.0, 1.0]).top(2)
    assert [p.label for p in top] == ["b", "c"]
    assert top[0].probability > top[1].probability
    assert len(_result([0.0, 3.0, 1.0]).top(10)) == 3


@pytest.mark.parametrize("scale", [1.0, 1e4, -1e4])
def test_probabilities_sum_to_one_for_any_logits(scale: float) -> None:
    assert _result([scale, 2 * scale, -scale]).probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_without_a_head_there_are_no_labels() -> None:
    with pytest.raises(VecaError, match="no head"):
        _result(None).top(1)


def test_softmax_and_its_logarithm_agree_along_the_last_axis() -> None:
    logits = np.array([[0.0, 1.0, 2.0], [1e3, 0.0, -1e3]])
    np.testing.assert_allclose(np.exp(log_softmax(logits)), softmax(logits), atol=1e-15)
    np.testing.assert_allclose(softmax(logits).sum(-1), 1)
    assert log_softmax(logits)[1, 2] == -2000
    assert softmax(logits.astype(np.float32)).dtype == np.float32


def test_it_is_sure_of_what_reaches_the_models_threshold() -> None:
    result = _result([0.0, 3.0, 1.0])
    assert result.confidence == pytest.approx(result.top(1)[0].probability, abs=1e-6)
    assert result.sure
    doubtful = replace(result, certainty=result.certainty.at(0.99))
    assert not doubtful.sure
    assert doubtful.top(3) == result.top(3)
    assert repr(doubtful).startswith("<Result b 84 %, not sure, ")


def test_without_a_head_it_is_sure_of_nothing() -> None:
    assert not _result(None).sure
    with pytest.raises(VecaError, match="no head"):
        _ = _result(None).confidence


def test_a_model_and_its_streams_pass_its_certainty_on(model: Model, photo: Image) -> None:
    own, model.certainty = model.certainty, Certainty(1.0, 1.0)
    try:
        results = (model(photo, cores=8), model.stream(cores=8).update(photo))
    finally:
        model.certainty = own
    assert [result.certainty.threshold for result in results] == [1.0, 1.0]
    assert not any(result.sure for result in results)


@pytest.mark.parametrize("value", [None, 0.8, "x", {}, Certainty])
def test_only_a_certainty_is_one(model: Model, value: Any) -> None:
    own = model.certainty
    with pytest.raises(VecaError, match=r"use one such as `model\.certainty\.at\(0\.8\)`"):
        model.certainty = value
    assert model.certainty is own
