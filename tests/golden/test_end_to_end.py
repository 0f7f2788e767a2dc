"""The end-to-end vectors: what they say, which engines agree, and that an app's mistakes show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import veca_edge
from tests.golden import end_to_end
from tests.paths import ASSETS
from veca_edge.conversion.default import CHECKPOINT

Image = NDArray[np.uint8]
Photo = Callable[[str], Image]
GOLDEN = json.loads((Path(__file__).parent / "end-to-end.json").read_text())


@pytest.fixture(scope="module")
def model(default_model_file: Path) -> veca_edge.Model:
    return veca_edge.load(default_model_file)


def test_on_disk_is_what_the_script_writes() -> None:
    fresh = end_to_end.end_to_end_vectors()
    assert fresh["model"] == GOLDEN["model"]
    assert fresh["tolerances"] == GOLDEN["tolerances"]
    for photo, stored in zip(fresh["photos"], GOLDEN["photos"], strict=True):
        assert photo["sha256"] == stored["sha256"]
        assert photo["mean_rgb"] == pytest.approx(stored["mean_rgb"], abs=1)
        for cores, budget in photo["budgets"].items():
            for name in ("embedding", "logits"):
                np.testing.assert_allclose(budget[name], stored["budgets"][cores][name], atol=0.02)
            assert budget["top"][0][0] == stored["budgets"][cores]["top"][0][0]


def test_the_expectation_is_right_about_its_photos() -> None:
    for photo in GOLDEN["photos"]:
        for budget in photo["budgets"].values():
            assert budget["top"][0][0] == photo["file"].removesuffix(".jpg")
            best = np.argsort(-np.array(budget["logits"]))[:5]
            assert [label for label, _ in budget["top"]] == [GOLDEN["model"]["labels"][i] for i in best]


@pytest.mark.parametrize("given", [end_to_end.photo, end_to_end.decoded_otherwise])
def test_executorch_agrees(model: veca_edge.Model, given: Photo) -> None:
    rows = end_to_end.checks(model, GOLDEN, "executorch-int8", given)
    assert len(rows) == 9
    assert all(row.passed for row in rows), "\n".join(map(str, rows))


@pytest.mark.filterwarnings("ignore::veca_edge.errors.VecaWarning")
def test_core_ml_interpreted_agrees(tmp_path: Path) -> None:
    from veca_edge.converters.coreml.convert import PackageOptions, convert_package
    from veca_edge.model.checkpoint import read_checkpoint

    package = tmp_path / "veca.mlpackage"
    options = PackageOptions("int8", budgets=end_to_end.BUDGETS)
    convert_package(read_checkpoint(ASSETS / CHECKPOINT), package, options)
    rows = end_to_end.checks(veca_edge.load(package), GOLDEN, "coreml-int8")
    assert all(row.passed for row in rows), "\n".join(map(str, rows))


MISTAKES: dict[str, Callable[[Image], Image]] = {
    "channels the other way round": lambda image: image[:, :, ::-1].copy(),
    "mirrored": lambda image: image[:, ::-1].copy(),
    "turned by a quarter": lambda image: np.rot90(image).copy(),
    "the upper left corner instead of the whole": lambda image: image[:128, :128].copy(),
    "stretched to twice its width": lambda image: image[:, 36:108].repeat(2, axis=1),
    "half as bright": lambda image: image // 2,
    "not normalised twice over": lambda image: (image / 255 * 58 + 124).astype(np.uint8),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_apps_mistakes_show(model: veca_edge.Model, mistake: str) -> None:
    rows = end_to_end.checks(
        model, GOLDEN, "executorch-int8", lambda name: MISTAKES[mistake](end_to_end.photo(name))
    )
    assert sum(row.passed for row in rows) == 0, "\n".join(f"{row} {row.logits}" for row in rows)


def test_another_budget_shows(model: veca_edge.Model) -> None:
    """The three budgets' expectations are told apart."""
    swapped: dict[str, Any] = json.loads(json.dumps(GOLDEN))
    for photo in swapped["photos"]:
        photo["budgets"]["8"], photo["budgets"]["64"] = photo["budgets"]["64"], photo["budgets"]["8"]
    rows = end_to_end.checks(model, swapped, "executorch-int8")
    assert not any(row.passed for row in rows if row.cores in (8, 64)), "\n".join(f"{r} {r.logits}" for r in rows)
