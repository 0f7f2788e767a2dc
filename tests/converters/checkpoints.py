"""Small checkpoints with random weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from veca_edge.model.checkpoint import Checkpoint, default_preprocessing
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import random_veca

# One of each kind of model that a converter must know.
KINDS: tuple[dict[str, Any], ...] = (
    {"patch_embed_norm": True},
    {"output_dim": 48},
    {"patch_size": 8, "chunk_size": 4, "num_cores": 12},
    {"chunk_size": 1, "num_cores": 4, "budgets": (1, 4)},
    {"rope_zero_from": "high", "rope_zero_fraction": 0.5},
    {"num_heads": 1, "num_layers": 1},
)


def random_checkpoint(labels: tuple[str, ...] = (), **overrides: Any) -> Checkpoint:
    """64 wide, 2 layers, 16 cores in chunks of 8, images of 64 px; with labels also a head."""
    sizes = {"hidden_dim": 64, "num_heads": 2, "num_layers": 2, "ffn_dim": 96, "num_cores": 16} | overrides
    config = VecaConfig.from_family("small", **sizes)
    state = {name: value.detach() for name, value in random_veca(config, seed=3).state_dict().items()}
    preprocessing = default_preprocessing(config.patch_size) | {"image_size": 64}
    head = None
    if labels:
        generator = torch.Generator().manual_seed(5)
        weight = torch.randn(len(labels), 2 * config.feature_dim, generator=generator) / config.feature_dim**0.5
        head = {"weight": weight, "bias": torch.randn(len(labels), generator=generator) / 10}
    return Checkpoint(config, state, head, labels, preprocessing)


def with_a_wrong_weight(checkpoint: Checkpoint) -> Checkpoint:
    """The same but for one value of one bias."""
    name = "blocks.1.fc2.bias"
    bias = checkpoint.state[name].clone()
    bias[0] += 0.05
    return replace(checkpoint, state=checkpoint.state | {name: bias})
