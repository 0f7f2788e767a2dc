"""Sizes of a VECA model, from a published configuration and the weights' shapes. No torch here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from veca_edge.errors import VecaError, shown
from veca_edge.modelfile.manifest import LIMITS

Shapes = Mapping[str, tuple[int, ...]]

MLP_RATIO = 2.66667
ROPE_BASE = 100.0
PUBLISHED_BUDGETS = (8, 16, 24, 32, 40, 48, 56, 64)
PUBLISHED_BUDGET_WEIGHTS = (1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0)

# The published family sizes.
FAMILIES: dict[str, dict[str, Any]] = {
    "small": {"hidden_dim": 384, "num_heads": 6, "num_layers": 12, "mlp_ratio": MLP_RATIO},
    "splus": {"hidden_dim": 384, "num_heads": 6, "num_layers": 12, "mlp_ratio": 4.0},
    "base": {"hidden_dim": 768, "num_heads": 12, "num_layers": 12, "mlp_ratio": MLP_RATIO},
    "large": {"hidden_dim": 1024, "num_heads": 16, "num_layers": 24, "mlp_ratio": MLP_RATIO},
}
CUSTOM = "custom"


@dataclass(frozen=True)
class VecaConfig:
    """What fixes a VECA model's shape and arithmetic; constructing an impossible one raises VecaError.

    Attributes:
        family: "small", "splus", "base", "large", or "custom"; a name only, the sizes below are what counts.
        hidden_dim: width D of every token.
        num_heads: attention heads; D / num_heads is a multiple of 4 (rotary pairs in two dimensions).
        num_layers: blocks.
        ffn_dim: hidden width of the gated MLP, `int(D * mlp_ratio)`; `fc1` is twice as wide.
        patch_size: side of a square patch in pixels.
        in_channels: 3; this SDK reads RGB models.
        num_cores: ordered core tokens M that the model has.
        chunk_size: cores come in chunks of this many.
        budgets: trained core counts, ascending multiples of the chunk size.
        budget_weights: how often training draws each budget, relative to each other.
        patch_embed_norm: LayerNorm after the patch embedding.
        rope_zero_fraction: fraction (0..1) of the rotary frequencies that is switched off.
        rope_zero_from: which end is switched off, "low" or "high" frequencies.
        rope_base: base of the rotary periods.
        output_dim: width of the final projection, or None for no projection.
        rope_shift: training-time shift of patch positions, 0 or more, or None.
        rope_jitter: training-time per-axis scaling of patch positions, 1 or more, or None.
        rope_rescale: training-time common scaling of patch positions, 1 or more, or None.
    """

    family: str
    hidden_dim: int
    num_heads: int
    num_layers: int
    ffn_dim: int
    patch_size: int = 16
    in_channels: int = 3
    num_cores: int = 64
    chunk_size: int = 8
    budgets: tuple[int, ...] = PUBLISHED_BUDGETS
    budget_weights: tuple[float, ...] = PUBLISHED_BUDGET_WEIGHTS
    patch_embed_norm: bool = False
    rope_zero_fraction: float = 0.125
    rope_zero_from: str = "low"
    rope_base: float = ROPE_BASE
    output_dim: int | None = None
    rope_shift: float | None = 0.08
    rope_jitter: float | None = None
    rope_rescale: float | None = 2.0

    def __post_init__(self) -> None:
        _check_sizes(self)
        _check_budgets(self)
        _check_rope(self)

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_dim // self.num_heads

    @property
    def feature_dim(self) -> int:
        """Width D' of the embedding and of the patch features."""
        return self.output_dim or self.hidden_dim

    def check_cores(self, cores: int) -> int:
        """Return `cores` if a model can run with that many, else raise VecaError.

        Args:
            cores: a multiple of the chunk size, from one chunk to all cores.
        """
        if cores % self.chunk_size or not 1 <= cores <= self.num_cores:
            step, last = self.chunk_size, self.num_cores
            raise VecaError(f"{shown(cores)} cores: use a multiple of {step} from {step} to {last}")
        return cores

    def patch_grid(self, height: int, width: int) -> tuple[int, int]:
        """Patches (rows, columns) of an image of that many pixels; VecaError unless it divides evenly."""
        size = self.patch_size
        if height < size or width < size or height % size or width % size:
            raise VecaError(f"image of {width} x {height} pixels: both sides must be multiples of {size}")
        return height // size, width // size

    @classmethod
    def from_family(cls, name: str, **overrides: Any) -> VecaConfig:
        """The published sizes of a family, with any field of this class overridden.

        Raises:
            VecaError: unknown family or field, or impossible sizes.
        """
        if name not in FAMILIES:
            raise VecaError(f"unknown model family {shown(name)}: use one of {', '.join(FAMILIES)}")
        unknown = set(overrides) - {field.name for field in fields(cls)}
        if unknown:
            raise VecaError(f"unknown model setting {shown(min(unknown))}")
        sizes = dict(FAMILIES[name])
        ratio = sizes.pop("mlp_ratio")
        values = {"family": name, **sizes, **overrides}
        values.setdefault("ffn_dim", int(values["hidden_dim"] * ratio))
        if {"num_cores", "chunk_size"} & set(overrides) and "budgets" not in overrides:
            budgets = default_budgets(values.get("num_cores", 64), values.get("chunk_size", 8))
            values.update(budgets=budgets)
        if "budget_weights" not in overrides and "budgets" in values:
            values["budget_weights"] = default_weights(values["budgets"])
        values["family"] = family_of(values, name)
        return cls(**values)

    @classmethod
    def from_published(cls, config: Mapping[str, Any], shapes: Shapes) -> VecaConfig:
        """Read the published configuration names, with the weights' shapes as the final word.

        Args:
            config: the checkpoint's `config`, or an empty dictionary for a bare state dict.
            shapes: shape of every tensor of the state dict, prefixes removed.

        Raises:
            VecaError: sizes that cannot be found anywhere, or that are not valid.
        """
        from veca_edge.model.published import read_published

        return cls(**read_published(config, shapes))

    def to_published(self) -> dict[str, Any]:
        """This model's settings under the published names (model settings only, none of training's)."""
        from veca_edge.model.published import write_published

        return write_published(self)


def family_of(sizes: Mapping[str, Any], named: str | None = None) -> str:
    """The family with exactly these sizes (the named one first), else "custom"."""
    for name in (named, *FAMILIES):
        if name is None:
            continue
        table = FAMILIES[name]
        same = all(sizes[key] == table[key] for key in ("hidden_dim", "num_heads", "num_layers"))
        if same and sizes["ffn_dim"] == int(table["hidden_dim"] * table["mlp_ratio"]):
            return name
    return CUSTOM


def default_budgets(num_cores: int, chunk_size: int) -> tuple[int, ...]:
    """Every core count that `num_cores` core tokens in chunks of `chunk_size` can run with."""
    return tuple(range(chunk_size, num_cores + 1, chunk_size)) if chunk_size > 0 else ()


def default_weights(budgets: tuple[int, ...]) -> tuple[float, ...]:
    """The published draw weights for the published budgets, equal weights for any others."""
    if tuple(budgets) == PUBLISHED_BUDGETS:
        return PUBLISHED_BUDGET_WEIGHTS
    return (1.0,) * len(budgets)


def expected_shapes(config: VecaConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor in the published state dict of such a model."""
    d, f, p = config.hidden_dim, config.ffn_dim, config.patch_size
    shapes: dict[str, tuple[int, ...]] = {
        "pos_alpha": (config.num_layers - 1,),
        "patch_embed.proj.weight": (d, config.in_channels, p, p),
        "patch_embed.proj.bias": (d,),
    }
    if config.patch_embed_norm:
        shapes |= _affine("patch_embed.norm", (d,))
    for i in range(config.num_cores // config.chunk_size):
        shapes[f"query_token_chunks.{i}"] = (1, config.chunk_size, d)
        shapes[f"qcoord_chunks.{i}"] = (1, config.chunk_size, 2)
    for i in range(config.num_layers - 1):
        shapes |= _affine(f"pos_linears.{i}", (2, d))
    for i in range(config.num_layers):
        shapes |= _affine(f"blocks.{i}.norm_attn", (d,))
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _affine(f"blocks.{i}.attn.{name}", (d, d))
        shapes |= _affine(f"blocks.{i}.norm_ffn", (d,))
        shapes |= _affine(f"blocks.{i}.fc1", (2 * f, d))
        shapes |= _affine(f"blocks.{i}.fc2", (d, f))
    shapes |= _affine("final_norm", (d,))
    if config.output_dim is not None:
        shapes |= _affine("output_proj", (config.output_dim, d))
    return shapes


def parameter_count(config: VecaConfig) -> int:
    """Number of weights of such a model, without a head."""
    return sum(math.prod(shape) for shape in expected_shapes(config).values())


def count_indexed(names: Shapes, pattern: str) -> int:
    """One more than the highest index that `pattern` (its group) finds among the names; 0 if none."""
    found = (re.match(pattern, name) for name in names)
    return max((int(match.group(1)) + 1 for match in found if match), default=0)


def _affine(name: str, weight: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def _check_sizes(config: VecaConfig) -> None:
    for name, limit in LIMITS.items():
        value = getattr(config, name)
        if name == "output_dim" and value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
            raise VecaError(f"{name} is {shown(value)}, expected a whole number from 1 to {limit}")
    if config.in_channels != 3:
        raise VecaError(f"in_channels is {shown(config.in_channels)}: only RGB models (3) can be used")
    if config.hidden_dim % config.num_heads:
        raise VecaError(f"hidden_dim {config.hidden_dim} is not divisible by num_heads {config.num_heads}")
    if config.head_dim % 4:
        raise VecaError(f"each head has {config.head_dim} channels: rotary positions need a multiple of 4")
    if config.num_cores % config.chunk_size:
        raise VecaError(f"{config.num_cores} cores do not divide into chunks of {config.chunk_size}")


def _check_budgets(config: VecaConfig) -> None:
    if not config.budgets or list(config.budgets) != sorted(set(config.budgets)):
        raise VecaError(f"budgets are {shown(config.budgets)}: give core counts in rising order")
    for budget in config.budgets:
        try:
            config.check_cores(budget)
        except VecaError as error:
            raise VecaError(f"budgets: {error}") from error
    weights = config.budget_weights
    if len(weights) != len(config.budgets):
        raise VecaError(f"{len(weights)} budget weights for {len(config.budgets)} budgets")
    if not all(math.isfinite(w) and w >= 0 for w in weights) or sum(weights) <= 0:
        raise VecaError(f"budget weights are {shown(weights)}: give numbers of 0 or more, not all 0")


def _check_rope(config: VecaConfig) -> None:
    if not 0.0 <= config.rope_zero_fraction <= 1.0:
        raise VecaError(f"rope_zero_fraction is {config.rope_zero_fraction}, expected 0 to 1")
    if not isinstance(config.rope_zero_from, str) or config.rope_zero_from not in ("low", "high"):
        raise VecaError(f"rope_zero_from is {shown(config.rope_zero_from)}, expected 'low' or 'high'")
    if not (math.isfinite(config.rope_base) and config.rope_base > 0):
        raise VecaError(f"rope_base is {config.rope_base}, expected a number above 0")
    for name, least in (("rope_shift", 0.0), ("rope_jitter", 1.0), ("rope_rescale", 1.0)):
        value = getattr(config, name)
        if value is not None and not (math.isfinite(value) and value >= least):
            raise VecaError(f"{name} is {value}, expected {least:g} or more")
