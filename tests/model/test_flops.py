from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from veca_edge.errors import VecaError
from veca_edge.model.config import VecaConfig
from veca_edge.model.flops import attention_flops, model_gflops
from veca_edge.model.veca import random_veca

SIZES = (256, 384, 512, 768, 1024)
# The published numbers, to all their digits, at 64 cores.
ELASTIC = {
    "small": (0.434110464, 0.874512384, 1.491075072, 3.252682752, 5.718933504),
    "base": (1.623195648, 3.258974208, 5.549064192, 12.092178432, 21.252538368),
    "large": (2.835349504, 5.687476224, 9.680453632, 21.088960512, 37.060870144),
}


@pytest.mark.parametrize("family", ELASTIC)
def test_attention_cost_is_the_published_one(family: str) -> None:
    config = VecaConfig.from_family(family)
    assert tuple(attention_flops(config, (size // 16) ** 2, 64) / 1e9 for size in SIZES) == ELASTIC[family]


@pytest.mark.parametrize("output_dim", [None, 24])
@pytest.mark.parametrize(("hw", "cores"), [((64, 64), 8), ((32, 96), 24)])
def test_model_cost_is_what_torch_counts(hw: tuple[int, int], cores: int, output_dim: int | None) -> None:
    config = VecaConfig.from_family(
        "small", hidden_dim=32, num_heads=2, num_layers=3, num_cores=32, output_dim=output_dim
    )
    model = random_veca(config)
    # The counter knows the plain form of attention, not the CPU's fused one.
    plain = sdpa_kernel(SDPBackend.MATH)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain:
        model(torch.zeros(1, 3, *hw), cores)
    assert model_gflops(config, hw, cores) == pytest.approx(counter.get_total_flops() / 1e9, rel=1e-12)


def test_head_costs_one_product_over_both_outputs() -> None:
    config = VecaConfig.from_family("small")
    extra = model_gflops(config, 256, 64, head_classes=1000) - model_gflops(config, 256, 64)
    assert extra == pytest.approx(2 * 768 * 1000 / 1e9)


def test_cost_refuses_what_the_model_refuses() -> None:
    config = VecaConfig.from_family("small")
    with pytest.raises(VecaError, match="multiples of 16"):
        model_gflops(config, 250, 64)
    with pytest.raises(VecaError, match="12 cores"):
        model_gflops(config, 256, 12)
