"""A checkpoint's weights as a Core ML package stores them: folded once, compressed once, shared by every function.

Folded here, in float64: the norms' gain and shift into the linears that follow them, `pos_alpha` into the
coordinate heads, the three projections of attention into one matrix. Query and key channels are regrouped so that a
head's even channels come first and its odd ones after them: rotation then swaps two halves instead of neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from veca_edge.converters.graph.tensors import Array, Tensors
from veca_edge.converters.graph.weights import GROUP, round_groups
from veca_edge.converters.recipes import Compression, Precision, QuantizationRecipe
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.model.rope import pair_frequencies
from veca_edge.modelfile.heads import DenseHead

SHARERS = 16  # output channels that share a palette
LLOYD_STEPS = 15
# The layers of a recipe that each matrix of a block joins.
JOINED = {"qkv": ("even", "odd", "value"), "out": ("out",), "up": ("gate", "up"), "down": ("down",)}
FINENESS: tuple[Precision, ...] = ("int4", "int8", "fp32")

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Plain:
    """Values as they are: float32, written in the precision of the package."""

    data: Float


@dataclass(frozen=True)
class Scaled:
    """Value = data * scale.

    Attributes:
        data: int8 (out, ...), of which `bits` are used.
        scale: float16 of the same rank; a dimension of 1 or fewer entries than `data` means shared scales.
        bits: 8 or 4.
    """

    data: NDArray[np.int8]
    scale: NDArray[np.float16]
    bits: int


@dataclass(frozen=True)
class Palette:
    """Value = table[group of the output channel, 0, index, 0].

    Attributes:
        indices: uint8 (out, in), below 2 ** bits.
        table: float16 (groups, 1, 2 ** bits, 1).
        bits: 6 or 4.
    """

    indices: NDArray[np.uint8]
    table: NDArray[np.float16]
    bits: int


Stored: TypeAlias = Plain | Scaled | Palette


@dataclass(frozen=True)
class Matrix:
    """A linear layer or convolution: its name, weights (out, in, ...) and bias (out,)."""

    name: str
    weight: Stored
    bias: Float


@dataclass(frozen=True)
class Norm:
    """Gain and shift (D,) of a LayerNorm that no linear follows."""

    gain: Float
    shift: Float


@dataclass(frozen=True)
class Block:
    """One block: `qkv` (3 D, D), `out` (D, D), `up` (2 F, D) with the gate first, `down` (D, F)."""

    qkv: Matrix
    out: Matrix
    up: Matrix
    down: Matrix


@dataclass(frozen=True)
class PackageWeights:
    """All weights of the Core ML graph.

    Attributes:
        centre: (1, 3, 1, 1), mean pixel value 0..255 of each channel.
        spread: (1, 3, 1, 1), what a centred pixel value is multiplied with.
        patch: convolution (D, 3, p, p).
        patch_norm: of the norm after it, or None.
        core_tokens: (1, M, D), all of them in order.
        coordinates: (1, M, 2), their raw positions, before tanh.
        angles: (hd, 2), minus the angle of every channel pair, then plus: their cosine is [cos, cos], their sine
            [-sin, sin].
        blocks: one per layer.
        coordinate_heads: (2, D), one for every layer but the first.
        final: norm of the outputs.
        projection: (D', D) after it, or None.
        head: (K, 2 D') or None.
        dense: the dense heads by name, (K k k, D').
    """

    centre: Float
    spread: Float
    patch: Matrix
    patch_norm: Norm | None
    core_tokens: Float
    coordinates: Float
    angles: Float
    blocks: tuple[Block, ...]
    coordinate_heads: tuple[Matrix, ...]
    final: Norm
    projection: Matrix | None
    head: Matrix | None
    dense: Mapping[str, Matrix]


def check_compression(name: str) -> Compression:
    """`name` if it is a known one, else VecaError."""
    if name not in get_args(Compression):
        raise VecaError(f"unknown quantization {name!r}: use {', '.join(get_args(Compression))}")
    return name  # type: ignore[return-value]


def package_weights(
    checkpoint: Checkpoint,
    compression: Compression,
    report: Callable[[float], None] = lambda _: None,
    recipe: QuantizationRecipe | None = None,
) -> PackageWeights:
    """Fold and compress a checkpoint.

    Args:
        checkpoint: the source.
        compression: how the matrices of the blocks and the projection are stored. The patch embedding is int8 where
            they have fewer bits: it sees raw pixels and is small. Coordinate heads, angles, core tokens and the
            head are never compressed: they are small and sensitive.
        report: called with how much is done, 0..1.
        recipe: if there is one, it says how the matrices and the patch embedding are stored: "fp32" as plain values
            in the package's precision. A matrix that joins several layers gets the finest of their precisions.

    Raises:
        VecaError: an unknown compression, or the recipe names a layer that this model does not have.
    """
    folder = _Folder(checkpoint, check_compression(compression), recipe)
    config, preprocessing, head, tensors = (
        checkpoint.config,
        checkpoint.preprocessing,
        checkpoint.head,
        folder.tensors,
    )
    blocks = []
    for index in range(config.num_layers):
        blocks.append(folder.block(index))
        report((index + 1) / config.num_layers)
    mean, std = (np.asarray(preprocessing[name], np.float64).reshape(1, 3, 1, 1) for name in ("mean", "std"))
    pairs: Array = pair_frequencies(config).numpy()
    return PackageWeights(
        centre=_float32(255 * mean),
        spread=_float32(1 / (255 * std)),
        patch=folder.matrix("patch", *tensors.linear("patch_embed.proj")),
        patch_norm=_norm(tensors, "patch_embed.norm") if config.patch_embed_norm else None,
        core_tokens=_float32(tensors.chunks("query_token_chunks")[None]),
        coordinates=_float32(tensors.chunks("qcoord_chunks")[None]),
        angles=_float32(np.concatenate([-pairs, pairs])),
        blocks=tuple(blocks),
        coordinate_heads=tuple(
            Matrix(f"l{index}_coordinate_head", Plain(_float32(weight)), _float32(bias))
            for index, (weight, bias) in enumerate(tensors.coordinate_heads(), start=1)
        ),
        final=_norm(tensors, "final_norm"),
        projection=folder.matrix("projection", *tensors.linear("output_proj")) if config.output_dim else None,
        head=None if head is None else Matrix("head", Plain(head["weight"].numpy()), head["bias"].numpy()),
        dense={dense.task.name: folder.dense(dense) for dense in checkpoint.dense},
    )


class _Folder:
    """Folds and compresses one matrix at a time."""

    def __init__(self, checkpoint: Checkpoint, compression: Compression, recipe: QuantizationRecipe | None) -> None:
        self.tensors = Tensors(checkpoint)
        self._heads = checkpoint.config.num_heads
        self._compression = compression
        self._recipe = recipe
        if recipe is not None:
            blocks = range(checkpoint.config.num_layers)
            known = [f"blocks.{i}.{layer}" for i in blocks for layers in JOINED.values() for layer in layers]
            ends = ["patch"] if checkpoint.config.output_dim is None else ["patch", "projection"]
            recipe.check([*known, *ends])

    def block(self, index: int) -> Block:
        prefix = f"blocks.{index}"
        parts = [self.tensors.after_norm(f"{prefix}.attn.{name}_proj", f"{prefix}.norm_attn") for name in "qkv"]
        # Of queries and keys, per head the even channels first, then the odd ones.
        order = np.arange(len(parts[0][1])).reshape(self._heads, -1, 2).transpose(0, 2, 1).reshape(-1)
        parts[:2] = [(weight[order], bias[order]) for weight, bias in parts[:2]]
        weights, biases = zip(*parts, strict=True)
        return Block(
            qkv=self.matrix(f"l{index}_qkv", np.concatenate(weights), np.concatenate(biases)),
            out=self.matrix(f"l{index}_out", *self.tensors.linear(f"{prefix}.attn.out_proj")),
            up=self.matrix(f"l{index}_up", *self.tensors.after_norm(f"{prefix}.fc1", f"{prefix}.norm_ffn")),
            down=self.matrix(f"l{index}_down", *self.tensors.linear(f"{prefix}.fc2")),
        )

    def matrix(self, name: str, weight: Array, bias: Array) -> Matrix:
        return Matrix(name, _COMPRESSIONS[self._how(name)](_float32(weight)), _float32(bias))

    def dense(self, head: DenseHead) -> Matrix:
        return Matrix(f"dense_{head.task.name}", Plain(head.weight), head.bias)

    def _how(self, name: str) -> Compression:
        """How the matrix of this name is stored."""
        if self._recipe is None:
            coarse = name == "patch" and self._compression not in ("fp16", "fp32")
            return "int8" if coarse else self._compression
        block, _, part = name.partition("_")
        layers = [f"blocks.{block.removeprefix('l')}.{layer}" for layer in JOINED[part]] if part else [name]
        return max(map(self._recipe.precision_of, layers), key=FINENESS.index)


def _norm(tensors: Tensors, name: str) -> Norm:
    gain, shift = tensors.linear(name)
    return Norm(_float32(gain), _float32(shift))


def _float32(values: Array) -> Float:
    return np.ascontiguousarray(values, np.float32)


def _plain(weight: Float) -> Stored:
    return Plain(weight)


def _int8(weight: Float) -> Stored:
    """One scale per output channel."""
    flat = weight.reshape(len(weight), -1)
    scale = _half(np.abs(flat).max(axis=1, keepdims=True) / 127)
    data = np.clip(np.rint(flat / scale.astype(np.float32)), -127, 127).astype(np.int8)
    return Scaled(data.reshape(weight.shape), scale.reshape(-1, *[1] * (weight.ndim - 1)), 8)


def _int4(weight: Float) -> Stored:
    """One scale per `GROUP` inputs of an output channel; int8 where they do not fit, as in a convolution."""
    if weight.shape[1] % GROUP:
        return _int8(weight)
    data, scale = round_groups(weight, lambda scale: _half(scale).astype(np.float32))
    return Scaled(data, scale.astype(np.float16), 4)


def _palette(bits: int) -> Callable[[Float], Stored]:
    """One palette of 2 ** bits values per `SHARERS` output channels, fitted by k-means."""

    def compress(weight: Float) -> Stored:
        rows = math.gcd(len(weight), SHARERS)
        fitted = [_fit_palette(group, 2**bits) for group in np.split(weight, len(weight) // rows)]
        table = np.stack([palette for palette, _ in fitted])[:, None, :, None]
        return Palette(np.concatenate([indices for _, indices in fitted]), table, bits)

    return compress


def _fit_palette(values: Float, count: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Lloyd's algorithm in one dimension, where clusters are ranges of the sorted values.

    It starts where many clusters would end: with as many centres to a range as the cube root of its density asks
    for (Panter and Dite, 1951). A few steps then come within a percent of the exact optimum.
    """
    ordered = np.sort(values, axis=None).astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    density, bins = np.histogram(ordered, bins=4 * count)
    wanted = np.concatenate([[0.0], np.cumsum(np.cbrt(density))])
    centres = np.interp((np.arange(count) + 0.5) / count * wanted[-1], wanted, bins)
    for _ in range(LLOYD_STEPS):
        edges = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        edges = np.concatenate([[0], edges, [len(ordered)]])
        sizes = np.diff(edges)
        centres = np.where(sizes > 0, np.diff(sums[edges]) / np.maximum(sizes, 1), centres)
    palette = centres.astype(np.float16)
    middles = (palette[1:].astype(np.float64) + palette[:-1]) / 2
    return palette, np.searchsorted(middles, values).astype(np.uint8)


def _half(scale: NDArray[Any]) -> NDArray[np.float16]:
    """Scales as stored, rounded before the values are, and never 0."""
    half: NDArray[np.float16] = np.maximum(scale, np.finfo(np.float16).smallest_subnormal).astype(np.float16)
    return half


_COMPRESSIONS: dict[Compression, Callable[[Float], Stored]] = {
    "fp32": _plain,
    "fp16": _plain,
    "int8": _int8,
    "int4": _int4,
    "palette6": _palette(6),
    "palette4": _palette(4),
}
