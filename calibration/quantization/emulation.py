"""The elastic graph in PyTorch, batched: what `converters/graph/` computes, every layer rounded as one likes.

XNNPACK rounds a layer's inputs to int8 row by row while it runs, and multiplies them with stored int8 or int4
weights. Both are imitated here: the weights are what the stored numbers mean, the inputs are rounded and scaled
back. So one layer can be changed and the others left alone, and what a layer reads can be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from veca_edge.converters.graph.elastic import NORM_EPSILON
from veca_edge.converters.graph.folding import FoldedModel, linear_layers
from veca_edge.converters.graph.weights import Weight
from veca_edge.image.patches import cell_centres
from veca_edge.model.config import VecaConfig

ROWS = 2048  # patches in a batch: what one layer makes of them stays near the processor

Inputs = Literal["float32", "float16", "int8"]
Watch = Callable[[str, Tensor], None]


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer as it computes.

    Attributes:
        matrix: float32 (out, in), what the stored numbers mean.
        bias: float32 (out,), or None.
        inputs: what its inputs are rounded to before they meet the matrix; int8 goes row by row.
    """

    matrix: Tensor
    bias: Tensor | None
    inputs: Inputs = "float32"


class State(NamedTuple):
    """Tokens between two blocks.

    Attributes:
        tokens: (B, C + n, D), the cores first.
        coordinates: (B, C, 2), the cores' raw positions.
        cos, sin: (n, D), of the patches' rotary angles.
    """

    tokens: Tensor
    coordinates: Tensor
    cos: Tensor
    sin: Tensor


class Answers(NamedTuple):
    """What the model says of a batch: embedding (B, D'), features (B, N, D'), logits (B, K) or None."""

    embedding: Tensor
    features: Tensor
    logits: Tensor | None


class Emulation:
    """One folded model with every linear layer as given.

    Blocks run one at a time (`begin`, `block`, `finish`), so that many changes to a late layer can share what comes
    before it.
    """

    def __init__(self, config: VecaConfig, folded: FoldedModel, layers: Mapping[str, Layer]) -> None:
        """Args:
        config: the model's sizes.
        folded: for what is never quantized: core tokens, coordinate heads, angles, norms, head.
        layers: by name, every one that a recipe can name.
        """
        self.config = config
        self.layers = dict(layers)
        self._folded = folded
        self._core_tokens, self._coordinates = (
            torch.from_numpy(folded.core_tokens),
            torch.from_numpy(folded.coordinates),
        )
        self._angles = torch.from_numpy(np.asarray(folded.angles.data, np.float32))
        self._coordinate_heads = [as_layer(weight) for weight in folded.coordinate_heads]
        self._head = None if folded.head is None else as_layer(folded.head)

    @classmethod
    def of(cls, config: VecaConfig, folded: FoldedModel) -> Emulation:
        """A folded model as XNNPACK runs it, with every layer in the precision that it is stored in."""
        layers = {name: as_stored(weight) for name, weight in linear_layers(folded).items()}
        return cls(config, folded, layers)

    def changed(self, layers: Mapping[str, Layer]) -> Emulation:
        """The same model with some layers replaced."""
        return Emulation(self.config, self._folded, {**self.layers, **layers})

    def __call__(self, images: NDArray[np.uint8], cores: int, watch: Watch | None = None) -> Answers:
        """Run the whole model.

        Args:
            images: uint8 (B, H, W, 3), RGB; H and W are multiples of the patch size.
            cores: budget.
            watch: called with a layer's name and its inputs (B, rows, in). Layers that read the same inputs are
                called by the first one's name.
        """
        return self.rest(0, self.begin(images, cores, watch), watch)

    def rest(self, first: int, state: State, watch: Watch | None = None) -> Answers:
        """All blocks from `first` on, and what follows them."""
        for index in range(first, self.config.num_layers):
            state = self.block(index, state, watch)
        return self.finish(state, watch)

    def begin(self, images: NDArray[np.uint8], cores: int, watch: Watch | None = None) -> State:
        """Everything before the first block."""
        patches, (rows, columns) = self._cut(images)
        (tokens,) = self._linears(patches, watch, "patch")
        folded = self._folded
        if folded.patch_gain is not None and folded.patch_shift is not None:
            tokens = _normalised(tokens) * torch.from_numpy(folded.patch_gain) + torch.from_numpy(
                folded.patch_shift
            )
        core_tokens = self._core_tokens[:cores].expand(len(images), -1, -1)
        angles = torch.from_numpy(cell_centres(rows, columns)) @ self._angles.T
        coordinates = self._coordinates[:cores].expand(len(images), -1, -1)
        return State(torch.cat([core_tokens, tokens], 1), coordinates, angles.cos(), angles.sin())

    def block(self, index: int, state: State, watch: Watch | None = None) -> State:
        """One block."""
        tokens, coordinates, cos, sin = state
        cores, prefix = coordinates.shape[1], f"blocks.{index}"
        if index:
            coordinates = coordinates + _apply(self._coordinate_heads[index - 1], tokens[:, :cores])
        angles = torch.tanh(coordinates) @ self._angles.T
        every_cos = torch.cat([angles.cos(), cos.expand(len(tokens), -1, -1)], 1)
        every_sin = torch.cat([angles.sin(), sin.expand(len(tokens), -1, -1)], 1)
        names = [f"{prefix}.{part}" for part in ("even", "odd", "value")]
        even, odd, value = self._linears(_normalised(tokens), watch, *names)
        attention = self._attention(even, odd, value, every_cos, every_sin, cores)
        tokens = tokens + self._linears(attention, watch, f"{prefix}.out")[0]
        gate, up = self._linears(_normalised(tokens), watch, f"{prefix}.gate", f"{prefix}.up")
        tokens = tokens + self._linears(F.silu(gate) * up, watch, f"{prefix}.down")[0]
        return State(tokens, coordinates, cos, sin)

    def finish(self, state: State, watch: Watch | None = None) -> Answers:
        """Everything after the last block."""
        folded, cores = self._folded, state.coordinates.shape[1]
        x = _normalised(state.tokens) * torch.from_numpy(folded.gain) + torch.from_numpy(folded.shift)
        if folded.projection is not None:
            (x,) = self._linears(x, watch, "projection")
        embedding, features = x[:, 0], x[:, cores:]
        if self._head is None:
            return Answers(embedding, features, None)
        return Answers(embedding, features, _apply(self._head, torch.cat([embedding, features.mean(1)], -1)))

    def _cut(self, images: NDArray[np.uint8]) -> tuple[Tensor, tuple[int, int]]:
        """Patches (B, N, p * p * 3) as `cut_patches` cuts them, and the grid."""
        size = self.config.patch_size
        count, height, width, _ = images.shape
        rows, columns = height // size, width // size
        grid = torch.from_numpy(images).reshape(count, rows, size, columns, size * 3).transpose(2, 3)
        return grid.reshape(count, rows * columns, -1).float(), (rows, columns)

    def _linears(self, x: Tensor, watch: Watch | None, *names: str) -> list[Tensor]:
        """Several layers on the same inputs, which are rounded once per kind of rounding."""
        if watch is not None:
            watch(names[0], x)
        layers = [self.layers[name] for name in names]
        rounded = {kind: ROUNDINGS[kind](x) for kind in {layer.inputs for layer in layers}}
        return [F.linear(rounded[layer.inputs], layer.matrix, layer.bias) for layer in layers]

    def _attention(self, even: Tensor, odd: Tensor, value: Tensor, cos: Tensor, sin: Tensor, cores: int) -> Tensor:
        """Cores read everything, patches read the cores: (B, C + n, D). The scale is in the query weights."""
        heads, half = self.config.num_heads, self.config.head_dim // 2
        real = (even * cos - odd * sin).unflatten(-1, (2 * heads, half))
        imaginary = (even * sin + odd * cos).unflatten(-1, (2 * heads, half))
        both = torch.cat([real, imaginary], -1).transpose(1, 2)
        query, key = both[:, :heads], both[:, heads:]
        split = value.unflatten(-1, (heads, 2 * half)).transpose(1, 2)
        core = F.scaled_dot_product_attention(query[:, :, :cores], key, split, scale=1.0)
        patch = F.scaled_dot_product_attention(
            query[:, :, cores:], key[:, :, :cores], split[:, :, :cores], scale=1.0
        )
        return torch.cat([core, patch], 2).transpose(1, 2).flatten(2)


def batches(images: NDArray[np.uint8], patch_size: int) -> Iterator[NDArray[np.uint8]]:
    """Images (n, H, W, 3) in parts that together have about `ROWS` patches."""
    patches = images.shape[1] * images.shape[2] // patch_size**2
    size = max(1, ROWS // patches)
    for start in range(0, len(images), size):
        yield images[start : start + size]


def as_layer(weight: Weight, inputs: Inputs = "float32") -> Layer:
    """A layer that multiplies with what a weight's stored numbers mean."""
    bias = None if weight.bias is None else torch.from_numpy(weight.bias)
    return Layer(torch.from_numpy(np.ascontiguousarray(weight.values)), bias, inputs)


def as_stored(weight: Weight) -> Layer:
    """A layer as XNNPACK runs this weight: inputs meet integers as integers."""
    return as_layer(weight, "float32" if weight.scale is None else "int8")


def half_precision(layer: Layer) -> Layer:
    """The layer as float16 hardware computes it: weights and inputs rounded, sums kept in float32."""
    return replace(layer, matrix=layer.matrix.half().float(), inputs="float16")


def rounded_rows(x: Tensor) -> Tensor:
    """x (..., in) rounded to int8 row by row and scaled back, as XNNPACK does it.

    256 steps go from the row's least to its largest value; 0 is one of them.
    """
    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    steps = 255 / (high - low).clamp(min=1e-30)
    # The zero point is taken from the end whose rounding leaves more room, as XNNPACK takes it.
    from_low, from_high = -128 - low * steps, 127 - high * steps
    zero = torch.where((low + high) * steps - 1 > 0, from_low, from_high).round().clamp(-128, 127)
    return ((x * steps).round() + zero).clamp(-128, 127).sub(zero) / steps


def _half(x: Tensor) -> Tensor:
    return x.half().float()


ROUNDINGS: Mapping[Inputs, Callable[[Tensor], Tensor]] = {
    "float32": lambda x: x,
    "float16": _half,
    "int8": rounded_rows,
}


def _apply(layer: Layer, x: Tensor) -> Tensor:
    return F.linear(ROUNDINGS[layer.inputs](x), layer.matrix, layer.bias)


def _normalised(x: Tensor) -> Tensor:
    """LayerNorm without gain and shift."""
    return F.layer_norm(x, x.shape[-1:], eps=NORM_EPSILON)
