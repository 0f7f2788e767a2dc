"""VECA written as Core ML functions, one per budget and image size, on constants that all of them share.

Nothing is traced: the graph goes op by op into coremltools' own builder, which infers and checks every type. A
function takes milliseconds where exporting and converting the torch model takes many seconds, names stay readable,
and no pass can fold a constant into one budget's copy of it.

Cores and patches are one sequence (1, C + N, D), so that every weight is multiplied with once. Attention is split:
cores read everything, patches read the cores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from coremltools import target as targets
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name in every Core ML text
from coremltools.converters.mil.mil import Function, mil_list, types
from numpy.typing import NDArray

from veca_edge.converters.coreml.weights import Block, Matrix, Norm, PackageWeights, Palette, Plain, Scaled, Stored
from veca_edge.image.patches import cell_centres
from veca_edge.model.config import VecaConfig
from veca_edge.modelfile.mlpackage import (
    EMBEDDING,
    FEATURES,
    IMAGE,
    LABEL,
    LOGITS,
    PROBABILITIES,
    MinimumTarget,
)

NORM_EPSILON = 1e-5  # of torch.nn.LayerNorm, and of the published model

Var: TypeAlias = Any  # a value of coremltools' builder
_UNSIGNED = {6: types.np_uint6_dtype, 4: types.np_uint4_dtype}


@dataclass(frozen=True)
class Dialect:
    """What the package is written for.

    Attributes:
        target: oldest system that is to run it. iOS 18 has attention as one op, and blocks of scales.
        half: whether to compute in float16; outputs are float32 always.
        labels: names of the head's classes for a Core ML classifier, () for logits.
    """

    target: MinimumTarget
    half: bool
    labels: tuple[str, ...] = ()


class PackageGraph:
    """Writes functions, one after another; one instance per package."""

    def __init__(self, config: VecaConfig, weights: PackageWeights, dialect: Dialect) -> None:
        self._config = config
        self._weights = weights
        self._dialect = dialect
        self._stored_as = np.float16 if dialect.half else np.float32
        self._tables: dict[str, NDArray[Any]] = {}  # as stored: the same arrays for every function
        self._small: dict[str, Var] = {}  # constants of the function that is being written
        self._large: dict[str, Var] = {}

    def function(self, cores: int, rows: int, columns: int) -> Function:
        """One function.

        Args:
            cores: active cores C.
            rows, columns: patches; the image has `rows * p` by `columns * p` pixels.

        Returns:
            image float32 (1, 3, height, width), RGB 0..255, to embedding (1, D'), features (1, N, D'), each
            dense head's outputs (1, N, K k k), and with a head logits (1, K), or label and probabilities in their
            place.
        """
        height, width = rows * self._config.patch_size, columns * self._config.patch_size
        image = mb.placeholder(shape=(1, 3, height, width), dtype=types.fp32)
        opset = {"iOS18": targets.iOS18, "iOS17": targets.iOS17}[self._dialect.target]
        self._small, self._large = {}, {}
        with Function({IMAGE: image}, opset) as function:
            function.set_outputs(self._outputs(function.inputs[IMAGE], cores, rows, columns))
        self._make_way(function)
        return function

    def _make_way(self, function: Function) -> None:
        """No value inside may be called like a dense head, whose name the user chose and an output bears."""
        inside = (var for operation in function.operations for var in operation.outputs)
        for var in inside:
            if var.name in self._weights.dense and var not in function.outputs:
                var.name = f"inner_{var.name}"

    # -- the model -------------------------------------------------------------------------------------------

    def _outputs(self, image: Var, cores: int, rows: int, columns: int) -> list[Var]:
        """All outputs of the model, for an image (1, 3, H, W)."""
        weights, count, width = self._weights, rows * columns, self._config.hidden_dim
        begin, size, xy_size = self._c([0, 0, 0]), self._c([1, cores, width]), self._c([1, cores, 2])
        every = self._weight("core_tokens", weights.core_tokens)
        active = mb.slice_by_size(x=every, begin=begin, size=size, name="cores")
        raw = mb.slice_by_size(
            x=self._weight("coordinates", weights.coordinates), begin=begin, size=xy_size, name="xy"
        )
        patches = self._embed(image, count)
        x = self._concat([active, patches], 1, "tokens")
        grid = self._patch_rotation(rows, columns)
        for index, block in enumerate(weights.blocks):
            if index:
                raw = self._moved(raw, x, cores, index)
            cos, sin = self._rotation(raw, grid, index)
            x = self._attention(x, cos, sin, block, cores, f"l{index}")
            x = self._feed_forward(x, block, f"l{index}")
        return self._finish(x, cores, count)

    def _embed(self, image: Var, count: int) -> Var:
        """Pixels centred, scaled and cut into tokens (1, N, D)."""
        weights, size = self._weights, self._config.patch_size
        if self._dialect.half:
            image = mb.cast(x=image, dtype=self._c("fp16"), name="pixels")
        # Pixel values and their differences are exact in float16, or nearly so; scaled first they would not be.
        centred = mb.sub(x=image, y=self._weight("centre", weights.centre), name="centred")
        scaled = mb.mul(x=centred, y=self._weight("spread", weights.spread), name="scaled")
        grid = mb.conv(
            x=scaled,
            weight=self._stored("patch", weights.patch.weight),
            bias=self._weight("patch_bias", weights.patch.bias),
            strides=[size, size],
            pad_type="valid",
            name="patch_grid",
        )
        shape = self._c([1, self._config.hidden_dim, count])
        rows = mb.reshape(x=grid, shape=shape, name="patch_rows")
        tokens = mb.transpose(x=rows, perm=self._c([0, 2, 1]), name="patches")
        return tokens if weights.patch_norm is None else self._norm(tokens, "patch_norm", weights.patch_norm)

    def _patch_rotation(self, rows: int, columns: int) -> tuple[Var, Var]:
        """Cosines and sines (1, N, hd) of the patches' angles."""
        centres = cell_centres(rows, columns).astype(np.float64)
        angles = (centres @ self._weights.angles.astype(np.float64).T)[None]
        name = f"grid_{rows}x{columns}"
        cos, sin = (np.asarray(f(angles), np.float32) for f in (np.cos, np.sin))
        return self._weight(f"{name}_cos", cos), self._weight(f"{name}_sin", sin)

    def _moved(self, raw: Var, x: Var, cores: int, index: int) -> Var:
        size = self._c([1, cores, self._config.hidden_dim])
        active = mb.slice_by_size(x=x, begin=self._c([0, 0, 0]), size=size, name=f"l{index}_cores")
        moved = self._linear(active, self._weights.coordinate_heads[index - 1])
        return mb.add(x=raw, y=moved, name=f"l{index}_xy")

    def _rotation(self, raw: Var, grid: tuple[Var, Var], index: int) -> tuple[Var, Var]:
        """Cosines and signed sines (1, C + N, hd) of the whole sequence."""
        xy = mb.tanh(x=raw, name=f"l{index}_at")
        table = self._weights.angles
        nothing = np.zeros(len(table), np.float32)
        angles = mb.linear(
            x=xy,
            weight=self._weight("angles", table),
            bias=self._weight("no_bias", nothing),
            name=f"l{index}_angles",
        )
        cos, sin = mb.cos(x=angles, name=f"l{index}_cos"), mb.sin(x=angles, name=f"l{index}_sin")
        return self._concat([cos, grid[0]], 1, f"l{index}_cosines"), self._concat(
            [sin, grid[1]], 1, f"l{index}_sines"
        )

    def _attention(self, x: Var, cos: Var, sin: Var, block: Block, cores: int, at: str) -> Var:
        heads, size, length = self._config.num_heads, self._config.head_dim, x.shape[1]
        joined = self._linear(self._norm(x, f"{at}_norm"), block.qkv)
        split = mb.reshape(x=joined, shape=self._c([1, length, 3 * heads, size]), name=f"{at}_split")
        by_head = mb.transpose(x=split, perm=self._c([0, 2, 1, 3]), name=f"{at}_heads")
        both, value = self._split(by_head, [2 * heads, heads], 1, f"{at}_qk_v")
        query, key = self._split(self._rotated(both, cos, sin, at), [heads, heads], 1, f"{at}_q_k")
        queries = self._split(query, [cores, length - cores], 2, f"{at}_q")
        origin, size_of_cores = self._c([0, 0, 0, 0]), self._c([1, heads, cores, size])
        core_key = mb.slice_by_size(x=key, begin=origin, size=size_of_cores, name=f"{at}_core_k")
        core_value = mb.slice_by_size(x=value, begin=origin, size=size_of_cores, name=f"{at}_core_v")
        core = self._attend(queries[0], key, value, f"{at}_core")
        patch = self._attend(queries[1], core_key, core_value, f"{at}_patch")
        together = self._concat([core, patch], 2, f"{at}_read")
        rows = mb.transpose(x=together, perm=self._c([0, 2, 1, 3]), name=f"{at}_rows")
        merged = mb.reshape(x=rows, shape=self._c([1, length, heads * size]), name=f"{at}_merged")
        return mb.add(x=x, y=self._linear(merged, block.out), name=f"{at}_x")

    def _rotated(self, x: Var, cos: Var, sin: Var, at: str) -> Var:
        """x * [cos, cos] + [second half, first half] * [-sin, sin] along the channels."""
        half = self._config.head_dim // 2
        even, odd = self._split(x, [half, half], -1, f"{at}_pair")
        swapped = self._concat([odd, even], -1, f"{at}_swapped")
        straight = mb.mul(x=x, y=cos, name=f"{at}_by_cos")
        crossed = mb.mul(x=swapped, y=sin, name=f"{at}_by_sin")
        return mb.add(x=straight, y=crossed, name=f"{at}_rotated")

    def _attend(self, query: Var, key: Var, value: Var, name: str) -> Var:
        if self._dialect.target == "iOS18":
            return mb.scaled_dot_product_attention(query=query, key=key, value=value, name=name)
        scale = self._c(self._scalar(self._config.head_dim**-0.5))
        scaled = mb.mul(x=query, y=scale, name=f"{name}_scaled")
        scores = mb.matmul(
            x=scaled, y=key, transpose_x=self._c(False), transpose_y=self._c(True), name=f"{name}_scores"
        )
        shares = mb.softmax(x=scores, axis=self._c(-1), name=f"{name}_shares")
        no = self._c(False)
        return mb.matmul(x=shares, y=value, transpose_x=no, transpose_y=no, name=name)

    def _feed_forward(self, x: Var, block: Block, at: str) -> Var:
        up = self._linear(self._norm(x, f"{at}_mlp_norm"), block.up)
        width = up.shape[-1] // 2
        gate, value = self._split(up, [width, width], -1, f"{at}_gate")
        hidden = mb.mul(x=mb.silu(x=gate, name=f"{at}_silu"), y=value, name=f"{at}_hidden")
        return mb.add(x=x, y=self._linear(hidden, block.down), name=f"{at}_y")

    def _finish(self, x: Var, cores: int, count: int) -> list[Var]:
        weights = self._weights
        x = self._norm(x, "final", weights.final)
        if weights.projection is not None:
            x = self._linear(x, weights.projection)
        parts = [1, cores - 1, count] if cores > 1 else [1, count]
        first, *_, features = self._split(x, parts, 1, "parts")
        embedding = mb.squeeze(x=first, axes=self._c([1]), name="first")
        outputs = [self._output(embedding, EMBEDDING), self._output(features, FEATURES)]
        for name, head in weights.dense.items():
            outputs.append(self._output(self._linear(features, head), name))
        if weights.head is None:
            return outputs
        mean = mb.reduce_mean(x=features, axes=self._c([1]), keep_dims=self._c(False), name="mean")
        logits = self._linear(self._concat([embedding, mean], -1, "pooled"), weights.head)
        if not self._dialect.labels:
            return [*outputs, self._output(logits, LOGITS)]
        return [*outputs, *self._classified(logits)]

    def _classified(self, logits: Var) -> tuple[Var, Var]:
        """Core ML's own outputs of a classifier: the best label, and every label's probability."""
        scores = mb.cast(x=logits, dtype=self._c("fp32"), name="scores") if self._dialect.half else logits
        shares = mb.softmax(x=scores, axis=self._c(-1), name="shares")
        classes = mb.const(val=mil_list(list(self._dialect.labels)), name="classes")
        label, probabilities = mb.classify(probabilities=shares, classes=classes, name="classified")
        label.name, probabilities.name = LABEL, PROBABILITIES
        return label, probabilities

    # -- ops and constants -----------------------------------------------------------------------------------

    def _linear(self, x: Var, matrix: Matrix) -> Var:
        name = matrix.name
        weight, bias = self._stored(name, matrix.weight), self._weight(f"{name}_bias", matrix.bias)
        return mb.linear(x=x, weight=weight, bias=bias, name=f"{name}_y")

    def _norm(self, x: Var, name: str, affine: Norm | None = None) -> Var:
        given = {}
        if affine is not None:
            given["gamma"] = self._weight(f"{name}_gain", affine.gain)
            given["beta"] = self._weight(f"{name}_shift", affine.shift)
        epsilon = self._c(self._scalar(NORM_EPSILON))
        return mb.layer_norm(x=x, axes=self._c([-1]), epsilon=epsilon, name=name, **given)

    def _split(self, x: Var, sizes: list[int], axis: int, name: str) -> list[Var]:
        parts: list[Var] = list(mb.split(x=x, split_sizes=self._c(sizes), axis=self._c(axis), name=name))
        return parts

    def _concat(self, values: list[Var], axis: int, name: str) -> Var:
        return mb.concat(values=values, axis=self._c(axis), interleave=self._c(False), name=name)

    def _output(self, x: Var, name: str) -> Var:
        """x in float32 under the name of an output."""
        dtype = self._c("fp32") if self._dialect.half else None
        return mb.cast(x=x, dtype=dtype, name=name) if dtype is not None else mb.identity(x=x, name=name)

    def _scalar(self, value: float) -> np.floating[Any]:
        return np.float16(value) if self._dialect.half else np.float32(value)

    def _c(self, value: Any) -> Var:
        """A parameter of an op: equal ones are one constant, which keeps the functions small."""
        key = repr(value)
        if key not in self._small:
            stored = np.array(value, np.int32) if isinstance(value, list) else value
            self._small[key] = mb.const(val=stored, name=f"c{len(self._small)}")
        return self._small[key]

    def _weight(self, name: str, data: NDArray[Any]) -> Var:
        """A constant of the weight file, which all functions share by name; float32 in the package's precision."""
        if name not in self._tables:
            self._tables[name] = data.astype(self._stored_as, copy=False) if data.dtype == np.float32 else data
        if name not in self._large:
            self._large[name] = mb.const(val=self._tables[name], name=name)
            self._large[name].op.weight_id = name
        return self._large[name]

    def _stored(self, name: str, weight: Stored) -> Var:
        """A matrix: a constant, or an op that unpacks one when the model is loaded."""
        if isinstance(weight, Plain):
            return self._weight(name, weight.data)
        if isinstance(weight, Palette):
            indices = self._weight(f"{name}_indices", weight.indices.astype(_UNSIGNED[weight.bits]))
            table = self._weight(f"{name}_table", weight.table)
            return mb.constexpr_lut_to_dense(indices=indices, lut=table, name=name)
        return self._dequantized(name, weight)

    def _dequantized(self, name: str, weight: Scaled) -> Var:
        integers = weight.data.astype(types.np_int4_dtype) if weight.bits == 4 else weight.data
        data = self._weight(f"{name}_data", integers)
        if self._dialect.target == "iOS18":
            scale = self._weight(f"{name}_scale", weight.scale)
            return mb.constexpr_blockwise_shift_scale(data=data, scale=scale, name=name)
        scale = self._weight(f"{name}_scale", weight.scale.reshape(-1))
        return mb.constexpr_affine_dequantize(
            quantized_data=data, zero_point=np.int8(0), scale=scale, axis=np.int32(0), name=name
        )
