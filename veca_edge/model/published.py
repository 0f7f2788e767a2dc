"""Translation between the published configuration names and `VecaConfig`. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from veca_edge.errors import VecaError, shown
from veca_edge.model.config import (
    FAMILIES,
    MLP_RATIO,
    ROPE_BASE,
    Shapes,
    count_indexed,
    default_budgets,
    default_weights,
    family_of,
)
from veca_edge.modelfile.manifest import LIMITS
from veca_edge.numbers import finite

if TYPE_CHECKING:
    from veca_edge.model.config import VecaConfig


def read_published(config: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """Field values of `VecaConfig` from a published configuration and the weights' shapes (which win).

    Raises:
        VecaError: a size that is found nowhere, or a setting of the wrong type.
    """
    reader = _Reader(config, shapes)
    values = {
        **_widths(reader),
        **_core_tokens(reader),
        **_rope(reader),
        "patch_embed_norm": reader.flag("patch_embed_use_ln") or "patch_embed.norm.weight" in shapes,
    }
    values["family"] = family_of(values, reader.family)
    return values


def write_published(config: VecaConfig) -> dict[str, Any]:
    """The published names and values of a model's settings; `read_published` gives the same model back."""
    published = {
        # Published code has no family "custom"; the sizes below win over any family's.
        "model_family": config.family if config.family in FAMILIES else "small",
        "num_query_tokens": config.num_cores,
        "hidden_dim": config.hidden_dim,
        "num_heads": config.num_heads,
        "num_layers": config.num_layers,
        "mlp_ratio": _mlp_ratio(config.hidden_dim, config.ffn_dim),
        "patch_size": config.patch_size,
        "in_channels": config.in_channels,
        "patch_embed_use_ln": config.patch_embed_norm,
        "rope_shift_coords": config.rope_shift,
        "rope_jitter_coords": config.rope_jitter,
        "rope_rescale_coords": config.rope_rescale,
        "rope_p_zero_freqs": config.rope_zero_fraction,
        "rope_zero_freqs_from": config.rope_zero_from,
        "nested_chunk_size": config.chunk_size,
        "nested_budgets": config.budgets,
        "nested_budget_weights": config.budget_weights,
        "distill_output_dim": config.output_dim,
    }
    if config.rope_base != ROPE_BASE:
        published["rope_base"] = config.rope_base
    return published


class _Reader:
    """Looks a size up in the shapes first, then the configuration, then the family's table."""

    def __init__(self, config: Mapping[str, Any], shapes: Shapes) -> None:
        self.config = config
        self.shapes = shapes
        name = config.get("model_family")
        self.family = name if isinstance(name, str) and name in FAMILIES else None
        self.table = FAMILIES[self.family] if self.family else {}

    def axis(self, tensor: str, axis: int) -> int | None:
        shape = self.shapes.get(tensor, ())
        return shape[axis] if axis < len(shape) else None

    def size(self, name: str, shape_value: int | None, default: int | None = None) -> int:
        if shape_value is not None:
            return shape_value
        value = self.config.get(name)
        if value is None:
            value = self.table.get(name, default)
        if value is None:
            raise VecaError(f"{name} is unknown: the weights for it are missing; use a complete checkpoint")
        if not isinstance(value, int) or isinstance(value, bool):
            raise VecaError(f"configuration: {name} is {shown(value)}, expected a whole number")
        return value

    def flag(self, name: str) -> bool:
        value = self.config.get(name)
        if not isinstance(value, (bool, int, type(None))):
            raise VecaError(f"configuration: {name} is {shown(value)}, expected true or false")
        return bool(value)

    def number(self, name: str, default: float | None) -> float | None:
        if name not in self.config:
            return default
        value = self.config[name]
        number = finite(value)
        if value is not None and number is None:
            raise VecaError(f"configuration: {name} is {shown(value)}, expected a number")
        return number


def _widths(reader: _Reader) -> dict[str, Any]:
    hidden = reader.size("hidden_dim", reader.axis("patch_embed.proj.weight", 0))
    layers = count_indexed(reader.shapes, r"blocks\.(\d{1,9})\.") or None
    ffn = reader.axis("blocks.0.fc2.weight", 1)
    if ffn is None:
        ratio = reader.number("mlp_ratio", reader.table.get("mlp_ratio", MLP_RATIO))
        # Bounded before the product: a huge ratio has no integer.
        ffn = int(hidden * min(max(ratio or 0.0, 0.0), LIMITS["ffn_dim"]))
    output = reader.axis("output_proj.weight", 0)
    if output is None and reader.config.get("distill_output_dim") is not None:
        wanted = reader.size("distill_output_dim", None)
        output = wanted if wanted != hidden else None
    return {
        "hidden_dim": hidden,
        "num_heads": _heads(reader, hidden),
        "num_layers": reader.size("num_layers", layers),
        "ffn_dim": ffn,
        "patch_size": reader.size("patch_size", reader.axis("patch_embed.proj.weight", 2), 16),
        "in_channels": reader.size("in_channels", reader.axis("patch_embed.proj.weight", 1), 3),
        "output_dim": output,
    }


def _heads(reader: _Reader, hidden: int) -> int:
    """The one size that no tensor shows: configuration, else a family of this width, else 64 channels."""
    if reader.config.get("num_heads") is not None:
        return reader.size("num_heads", None)
    for table in (reader.table, *FAMILIES.values()):
        if table.get("hidden_dim") == hidden:
            return int(table["num_heads"])
    return max(hidden // 64, 1)


def _core_tokens(reader: _Reader) -> dict[str, Any]:
    # Older files use the second name.
    name = "nested_chunk_size" if "nested_chunk_size" in reader.config else "matryoshka_chunk_size"
    chunk = reader.size(name, reader.axis("query_token_chunks.0", 1), 8)
    chunks = count_indexed(reader.shapes, r"query_token_chunks\.(\d{1,9})$")
    cores = reader.size("num_query_tokens", chunk * chunks or None, 64)
    if cores > LIMITS["num_cores"]:
        raise VecaError(f"num_cores is {cores}, expected a whole number from 1 to {LIMITS['num_cores']}")
    budgets = _numbers(reader, "nested_budgets", int) or default_budgets(cores, chunk)
    weights = _numbers(reader, "nested_budget_weights", float) or default_weights(budgets)
    return {
        "num_cores": cores,
        "chunk_size": chunk,
        "budgets": budgets,
        "budget_weights": tuple(float(w) for w in weights),
    }


def _numbers(reader: _Reader, name: str, kind: type) -> tuple[Any, ...]:
    value = reader.config.get(name)
    if value is None:
        return ()
    allowed = (int,) if kind is int else (int, float)
    if not isinstance(value, (list, tuple)) or not all(
        isinstance(item, allowed) and finite(item) is not None for item in value
    ):
        raise VecaError(f"configuration: {name} is {shown(value)}, expected a list of numbers")
    return tuple(value)


def _rope(reader: _Reader) -> dict[str, Any]:
    zero = reader.number("rope_p_zero_freqs", 0.125)
    base = reader.number("rope_base", ROPE_BASE)
    return {
        "rope_zero_fraction": 0.0 if zero is None else zero,
        "rope_zero_from": reader.config.get("rope_zero_freqs_from", "low"),
        "rope_base": ROPE_BASE if base is None else base,
        "rope_shift": reader.number("rope_shift_coords", None),
        "rope_jitter": reader.number("rope_jitter_coords", None),
        "rope_rescale": reader.number("rope_rescale_coords", None),
    }


def _mlp_ratio(hidden: int, ffn: int) -> float:
    """A ratio with `int(hidden * ratio) == ffn`, the published one where it fits."""
    for ratio in (MLP_RATIO, ffn / hidden):
        if int(hidden * ratio) == ffn:
            return ratio
    # The quotient can round to just below the whole number; half a unit higher is safe.
    return (ffn + 0.5) / hidden
