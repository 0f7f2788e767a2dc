"""What is measured: checked, and converted where that is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.calibration.benchmark.small_models import write_tiny
from veca_edge.calibration.benchmark import target
from veca_edge.calibration.benchmark.request import BenchRequest
from veca_edge.calibration.benchmark.target import choose_cores, noise, prepare
from veca_edge.errors import VecaError

BUDGETS = (8, 16, 24, 32)


@pytest.mark.parametrize(
    ("asked", "minutes", "chosen"),
    [
        (None, None, (8, 32)),
        (None, 1.0, (32,)),
        ((), None, BUDGETS),
        ((32, 8, 8), None, (8, 32)),
        ((16,), None, (16,)),
    ],
)
def test_cores(asked: tuple[int, ...] | None, minutes: float | None, chosen: tuple[int, ...]) -> None:
    assert choose_cores(BenchRequest(cores=asked, minutes=minutes), BUDGETS) == chosen
    assert choose_cores(BenchRequest(), (8,)) == (8,)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (BenchRequest(random="tiny"), "unknown model family 'tiny': use one of small, splus, base, large"),
        (BenchRequest(random="small", cores=(12,)), "12 cores: this model offers 8, 16, 24, 32, 40, 48, 56, 64"),
        (
            BenchRequest(random="small", image_size=(100,)),
            "image size 100 is not a multiple of the patch size 16: use 96, for example",
        ),
    ],
)
def test_impossible_requests_are_refused_before_any_conversion(
    tmp_path: Path, request_: BenchRequest, message: str
) -> None:
    said: list[str] = []
    with pytest.raises(VecaError) as error:
        prepare(request_, tmp_path, said.append)
    assert (str(error.value), said) == (message, [])


def test_without_opencv_the_picture_is_noise_at_the_models_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "find_spec", lambda name: None)
    plan = prepare(BenchRequest(write_tiny(tmp_path), image_size=(32,)), tmp_path).plan
    assert plan.picture.startswith("random pixels")
    assert np.array_equal(plan.inputs[0].picture, noise(32))
    assert np.array_equal(plan.inputs[0].fitted, noise(32))
