"""A checkpoint's weights in the form that the elastic graph multiplies with.

Everything that can be done once is done here, in float64: pixel normalisation goes into the patch embedding, the
norms' gain and shift into the linears that follow them, the attention scale into the queries, `pos_alpha` into the
coordinate heads. Query and key channels are regrouped so that a rotary pair lies in two tensors (its even and its
odd channel) instead of two neighbouring columns: rotation then needs no strided slices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from veca_edge.converters.graph.tensors import Array, Tensors
from veca_edge.converters.graph.weights import Float, Round, Weight, nearest
from veca_edge.converters.recipes import QuantizationRecipe
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.model.rope import pair_frequencies


@dataclass(frozen=True)
class FoldedBlock:
    """One block. `even` and `odd` give (2 D / 2,) channels: the queries of all heads, then the keys."""

    even: Weight
    odd: Weight
    value: Weight
    out: Weight
    gate: Weight
    up: Weight
    down: Weight


@dataclass(frozen=True)
class FoldedModel:
    """All weights of the elastic graph; shapes as `Weight` (out, in) unless said.

    Attributes:
        patch: (D, p * p * 3) for raw pixel values 0..255 in (row, column, channel) order.
        patch_gain, patch_shift: (D,) of the norm after the patch embedding, or None.
        angles: (D, 2), rotary angle of every even query channel, then every even key channel.
        blocks: one per layer.
        core_tokens: (M, D), all of them in order.
        coordinates: (M, 2), their raw positions, before tanh.
        coordinate_heads: (2, D), one for every layer but the first.
        gain, shift: (D,) of the final norm.
        projection: (D', D) after the final norm, or None.
        head: (K, 2 D') or None.
        dense: the dense heads, named `heads.NAME`: (K k k, D').
    """

    patch: Weight
    patch_gain: Float | None
    patch_shift: Float | None
    angles: Weight
    blocks: tuple[FoldedBlock, ...]
    core_tokens: Float
    coordinates: Float
    coordinate_heads: tuple[Weight, ...]
    gain: Float
    shift: Float
    projection: Weight | None
    head: Weight | None
    dense: tuple[Weight, ...] = ()

    @property
    def quantized_bytes(self) -> int:
        """Bytes of all matrices, scales and biases as stored."""
        weights = [*linear_layers(self).values(), self.angles, *self.coordinate_heads, self.head, *self.dense]
        tables = (self.core_tokens, self.coordinates, self.gain, self.shift)
        return sum(w.stored_bytes for w in weights if w is not None) + sum(table.nbytes for table in tables)


def fold(checkpoint: Checkpoint) -> FoldedModel:
    """Fold a checkpoint; every matrix is float32."""
    tensors, config, head = Tensors(checkpoint), checkpoint.config, checkpoint.head
    gain, shift = tensors.linear("patch_embed.norm") if config.patch_embed_norm else (None, None)
    final_gain, final_shift = tensors.linear("final_norm")
    projection = _linear("projection", *tensors.linear("output_proj")) if "output_proj.weight" in tensors else None
    return FoldedModel(
        patch=_patch_embedding(tensors, checkpoint.preprocessing),
        patch_gain=None if gain is None else gain.astype(np.float32),
        patch_shift=None if shift is None else shift.astype(np.float32),
        angles=_angles(checkpoint),
        blocks=tuple(_block(tensors, index, config.num_heads) for index in range(config.num_layers)),
        core_tokens=tensors.chunks("query_token_chunks").astype(np.float32),
        coordinates=tensors.chunks("qcoord_chunks").astype(np.float32),
        coordinate_heads=tuple(
            _linear(f"coordinate_heads.{index}", *layer) for index, layer in enumerate(tensors.coordinate_heads())
        ),
        gain=final_gain.astype(np.float32),
        shift=final_shift.astype(np.float32),
        projection=projection,
        head=None if head is None else _linear("head", head["weight"].numpy(), head["bias"].numpy()),
        dense=tuple(Weight(f"heads.{dense.task.name}", dense.weight, dense.bias) for dense in checkpoint.dense),
    )


def linear_layers(folded: FoldedModel) -> dict[str, Weight]:
    """The layers that do the work, by their names in recipes, in the order of their use.

    The coordinate heads, the angles and the heads are not among them: they are small and sensitive.
    """
    layers = [folded.patch]
    for block in folded.blocks:
        layers += [getattr(block, part.name) for part in fields(block)]
    layers += [] if folded.projection is None else [folded.projection]
    return {layer.name: layer for layer in layers}


def quantize(folded: FoldedModel, recipe: QuantizationRecipe, round: Round = nearest) -> FoldedModel:
    """Give every layer that a recipe can name its precision; activations are rounded while the graph runs.

    Args:
        folded: what `fold` made.
        recipe: which precision each layer gets.
        round: makes a layer's float32 matrix one of that precision.

    Raises:
        VecaError: the recipe names a layer that this model does not have.
    """
    recipe.check(linear_layers(folded))

    def rounded(layer: Weight) -> Weight:
        return round(layer, recipe.precision_of(layer.name))

    return replace(
        folded,
        patch=rounded(folded.patch),
        blocks=tuple(
            FoldedBlock(**{part.name: rounded(getattr(block, part.name)) for part in fields(block)})
            for block in folded.blocks
        ),
        projection=None if folded.projection is None else rounded(folded.projection),
    )


def _linear(name: str, matrix: Array, bias: Array) -> Weight:
    return Weight(name, matrix.astype(np.float32), bias.astype(np.float32))


def _patch_embedding(tensors: Tensors, preprocessing: dict[str, Any]) -> Weight:
    """Normalisation (value / 255 - mean) / std folded into the convolution, which becomes a linear."""
    kernel, bias = tensors.linear("patch_embed.proj")  # (D, 3, p, p), (D,)
    mean, std = (np.asarray(preprocessing[k], np.float64) for k in ("mean", "std"))
    pixels = kernel.transpose(0, 2, 3, 1) / (255 * std)
    flat = pixels.reshape(len(kernel), -1)
    offset = np.tile(255 * mean, kernel.shape[2] * kernel.shape[3])
    embedding = _linear("patch", flat, bias - flat @ offset)
    # Pixels are far from centred: as rounding keeps the mean's response, only the deviation from the mean meets
    # the rounding error.
    return replace(embedding, centre=offset.astype(np.float32))


def _angles(checkpoint: Checkpoint) -> Weight:
    """Angle = 2 pi x / period for the first half of a head's pairs, 2 pi y / period for the second."""
    config = checkpoint.config
    pairs = pair_frequencies(config).numpy()
    return Weight("angles", np.tile(pairs, (2 * config.num_heads, 1)).astype(np.float32), None)


def _block(tensors: Tensors, index: int, heads: int) -> FoldedBlock:
    prefix = f"blocks.{index}"

    def linear(name: str, matrix: Array, bias: Array) -> Weight:
        return _linear(f"{prefix}.{name}", matrix, bias)

    def attention(name: str) -> tuple[Array, Array]:
        return tensors.after_norm(f"{prefix}.attn.{name}_proj", f"{prefix}.norm_attn")

    (query, query_bias), (key, key_bias) = attention("q"), attention("k")
    scale = math.sqrt(len(query) // heads)
    rows, biases = np.concatenate([query / scale, key]), np.concatenate([query_bias / scale, key_bias])
    fc1, fc1_bias = tensors.after_norm(f"{prefix}.fc1", f"{prefix}.norm_ffn")
    half = len(fc1) // 2
    return FoldedBlock(
        even=linear("even", rows[0::2], biases[0::2]),
        odd=linear("odd", rows[1::2], biases[1::2]),
        value=linear("value", *attention("v")),
        out=linear("out", *tensors.linear(f"{prefix}.attn.out_proj")),
        gate=linear("gate", fc1[:half], fc1_bias[:half]),
        up=linear("up", fc1[half:], fc1_bias[half:]),
        down=linear("down", *tensors.linear(f"{prefix}.fc2")),
    )
