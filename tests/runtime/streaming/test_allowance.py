"""What a stream spends: on frames that move as it likes least, with a formula in place of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.golden.stream_traces import BUDGETS, PATCH, FormulaEngine
from tests.known import known
from veca_edge.arrays import Image
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.runtime.model import Model
from veca_edge.runtime.streaming import allowance
from veca_edge.runtime.streaming.allowance import Allowance
from veca_edge.runtime.streaming.change import ChangeDetector

SECOND = 30
FRAMES = 400
Scene = Callable[[np.random.Generator, int], float]  # how much of the picture has changed since the frame before


def _frames(scene: Scene, side: int) -> Iterator[Image]:
    rng = np.random.default_rng(0)
    # Even patches, since pixels that change each on their own are taken for noise.
    frame = rng.integers(0, 256, (side // PATCH, side // PATCH, 3), np.uint8)
    frame = frame.repeat(PATCH, axis=0).repeat(PATCH, axis=1)
    for index in range(FRAMES):
        frame[: round(scene(rng, index) * side)] += np.uint8(90)
        yield frame.copy()


def _costs(frames: Iterator[Image], side: int, cores: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """Of every frame, in full frames, from what is asked of the engine and what is compared."""
    engine, looks = FormulaEngine(), list[float]()

    def counted(method: str, cost: float) -> None:
        original = getattr(ChangeDetector, method)

        def call(*arguments: object) -> object:
            looks.append(cost)
            return original(*arguments)

        monkeypatch.setattr(ChangeDetector, method, call)

    counted("plan", 1.0)
    counted("take", allowance.TAKEN)
    streamed = Model("formula", engine, Preprocessing(side), PATCH, BUDGETS).stream(cores)
    count = (side // PATCH) ** 2
    before, full = 0, allowance.CALL + count + allowance.CORE * cores
    for frame in frames:
        engine.calls.clear()
        looks.clear()
        computed = int(known(streamed.update(frame).computed).sum())
        cost = sum(looks) * (allowance.LOOK + allowance.LOOK_PATCH * count) + allowance.CALL
        for method, _, mask in engine.calls:
            if mask is not None:
                cost += allowance.STEP_CORE * cores + allowance.STEP_REMEMBERED * count
                cost += allowance.STEP_PATCH * computed + (computed != before) * allowance.PLAN
                before = computed
            else:
                cost += full - allowance.CALL
                if method == "step":
                    cost += allowance.KEEP + allowance.KEEP_PATCH * count
                    before = count
        yield cost / full


def _seconds(costs: list[float]) -> list[float]:
    return [sum(costs[first : first + SECOND]) / SECOND for first in range(len(costs) - SECOND + 1)]


@pytest.mark.parametrize(
    ("scene", "most"),
    [
        (lambda _, __: 1.0, 1.02),
        (lambda _, index: float(index >= FRAMES // 2), 1.02),
        (lambda _, index: float(index % 2), 1.03),
        (lambda _, index: float(index % 3 == 0), 1.03),
        (lambda rng, _: float(rng.random() < 0.5), 1.03),
        (lambda rng, _: rng.uniform(0.4, 0.8), 1.03),
        (lambda rng, _: 0.58, 1.03),
        (lambda rng, index: 0.0 if index // 20 % 2 else 1.0, 1.03),
    ],
    ids=["all", "later", "second", "third", "coin", "around", "below", "rests"],
)
@pytest.mark.parametrize(("side", "cores"), [(64, 8), (64, 64), (128, 8)])
def test_no_second_costs_much_more_than_full_frames(
    scene: Scene, most: float, side: int, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """128 and 256 pixels in patches of 16, as the packaged model has them."""
    costs = list(_costs(_frames(scene, side), side, cores, monkeypatch))
    assert max(_seconds(costs)) < most


def test_what_rests_is_found_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = list(_costs(_frames(lambda _, index: float(index < 100), 64), 64, 8, monkeypatch))
    assert np.mean(costs[50:100]) > 1
    assert np.mean(costs[117:]) < 0.3


def test_what_is_spent_comes_back_slowly_and_savings_at_once() -> None:
    purse = Allowance(64, 8)
    frames = 0
    while not purse.spent:
        purse.full(kept=True, looked=True, taken=False)
        frames += 1
    assert frames == 2
    while purse.spent:
        purse.full(kept=False, looked=False, taken=False)
        frames += 1
    assert frames > 15
    purse.step(8)
    assert purse.left == allowance.MOST
