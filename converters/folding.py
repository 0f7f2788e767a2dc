"""A checkpoint's weights in the form that the elastic graph multiplies with.

Everything that can be done once is done here, in float64: pixel normalisation goes into the patch embedding, the
norms' gain and shift into the linears that follow them, the attention scale into the queries, `pos_alpha` into the
coordinate heads. Query and key channels are regrouped so that a rotary pair lies in two tensors (its even and its
odd channel) instead of two neighbouring columns: rotation then needs no strided slices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from converters.xnnpack import Weight, quantize_rows
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.model.rope import pair_frequencies

Precision = Literal["int8", "fp32"]
Array = NDArray[np.float64]
Float = NDArray[np.float32]


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
        bank: (M, D), all core tokens in order.
        coordinates: (M, 2), their raw positions, before tanh.
        moves: coordinate heads (2, D), one for every layer but the first.
        gain, shift: (D,) of the final norm.
        projection: (D', D) after the final norm, or None.
        head: (K, 2 D') or None.
    """

    patch: Weight
    patch_gain: Float | None
    patch_shift: Float | None
    angles: Weight
    blocks: tuple[FoldedBlock, ...]
    bank: Float
    coordinates: Float
    moves: tuple[Weight, ...]
    gain: Float
    shift: Float
    projection: Weight | None
    head: Weight | None

    @property
    def quantized_bytes(self) -> int:
        """Bytes of all matrices, scales and biases as stored."""
        weights = [self.patch, self.angles, *self.moves, self.projection, self.head]
        for block in self.blocks:
            weights += [block.even, block.odd, block.value, block.out, block.gate, block.up, block.down]
        arrays = [a for w in weights if w is not None for a in (w.data, w.bias, w.scale) if a is not None]
        return sum(a.nbytes for a in (*arrays, self.bank, self.coordinates, self.gain, self.shift))


def fold(checkpoint: Checkpoint, precision: Precision) -> FoldedModel:
    """Fold a checkpoint.

    Args:
        checkpoint: the source.
        precision: "int8" stores the matrices that do the work with one scale per output channel (activations
            are rounded row by row while the graph runs); "fp32" stores them as they are. The coordinate
            heads, the angles and the head are always float32: they are small and sensitive.

    Raises:
        VecaError: unknown precision.
    """
    if precision not in ("int8", "fp32"):
        raise VecaError(f"unknown quantization {precision!r}: use int8 or fp32")
    tensors: dict[str, Array] = {k: v.numpy().astype(np.float64) for k, v in checkpoint.state.items()}
    make = _int8 if precision == "int8" else _fp32
    config = checkpoint.config
    norm = [f"patch_embed.norm.{part}" for part in ("weight", "bias")] if config.patch_embed_norm else None
    alpha = tensors["pos_alpha"]
    moves = tuple(
        _fp32(f"moves.{i}", a * tensors[f"pos_linears.{i}.weight"], a * tensors[f"pos_linears.{i}.bias"])
        for i, a in enumerate(alpha)
    )
    projection = "output_proj.weight" in tensors
    head = checkpoint.head
    return FoldedModel(
        patch=_patch_embedding(tensors, checkpoint.preprocessing, precision),
        patch_gain=None if norm is None else tensors[norm[0]].astype(np.float32),
        patch_shift=None if norm is None else tensors[norm[1]].astype(np.float32),
        angles=_angles(checkpoint),
        blocks=tuple(_block(tensors, i, config.num_heads, make) for i in range(config.num_layers)),
        bank=_chunks(tensors, "query_token_chunks"),
        coordinates=_chunks(tensors, "qcoord_chunks"),
        moves=moves,
        gain=tensors["final_norm.weight"].astype(np.float32),
        shift=tensors["final_norm.bias"].astype(np.float32),
        projection=make("projection", tensors["output_proj.weight"], tensors["output_proj.bias"])
        if projection
        else None,
        head=None if head is None else _fp32("head", head["weight"].numpy(), head["bias"].numpy()),
    )


def _chunks(tensors: dict[str, Array], name: str) -> Float:
    count = sum(key.startswith(f"{name}.") for key in tensors)
    joined: Float = np.concatenate([tensors[f"{name}.{i}"][0] for i in range(count)]).astype(np.float32)
    return joined


def _fp32(name: str, matrix: Array, bias: Array) -> Weight:
    return Weight(name, matrix.astype(np.float32), bias.astype(np.float32))


def _int8(name: str, matrix: Array, bias: Array) -> Weight:
    data, scale = quantize_rows(matrix.astype(np.float32))
    return Weight(name, data, bias.astype(np.float32), scale)


def _patch_embedding(tensors: dict[str, Array], preprocessing: dict[str, Any], precision: Precision) -> Weight:
    """Normalisation (value / 255 - mean) / std folded into the convolution, which becomes a linear."""
    kernel = tensors["patch_embed.proj.weight"]  # (D, 3, p, p)
    mean, std = (np.asarray(preprocessing[k], np.float64) for k in ("mean", "std"))
    pixels = kernel.transpose(0, 2, 3, 1) / (255 * std)
    flat = pixels.reshape(len(kernel), -1)
    offset = np.tile(255 * mean, kernel.shape[2] * kernel.shape[3])
    if precision == "fp32":
        return _fp32("patch", flat, tensors["patch_embed.proj.bias"] - flat @ offset)
    # Pixels are far from centred: with the mean's response taken from the rounded weights, only the deviation
    # from the mean meets the rounding error.
    data, scale = quantize_rows(flat.astype(np.float32))
    rounded = data.astype(np.float64) * scale[:, None]
    bias = tensors["patch_embed.proj.bias"] - rounded @ offset
    return Weight("patch", data, bias.astype(np.float32), scale)


def _angles(checkpoint: Checkpoint) -> Weight:
    """Angle = 2 pi x / period for the first half of a head's pairs, 2 pi y / period for the second."""
    config = checkpoint.config
    pairs = pair_frequencies(config).numpy()
    return Weight("angles", np.tile(pairs, (2 * config.num_heads, 1)).astype(np.float32), None)


def _block(
    tensors: dict[str, Array], index: int, heads: int, make: Callable[[str, Array, Array], Weight]
) -> FoldedBlock:
    prefix = f"blocks.{index}"

    def after_norm(name: str, norm: str) -> tuple[Array, Array]:
        matrix, bias = tensors[f"{prefix}.{name}.weight"], tensors[f"{prefix}.{name}.bias"]
        gain, shift = tensors[f"{prefix}.{norm}.weight"], tensors[f"{prefix}.{norm}.bias"]
        return matrix * gain, bias + matrix @ shift

    def linear(name: str, matrix: Array, bias: Array) -> Weight:
        return make(f"{prefix}.{name}", matrix, bias)

    query, query_bias = after_norm("attn.q_proj", "norm_attn")
    key, key_bias = after_norm("attn.k_proj", "norm_attn")
    scale = math.sqrt(len(query) // heads)
    rows, biases = np.concatenate([query / scale, key]), np.concatenate([query_bias / scale, key_bias])
    fc1, fc1_bias = after_norm("fc1", "norm_ffn")
    half = len(fc1) // 2
    return FoldedBlock(
        even=linear("even", rows[0::2], biases[0::2]),
        odd=linear("odd", rows[1::2], biases[1::2]),
        value=linear("value", *after_norm("attn.v_proj", "norm_attn")),
        out=linear("out", tensors[f"{prefix}.attn.out_proj.weight"], tensors[f"{prefix}.attn.out_proj.bias"]),
        gate=linear("gate", fc1[:half], fc1_bias[:half]),
        up=linear("up", fc1[half:], fc1_bias[half:]),
        down=linear("down", tensors[f"{prefix}.fc2.weight"], tensors[f"{prefix}.fc2.bias"]),
    )
