"""The published VECA model (arXiv 2605.12491) in PyTorch, written to be read.

Patches never attend to patches: they exchange information through a few learned core tokens.

    cores   attend to cores + patches
    patches attend to cores only

The numbered comments follow the order of the forward pass: 1 patch embedding, 2 active cores, 3 patch
positions, 4 rotary embedding, 5 blocks, 6 moving cores, 7 outputs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from veca_edge.errors import VecaError
from veca_edge.model.config import VecaConfig
from veca_edge.model.rope import augment_positions, patch_positions, rope_angles, rope_periods, rotate_pairs


class VecaOutput(NamedTuple):
    """What the model computes from a batch of images.

    Attributes:
        embedding: (B, D'), the first core: one vector for the image.
        features: (B, N, D'), one vector per patch, row by row.
    """

    embedding: Tensor
    features: Tensor


class PatchEmbed(nn.Module):  # type: ignore[misc]
    """Step 1: images (B, 3, H, W) to patch tokens (B, N, D), row by row."""

    def __init__(self, config: VecaConfig) -> None:
        super().__init__()
        size = config.patch_size
        self.proj = nn.Conv2d(config.in_channels, config.hidden_dim, kernel_size=size, stride=size)
        self.norm = nn.LayerNorm(config.hidden_dim) if config.patch_embed_norm else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.proj(images).flatten(2).transpose(1, 2))


class CoreAttention(nn.Module):  # type: ignore[misc]
    """Attention of a block: cores read everything, patches read the cores."""

    def __init__(self, config: VecaConfig) -> None:
        super().__init__()
        self.heads = config.num_heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(config.hidden_dim, config.hidden_dim))

    def forward(self, x: Tensor, angles: Tensor, cores: int) -> Tensor:
        """Args: x (B, C + N, D), angles (B, C + N, head_dim / 2), cores C. Returns (B, C + N, D)."""
        q = rotate_pairs(self._split(self.q_proj(x)), angles)
        k = rotate_pairs(self._split(self.k_proj(x)), angles)
        v = self._split(self.v_proj(x))
        core = F.scaled_dot_product_attention(q[:, :, :cores], k, v)
        patch = F.scaled_dot_product_attention(q[:, :, cores:], k[:, :, :cores], v[:, :, :cores])
        return self.out_proj(torch.cat((core, patch), dim=2).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):  # type: ignore[misc]
    """Step 5: pre-norm attention, then a pre-norm gated MLP, both residual."""

    def __init__(self, config: VecaConfig) -> None:
        super().__init__()
        self.norm_attn = nn.LayerNorm(config.hidden_dim)
        self.attn = CoreAttention(config)
        self.norm_ffn = nn.LayerNorm(config.hidden_dim)
        self.fc1 = nn.Linear(config.hidden_dim, 2 * config.ffn_dim)
        self.fc2 = nn.Linear(config.ffn_dim, config.hidden_dim)

    def forward(self, x: Tensor, angles: Tensor, cores: int, skipped: float = 0.0) -> Tensor:
        """Args: as for `CoreAttention`, and the chance with which an image skips each half of the block."""
        x = x + _skipped(self.attn(self.norm_attn(x), angles, cores), skipped)
        u, v = self.fc1(self.norm_ffn(x)).chunk(2, dim=-1)
        return x + _skipped(self.fc2(F.silu(u) * v), skipped)


def _skipped(change: Tensor, chance: float) -> Tensor:
    """A residual branch (B, T, D) without some images', the others' larger by as much: the mean stays."""
    if not chance:
        return change
    stay = torch.rand(len(change), 1, 1, device=change.device) >= chance
    return change * stay / (1 - chance)


class Veca(nn.Module):  # type: ignore[misc]
    """A VECA vision transformer; parameter names are those of published checkpoints.

    Attributes:
        stochastic_depth: in training, the chance with which an image skips each half of the last block; that of the
            blocks before it rises evenly from 0.
    """

    def __init__(self, config: VecaConfig) -> None:
        super().__init__()
        self.config = config
        self.stochastic_depth = 0.0
        size, d = config.chunk_size, config.hidden_dim
        chunks = range(config.num_cores // size)
        self.patch_embed = PatchEmbed(config)
        tokens = (nn.Parameter(0.02 * torch.randn(1, size, d)) for _ in chunks)
        self.query_token_chunks = nn.ParameterList(tokens)
        # Raw coordinates whose tanh is spread evenly over the image.
        coordinates = (torch.empty(1, size, 2).uniform_(-0.95, 0.95) for _ in chunks)
        self.qcoord_chunks = nn.ParameterList(nn.Parameter(torch.atanh(xy)) for xy in coordinates)
        self.pos_linears = nn.ModuleList(nn.Linear(d, 2) for _ in range(config.num_layers - 1))
        self.pos_alpha = nn.Parameter(torch.full((config.num_layers - 1,), 0.1))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.final_norm = nn.LayerNorm(d)
        project = config.output_dim is not None
        self.output_proj = nn.Linear(d, config.output_dim) if project else nn.Identity()

    def forward(self, images: Tensor, cores: int | None = None, kept: Tensor | None = None) -> VecaOutput:
        """Compute one embedding per image and one feature per patch.

        Args:
            images: float (B, 3, H, W), normalised; H and W are multiples of the patch size, square or not.
            cores: active cores, a multiple of the chunk size up to all that there are; None for all.
            kept: int64 (B, n), the patches of each image that are seen; None for all N.

        Returns:
            embedding (B, D') and features (B, N, D'), or (B, n, D') in the order of `kept`.

        Raises:
            VecaError: an image size or core count that the model cannot take.
        """
        count = self.config.check_cores(self.config.num_cores if cores is None else cores)
        if images.ndim != 4 or images.shape[1] != self.config.in_channels:
            raise VecaError(f"images have shape {tuple(images.shape)}, expected (batch, 3, height, width)")
        rows, columns = self.config.patch_grid(images.shape[2], images.shape[3])
        patches = take_rows(self.patch_embed(images), kept)  # 1
        tokens, raw = self.active_cores(count)  # 2
        # In the weights' precision: under autocast the blocks add to a sum that is not rounded to theirs.
        x = torch.cat((tokens.expand(len(images), -1, -1), patches.to(tokens.dtype)), dim=1)
        raw = raw.expand(len(images), -1, -1)
        positions = patch_positions(rows, columns, images.device)  # 3
        if self.training:
            positions = augment_positions(positions, self.config)
        periods = rope_periods(self.config, images.device)  # 4
        patch_angles = take_rows(rope_angles(positions, periods).expand(len(images), -1, -1), kept)
        for layer, block in enumerate(self.blocks):  # 5
            if layer:  # 6
                raw = raw + self.pos_alpha[layer - 1] * self.pos_linears[layer - 1](x[:, :count])
            core_angles = rope_angles(raw.float().tanh(), periods)
            skipped = self.stochastic_depth * layer / max(1, len(self.blocks) - 1) if self.training else 0.0
            x = block(x, torch.cat((core_angles, patch_angles), dim=1), count, skipped)
        x = self.final_norm(x)  # 7
        return VecaOutput(self.output_proj(x[:, 0]), self.output_proj(x[:, count:]))

    def active_cores(self, cores: int) -> tuple[Tensor, Tensor]:
        """The first `cores` core tokens (1, C, D) and their raw coordinates (1, C, 2)."""
        chunks = self.config.check_cores(cores) // self.config.chunk_size
        tokens = torch.cat(list(self.query_token_chunks)[:chunks], dim=1)
        return tokens, torch.cat(list(self.qcoord_chunks)[:chunks], dim=1)


class Head(nn.Module):  # type: ignore[misc]
    """A linear classifier on the embedding beside the mean patch feature.

    Args:
        feature_dim: D', the model's `config.feature_dim`.
        classes: K.
    """

    def __init__(self, feature_dim: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * feature_dim, classes)

    def forward(self, output: VecaOutput) -> Tensor:
        """Logits (B, K) of a model's output."""
        return self.linear(torch.cat((output.embedding, output.features.mean(dim=1)), dim=-1))


def take_rows(values: Tensor, rows: Tensor | None) -> Tensor:
    """Some rows of each element of a batch: values (B, N, D), rows int64 (B, n), result (B, n, D); None for all."""
    return values if rows is None else values.gather(1, rows[..., None].expand(-1, -1, values.shape[2]))


def random_veca(family_or_config: str | VecaConfig, seed: int = 0) -> Veca:
    """A model with random weights in which attention and positions matter, for benchmarks and tests.

    Args:
        family_or_config: a family name ("small", "splus", "base", "large") or a configuration.
        seed: the same seed gives the same weights.

    Returns:
        The model in eval mode, float32, on the CPU.
    """
    config = family_or_config
    if isinstance(config, str):
        config = VecaConfig.from_family(config)
    with torch.device("meta"):
        model = Veca(config)
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            _fill(name, parameter, generator)
    ready: Veca = model.eval()
    return ready


def _fill(name: str, parameter: Tensor, generator: torch.Generator) -> None:
    """Random values for one parameter, scaled by its role."""
    parameter.normal_(generator=generator)
    if "norm" in name:
        parameter.mul_(0.1).add_(1.0 if name.endswith("weight") else 0.0)
    elif name == "pos_alpha":
        parameter.mul_(0.05).add_(0.3)
    elif name.endswith("bias"):
        parameter.mul_(0.05)
    elif name.endswith("weight"):
        # 1.5 on both sides gives attention scores a deviation of about 2: neither uniform nor one-hot.
        gain = 1.5 if "q_proj" in name or "k_proj" in name else 1.0
        parameter.mul_(gain / math.sqrt(parameter[0].numel()))
