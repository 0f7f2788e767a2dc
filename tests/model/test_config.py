from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from veca_edge.errors import VecaError
from veca_edge.model.config import FAMILIES, VecaConfig, expected_shapes, parameter_count

SMALL = VecaConfig.from_family("small")


@pytest.mark.parametrize(("family", "millions"), [("small", 21.63), ("base", 85.73)])
def test_parameter_counts_are_the_published_ones(family: str, millions: float) -> None:
    assert round(parameter_count(VecaConfig.from_family(family)) / 1e6, 2) == millions


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("extra", [{}, {"output_dim": 640, "patch_embed_norm": True}, {"rope_base": 50.0}])
def test_published_settings_round_trip(family: str, extra: dict[str, Any]) -> None:
    config = VecaConfig.from_family(family, **extra)
    published = config.to_published()
    assert VecaConfig.from_published(published, expected_shapes(config)) == config
    assert VecaConfig.from_published(published, {}) == config


def test_odd_mlp_width_survives_the_ratio() -> None:
    for ffn in range(1, 400):
        config = replace(SMALL, ffn_dim=ffn, family="custom")
        assert VecaConfig.from_published(config.to_published(), {}).ffn_dim == ffn


def test_sizes_in_the_configuration_win_over_the_family() -> None:
    config = VecaConfig.from_published({"model_family": "base", "hidden_dim": 192, "num_heads": 3}, {})
    assert (config.hidden_dim, config.num_heads, config.num_layers, config.ffn_dim) == (192, 3, 12, 512)
    assert config.family == "custom"


def test_shapes_win_over_the_configuration() -> None:
    tiny = VecaConfig.from_family("small", hidden_dim=128, num_heads=2, num_layers=3, num_cores=32)
    claims = {
        "model_family": "large",
        "hidden_dim": 999,
        "num_layers": 40,
        "num_query_tokens": 8,
        "num_heads": 2,
    }
    config = VecaConfig.from_published(claims, expected_shapes(tiny))
    sizes = (config.hidden_dim, config.num_layers, config.num_cores, config.ffn_dim, config.head_dim)
    assert sizes == (128, 3, 32, tiny.ffn_dim, 64)


@pytest.mark.parametrize(("hidden", "heads"), [(384, 6), (768, 12), (1024, 16), (192, 3), (64, 1)])
def test_heads_of_a_bare_state_dict(hidden: int, heads: int) -> None:
    shapes = expected_shapes(VecaConfig.from_family("small", hidden_dim=hidden, num_heads=1))
    assert VecaConfig.from_published({}, shapes).num_heads == heads


def test_older_chunk_name() -> None:
    assert VecaConfig.from_published({"model_family": "small", "matryoshka_chunk_size": 16,
                                      "nested_budgets": [16, 64]}, {}).chunk_size == 16  # fmt: skip


@pytest.mark.parametrize("cores", [8, 16, 56, 64])
def test_check_cores_accepts(cores: int) -> None:
    assert SMALL.check_cores(cores) == cores


@pytest.mark.parametrize("cores", [-8, 0, 1, 12, 72])
def test_check_cores_refuses(cores: int) -> None:
    with pytest.raises(VecaError, match=rf"{cores} cores: use a multiple of 8 from 8 to 64"):
        SMALL.check_cores(cores)


@pytest.mark.parametrize(
    ("height", "width", "grid"),
    [
        (256, 256, (16, 16)),
        (96, 160, (6, 10)),
        (16, 16, (1, 1)),
        (250, 256, None),
        (0, 16, None),
        (8, 8, None),
    ],
)
def test_patch_grid(height: int, width: int, grid: tuple[int, int] | None) -> None:
    if grid is not None:
        assert SMALL.patch_grid(height, width) == grid
        return
    with pytest.raises(VecaError, match="multiples of 16"):
        SMALL.patch_grid(height, width)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_dim": 100}, "hidden_dim 100 is not divisible by num_heads 6"),
        ({"hidden_dim": 36}, "each head has 6 channels"),
        ({"hidden_dim": 10**9}, "hidden_dim is 1000000000, expected"),
        ({"num_layers": 0}, "num_layers is 0"),
        ({"num_layers": 10**6}, "num_layers is 1000000"),
        ({"in_channels": 4}, "only RGB"),
        ({"num_cores": 60}, "do not divide into chunks of 8"),
        ({"budgets": (8, 12)}, "budgets: 12 cores"),
        ({"budgets": (16, 8)}, "rising order"),
        ({"budgets": ()}, "rising order"),
        ({"budget_weights": (1.0,)}, "1 budget weights for 8 budgets"),
        ({"budget_weights": (0.0,) * 8}, "not all 0"),
        ({"budget_weights": (float("nan"),) * 8}, "budget weights"),
        ({"rope_zero_fraction": 1.5}, "rope_zero_fraction is 1.5"),
        ({"rope_zero_from": "middle"}, "'low' or 'high'"),
        ({"rope_base": 0.0}, "rope_base"),
        ({"rope_shift": -1.0}, "rope_shift"),
        ({"rope_rescale": float("nan")}, "rope_rescale"),
    ],
)
def test_impossible_settings_are_refused(changes: Any, message: str) -> None:
    with pytest.raises(VecaError, match=message):
        replace(SMALL, **changes)


@pytest.mark.parametrize(
    ("published", "message"),
    [
        ({}, "hidden_dim is unknown"),
        ({"model_family": "small", "num_heads": "6"}, "num_heads is '6', expected a whole number"),
        ({"model_family": "small", "mlp_ratio": [4]}, "mlp_ratio is .* expected a number"),
        ({"model_family": "small", "mlp_ratio": float("nan")}, "mlp_ratio is nan, expected a number"),
        ({"model_family": "small", "mlp_ratio": float("inf")}, "mlp_ratio is inf, expected a number"),
        ({"model_family": "small", "num_query_tokens": 10**12}, "num_cores is 1000000000000"),
        ({"model_family": "small", "nested_budgets": "8,16"}, "expected a list of numbers"),
        ({"model_family": "small", "nested_budgets": (8, 128)}, "budgets: 128 cores"),
        ({"model_family": ["small"]}, "hidden_dim is unknown"),
    ],
)
def test_nonsense_in_a_published_configuration(published: Any, message: str) -> None:
    with pytest.raises(VecaError, match=message):
        VecaConfig.from_published(published, {})


def test_unknown_family_and_unknown_setting() -> None:
    with pytest.raises(VecaError, match="unknown model family 'huge': use one of small"):
        VecaConfig.from_family("huge")
    with pytest.raises(VecaError, match="unknown model setting 'depth'"):
        VecaConfig.from_family("small", depth=3)


def test_sizes_and_cost_work_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from veca_edge.model.config import VecaConfig\n"
        "from veca_edge.model.flops import model_gflops\n"
        "config = VecaConfig.from_published({'model_family': 'small'}, {})\n"
        "assert model_gflops(config, 256, 64) > 1\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
