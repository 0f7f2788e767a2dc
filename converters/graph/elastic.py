"""The elastic graph: VECA written as XNNPACK nodes, for any core budget, any image size, any subset of patches.

Cores and patches are two streams (C, D) and (n, D) that never share a tensor, because a dynamic tensor cannot be
split again. Each weight is applied to both streams back to back, while it is still in the processor's cache.

    encode   patches, positions, cores, core coordinates -> cores, features, core_attention
    step     the same, mask, remembered keys and values  -> the same, new keys and values of the patches
    cores_C  image                                       -> embedding, features, [logits], dense heads' outputs

`core_attention` is the last layer's attention of every patch to every core (heads, n, C).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veca_edge.converters.executorch.xnnpack import ConstantStore, GraphBuilder, Value
from veca_edge.converters.graph.folding import FoldedBlock, FoldedModel
from veca_edge.converters.graph.weights import Float, Weight
from veca_edge.image.patches import cell_centres
from veca_edge.model.config import VecaConfig

NORM_EPSILON = 1e-5  # of torch.nn.LayerNorm, and of the published model


@dataclass(frozen=True)
class Sizes:
    """Rows of the dynamic dimensions: exact for one image size, or upper bounds.

    Attributes:
        cores: active cores C.
        patches: patches computed n.
        remembered: patches remembered s.
    """

    cores: int
    patches: int
    remembered: int = 2


@dataclass(frozen=True)
class Stream:
    """One kind of token.

    Attributes:
        tokens: (rows, D), the residual stream.
        cos, sin: (rows, D), of the rotary angles of every even query and key channel.
    """

    tokens: Value
    cos: Value
    sin: Value


@dataclass(frozen=True)
class Heads:
    """Queries, keys and values by head, each (heads, rows, head_dim)."""

    query: Value
    key: Value
    value: Value


class ElasticGraph:
    """Writes the model into a GraphBuilder; one instance per method."""

    def __init__(self, config: VecaConfig, model: FoldedModel, constants: ConstantStore) -> None:
        self.graph = GraphBuilder(constants)
        self._config = config
        self._model = model
        width = config.hidden_dim
        mean = np.full((1, width), 1 / width, np.float32)
        self._mean = Weight("mean", mean, None)
        self._variance = Weight("variance", mean, np.array([NORM_EPSILON], np.float32))

    # -- methods ---------------------------------------------------------------------------------------------

    def encode(self, sizes: Sizes) -> GraphBuilder:
        """All patches of an image, nothing remembered."""
        g = self.graph
        patches, positions, cores, core_positions = self._token_inputs(sizes)
        tokens = self._embed(patches)
        core, patch, core_attention, _ = self._blocks(tokens, positions, cores, core_positions, None, [])
        for value in (core, patch, core_attention):
            g.output(value)
        return g

    def step(self, sizes: Sizes) -> GraphBuilder:
        """Some patches of an image, the others remembered: per layer their keys and values (heads, s, hd).

        The mask (s,) is added to the attention scores of remembered rows: 0 keeps a row, -1e4 hides it.
        """
        g, config = self.graph, self._config
        patches, positions, cores, core_positions = self._token_inputs(sizes)
        mask = g.input((sizes.remembered,))
        shape = (config.num_heads, sizes.remembered, config.head_dim)
        remembered = [(g.input(shape), g.input(shape)) for _ in range(config.num_layers)]
        tokens = self._embed(patches)
        core, patch, core_attention, kept = self._blocks(tokens, positions, cores, core_positions, mask, remembered)
        for value in (core, patch, core_attention, *kept):
            g.output(value)
        return g

    def cores(self, cores: int, rows: int, columns: int) -> GraphBuilder:
        """One image of a fixed size (rows * p, columns * p, 3), RGB, values 0..255; one fixed budget."""
        g, p = self.graph, self._config.patch_size
        image = g.input((rows * p, columns * p, 3))
        grid = g.transpose(g.reshape(image, (rows, p, columns, p * 3)), (0, 2, 1, 3))
        tokens = self._embed(g.reshape(grid, (rows * columns, p * p * 3)))
        positions = g.constant(f"grid_{rows}x{columns}", cell_centres(rows, columns))
        # All core tokens are one constant that the budgets share.
        active = g.slice(g.constant("core_tokens", self._model.core_tokens), 0, 0, cores)
        coordinates = g.slice(g.constant("coordinates", self._model.coordinates), 0, 0, cores)
        core, patch, _, _ = self._blocks(tokens, positions, active, coordinates, None, [])
        embedding = g.slice(core, 0, 0, 1)
        g.output(embedding)
        g.output(patch)
        if self._model.head is not None:
            count = rows * columns
            mean = Weight(f"mean_{count}", np.full((1, count), 1 / count, np.float32), None)
            pooled = g.reshape(g.linear(g.transpose(patch, (1, 0)), mean), (1, -1))
            g.output(g.linear(g.concat([embedding, pooled], 1), self._model.head))
        for head in self._model.dense:
            g.output(g.linear(patch, head))
        return g

    # -- parts -----------------------------------------------------------------------------------------------

    def _token_inputs(self, sizes: Sizes) -> tuple[Value, Value, Value, Value]:
        g, width = self.graph, self._config.hidden_dim
        patches = g.input((sizes.patches, 3 * self._config.patch_size**2))
        return patches, g.input((sizes.patches, 2)), g.input((sizes.cores, width)), g.input((sizes.cores, 2))

    def _embed(self, patches: Value) -> Value:
        g, model = self.graph, self._model
        tokens = g.linear(patches, model.patch)
        if model.patch_gain is None or model.patch_shift is None:
            return tokens
        return self._affine(self._normalise(tokens), "patch_norm", model.patch_gain, model.patch_shift)

    def _blocks(
        self,
        tokens: Value,
        positions: Value,
        cores: Value,
        coordinates: Value,
        mask: Value | None,
        remembered: list[tuple[Value, Value]],
    ) -> tuple[Value, Value, Value, list[Value]]:
        """Final cores and features, the last layer's patch-to-core attention, and new keys and values."""
        g, kept, core_attention = self.graph, [], tokens
        patch = Stream(tokens, *self._rotation(positions))
        for index, block in enumerate(self._model.blocks):
            if index:
                coordinates = g.add(coordinates, g.linear(cores, self._model.coordinate_heads[index - 1]))
            core = Stream(cores, *self._rotation(g.tanh(coordinates)))
            patch_heads, core_heads = self._heads(patch, core, block)
            past = remembered[index] if remembered else None
            core_update = self._core_update(core_heads, patch_heads, past, mask)
            patch_update, core_attention = self._attend(patch_heads.query, core_heads)
            patch_tokens, cores = self._residual(
                (patch.tokens, core.tokens), (patch_update, core_update), block.out
            )
            patch_tokens, cores = self._feed_forward((patch_tokens, cores), block)
            patch = Stream(patch_tokens, patch.cos, patch.sin)
            kept += [patch_heads.key, patch_heads.value]
        return self._finish(cores), self._finish(patch.tokens), core_attention, kept

    def _normalise(self, x: Value) -> Value:
        """LayerNorm without gain and shift. As products with a column of 1/D it stays inside the delegate."""
        g = self.graph
        centred = g.sub(x, g.linear(x, self._mean))
        return g.mul(centred, g.rsqrt(g.linear(g.square(centred), self._variance)))

    def _affine(self, x: Value, name: str, gain: Float, shift: Float) -> Value:
        g = self.graph
        return g.add(g.mul(x, g.constant(f"{name}.gain", gain)), g.constant(f"{name}.shift", shift))

    def _rotation(self, positions: Value) -> tuple[Value, Value]:
        angles = self.graph.linear(positions, self._model.angles)
        return self.graph.cos(angles), self.graph.sin(angles)

    def _heads(self, patch: Stream, core: Stream, block: FoldedBlock) -> tuple[Heads, Heads]:
        """Rotated queries and keys, and values, of both streams."""
        g = self.graph
        normed = [self._normalise(stream.tokens) for stream in (patch, core)]
        even, odd, value = (
            [g.linear(x, weight) for x in normed] for weight in (block.even, block.odd, block.value)
        )
        patch_heads, core_heads = (
            self._rotated(stream, *channels)
            for stream, channels in zip((patch, core), zip(even, odd, value, strict=True), strict=True)
        )
        return patch_heads, core_heads

    def _rotated(self, stream: Stream, even: Value, odd: Value, value: Value) -> Heads:
        g, heads, half = self.graph, self._config.num_heads, self._config.head_dim // 2
        real = g.sub(g.mul(even, stream.cos), g.mul(odd, stream.sin))
        imaginary = g.add(g.mul(even, stream.sin), g.mul(odd, stream.cos))
        shape = (-1, 2 * heads, half)
        both = g.concat([g.reshape(real, shape), g.reshape(imaginary, shape)], 2)
        both = g.transpose(both, (1, 0, 2))  # (queries of all heads, keys of all heads; rows; channels)
        split = g.transpose(g.reshape(value, (-1, heads, 2 * half)), (1, 0, 2))
        return Heads(g.slice(both, 0, 0, heads), g.slice(both, 0, heads, heads), split)

    def _core_update(
        self, core: Heads, patch: Heads, past: tuple[Value, Value] | None, mask: Value | None
    ) -> Value:
        """Cores read cores, patches computed now, and patches remembered."""
        g = self.graph
        values = [core.value, patch.value]
        scores = g.matmul(core.query, g.concat([core.key, patch.key], 1), transpose_b=True)
        if past is not None and mask is not None:
            # Joining the scores is cheaper than joining the keys, which are longer by head_dim / C.
            old = g.add(g.matmul(core.query, past[0], transpose_b=True), mask)
            scores, values = g.concat([scores, old], 2), [*values, past[1]]
        return self._merge(g.matmul(g.softmax(scores), g.concat(values, 1)))

    def _attend(self, query: Value, memory: Heads) -> tuple[Value, Value]:
        """Attention output (rows, D) and weights (heads, rows, keys); the scale is in the query weights."""
        g = self.graph
        weights = g.softmax(g.matmul(query, memory.key, transpose_b=True))
        return self._merge(g.matmul(weights, memory.value)), weights

    def _merge(self, heads: Value) -> Value:
        g = self.graph
        return g.reshape(g.transpose(heads, (1, 0, 2)), (-1, self._config.hidden_dim))

    def _residual(
        self, tokens: tuple[Value, Value], updates: tuple[Value, Value], weight: Weight
    ) -> tuple[Value, Value]:
        g = self.graph
        patch, core = (g.linear(update, weight) for update in updates)
        return g.add(tokens[0], patch), g.add(tokens[1], core)

    def _feed_forward(self, tokens: tuple[Value, Value], block: FoldedBlock) -> tuple[Value, Value]:
        """x + down(silu(gate(norm x)) * up(norm x))"""
        g = self.graph
        normed = [self._normalise(x) for x in tokens]
        gate, up = ([g.linear(x, weight) for x in normed] for weight in (block.gate, block.up))
        patch, core = (g.mul(g.mul(a, g.sigmoid(a)), b) for a, b in zip(gate, up, strict=True))
        return self._residual(tokens, (patch, core), block.down)

    def _finish(self, x: Value) -> Value:
        model = self._model
        x = self._affine(self._normalise(x), "final", model.gain, model.shift)
        return x if model.projection is None else self.graph.linear(x, model.projection)
