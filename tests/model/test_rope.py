from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from veca_edge.model.config import VecaConfig
from veca_edge.model.rope import augment_positions, patch_positions, rope_angles, rope_periods, rotate_pairs


def tiny(**overrides: float | str | None) -> VecaConfig:
    return VecaConfig.from_family("small", hidden_dim=32, num_heads=2, num_layers=2, **overrides)


def test_positions_are_cell_centres_row_by_row_x_first() -> None:
    expected = [[-2 / 3, -0.5], [0, -0.5], [2 / 3, -0.5], [-2 / 3, 0.5], [0, 0.5], [2 / 3, 0.5]]
    torch.testing.assert_close(patch_positions(2, 3), torch.tensor(expected))


@pytest.mark.parametrize(
    ("fraction", "end", "expected"),
    [
        (0.0, "low", [1, math.sqrt(10), 10, 10 * math.sqrt(10)]),
        (0.25, "low", [1, math.sqrt(10), 10, math.inf]),
        (0.5, "high", [math.inf, math.inf, 10, 10 * math.sqrt(10)]),
        (1.0, "high", [math.inf] * 4),
    ],
)
def test_periods(fraction: float, end: str, expected: list[Any]) -> None:
    periods = rope_periods(tiny(rope_zero_fraction=fraction, rope_zero_from=end))
    torch.testing.assert_close(periods, torch.tensor(expected, dtype=torch.float32))


def test_rotation_turns_neighbouring_channels() -> None:
    quarter = torch.full((1, 1, 2), math.pi / 2)
    v = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 1, 4)
    turned = rotate_pairs(v, quarter).flatten()
    torch.testing.assert_close(turned, torch.tensor([-2.0, 1.0, -4.0, 3.0]))


def test_scores_depend_on_distance_only() -> None:
    periods = rope_periods(tiny())
    generator = torch.Generator().manual_seed(3)
    q, k = torch.randn(2, 1, 1, 1, 16, generator=generator)
    xy = torch.tensor([[0.1, -0.4], [0.5, 0.3]])

    def score(shift: torch.Tensor) -> float:
        angles = rope_angles(xy + shift, periods)
        return float((rotate_pairs(q, angles[None, :1]) * rotate_pairs(k, angles[None, 1:])).sum())

    assert score(torch.tensor([0.3, 0.2])) == pytest.approx(score(torch.zeros(2)), abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [
        ({"rope_shift": None, "rope_rescale": None}, 1.0, 1.0),
        ({"rope_shift": 0.1, "rope_rescale": None}, 0.9, 1.1),
        ({"rope_shift": None, "rope_rescale": 2.0}, 0.5, 2.0),
        ({"rope_shift": None, "rope_rescale": None, "rope_jitter": 1.5}, 1 / 1.5, 1.5),
    ],
)
def test_training_augmentation_stays_in_its_range(settings: dict[str, Any], low: float, high: float) -> None:
    torch.manual_seed(0)
    draws = torch.stack([augment_positions(torch.ones(1, 2), tiny(**settings))[0] for _ in range(300)])
    spread = high - low
    assert low - 1e-6 <= draws.min() <= low + 0.05 * spread + 1e-6
    assert high - 0.1 * spread - 1e-6 <= draws.max() <= high + 1e-6
    same_on_both_axes = bool((draws[:, 0] == draws[:, 1]).all())
    assert same_on_both_axes == (settings.get("rope_shift") is None and "rope_jitter" not in settings)
