"""A small builder of XNNPACK graphs in the form that ExecuTorch's XNNPACK delegate reads.

The general route (torch.export, quantizer, partitioner) takes minutes for a 12-layer model and cannot express
what an elastic graph needs, above all slices and reshapes of dynamic tensors. A VECA graph is regular enough to
be written down node by node, which takes seconds. The schema is ExecuTorch's own
(`executorch/backends/xnnpack/serialization`), as pinned by this package's `convert` extra; every file made this
way is loaded back and compared with PyTorch before it is called done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np
from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as xnn
from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import serialize_xnnpack_binary
from numpy.typing import NDArray

from veca_edge.converters.graph.weights import GROUP, Float, Weight

INVALID_ID = 2**32 - 1
FROM_NAMED_DATA = 2**64 - 1  # the offset that says "look the constant up by its key"
EXTERNAL_INPUT, EXTERNAL_OUTPUT = 1, 2
TRANSPOSE_B = 1
UNIONS = ("xnode_union", "xvalue_union", "quant_params")  # the schema's fields that say which class they hold


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: its id and its shape (upper bounds where a dimension is dynamic)."""

    id: int
    shape: tuple[int, ...]


@dataclass
class ConstantStore:
    """Constants of all methods by key, so that methods that use the same constant share its bytes."""

    blobs: dict[str, bytes] = field(default_factory=dict)

    def add(self, key: str, data: NDArray[np.generic]) -> int:
        """Store `data` under `key`, which must mean the same bytes in every method; returns their count."""
        blob = np.ascontiguousarray(data).tobytes()
        if self.blobs.setdefault(key, blob) != blob:
            raise ValueError(f"constant {key!r} has two different values")
        return len(blob)


def _key(weight: Weight) -> str:
    """The weight's name and a digest of all that XNNPACK packs with it.

    The runtime's cache of packed weights is one for all models of a process and knows them by key alone.
    """
    digest = hashlib.sha256()
    for array in (weight.data, weight.bias, weight.scale):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return f"{weight.name}.{digest.hexdigest()[:16]}"


def _nibbles(data: NDArray[np.generic]) -> NDArray[np.uint8]:
    """int8 (out, in) in -8..7, two to a byte: plus 8, the first of each two in the lower half."""
    shifted = (data.astype(np.int16) + 8).astype(np.uint8)
    return shifted[:, ::2] | (shifted[:, 1::2] << np.uint8(4))


def _plain(item: Any) -> Any:
    """A node or value of the schema as plain dictionaries, which ExecuTorch's JSON encoder takes as they are.

    Its own way to the same text looks up every class's types for every object: ten times as long.
    """
    if not is_dataclass(item):
        return item
    plain = {}
    for name in (part.name for part in fields(item)):
        value = getattr(item, name)
        plain[name] = _plain(value)
        if name in UNIONS:
            plain[f"{name}_type"] = type(value).__name__
    return plain


class GraphBuilder:
    """Collects nodes and values; each method defines one XNNPACK node and returns the value it makes."""

    def __init__(self, constants: ConstantStore) -> None:
        self._constants = constants
        self._graph = xnn.XNNGraph(
            version="0",
            xnodes=[],
            xvalues=[],
            num_externs=0,
            input_ids=[],
            output_ids=[],
            constant_data=[xnn.ConstantDataOffset(0, 0)],
        )
        self._shared: dict[str, Value] = {}
        self._quantized: dict[int, Value] = {}
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []

    # -- values ----------------------------------------------------------------------------------------------

    def _value(
        self,
        shape: Sequence[int],
        datatype: xnn.XNNDatatype = xnn.XNNDatatype.xnn_datatype_fp32,
        quant: xnn.XNNQuantParams | None = None,
        constant: int = 0,
        external: int = INVALID_ID,
        flags: int = 0,
    ) -> Value:
        identifier = len(self._graph.xvalues)
        tensor = xnn.XNNTensorValue(
            datatype, len(shape), [int(d) for d in shape], constant, external, flags, identifier
        )
        union = tensor if quant is None else xnn.XNNQuantizedTensorValue(tensor, quant)
        self._graph.xvalues.append(xnn.XValue(union))
        return Value(identifier, tuple(int(d) for d in shape))

    def input(self, shape: Sequence[int]) -> Value:
        """An input of the method, float32. All inputs come before all outputs."""
        value = self._value(shape, external=len(self.inputs), flags=EXTERNAL_INPUT)
        self._graph.input_ids.append(value.id)
        self.inputs.append(value)
        return value

    def output(self, value: Value) -> None:
        """Make `value` the method's next output."""
        tensor = self._graph.xvalues[value.id].xvalue_union
        assert isinstance(tensor, xnn.XNNTensorValue)
        tensor.external_id, tensor.flags = len(self.inputs) + len(self.outputs), EXTERNAL_OUTPUT
        self._graph.output_ids.append(value.id)
        self.outputs.append(value)

    def _constant_data(self, name: str, data: NDArray[np.generic]) -> int:
        size = self._constants.add(name, data)
        self._graph.constant_data.append(xnn.ConstantDataOffset(FROM_NAMED_DATA, size, name))
        return len(self._graph.constant_data) - 1

    def constant(self, name: str, data: Float) -> Value:
        """A float32 constant as a value that any node may read; the same name gives the same value.

        ExecuTorch gives a delegate's constants back once XNNPACK has packed them, and XNNPACK packs only what a
        linear layer multiplies with. So a constant is written as a linear layer's weights applied to 1.
        """
        if name not in self._shared:
            column = Weight(name, np.ascontiguousarray(data, np.float32).reshape(-1, 1), None)
            self._shared[name] = self.reshape(self.linear(self._one(), column), data.shape)
        return self._shared[name]

    def _one(self) -> Value:
        """(1, 1), the number 1: the first input's first row times nothing, plus one."""
        if "one" not in self._shared:
            row = self.inputs[0]
            for axis in range(len(row.shape) - 1):
                row = self.slice(row, axis, 0, 1)
            nothing = np.zeros((1, row.shape[-1]), np.float32)
            one = self.linear(row, Weight(f"one_{row.shape[-1]}", nothing, np.ones(1, np.float32)))
            self._shared["one"] = self.reshape(one, (1, 1))
        return self._shared["one"]

    def _packed(self, key: str, data: NDArray[np.generic], scale: Float | None = None) -> Value:
        """A constant that only linear layers read: float32, or integers and their scales as `Weight` has them."""
        if key not in self._shared:
            datatype, quant, shape = xnn.XNNDatatype.xnn_datatype_fp32, None, data.shape
            if scale is not None and scale.ndim == 1:
                index = self._constant_data(f"{key}.scale", scale)
                datatype = xnn.XNNDatatype.xnn_datatype_qcint8
                quant = xnn.PerChannelQuant([], channel_dim=0, scale_buffer_idx=index, num_scales=scale.size)
            elif scale is not None:
                index = self._constant_data(f"{key}.scale", (scale.view(np.uint32) >> 16).astype(np.uint16))
                datatype, data = xnn.XNNDatatype.xnn_datatype_qbint4, _nibbles(data)
                quant = xnn.PerChannelGroupQuant(
                    [], channel_dim=0, group_size=GROUP, scale_buffer_idx=index, num_scales=scale.size
                )
            self._shared[key] = self._value(shape, datatype, quant, constant=self._constant_data(key, data))
        return self._shared[key]

    # -- nodes -----------------------------------------------------------------------------------------------

    def _node(self, node: xnn.XNodeUnion) -> None:
        self._graph.xnodes.append(xnn.XNode(node, len(self._graph.xnodes)))

    def _unary(self, node: type, x: Value) -> Value:
        out = self._value(x.shape)
        self._node(node(x.id, out.id, 0))
        return out

    def _binary(self, node: type, a: Value, b: Value) -> Value:
        out = self._value(np.broadcast_shapes(a.shape, b.shape))
        self._node(node(a.id, b.id, out.id, 0))
        return out

    def add(self, a: Value, b: Value) -> Value:
        return self._binary(xnn.XNNAdd, a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return self._binary(xnn.XNNSubtract, a, b)

    def mul(self, a: Value, b: Value) -> Value:
        return self._binary(xnn.XNNMultiply, a, b)

    def square(self, x: Value) -> Value:
        return self._unary(xnn.XNNSquare, x)

    def rsqrt(self, x: Value) -> Value:
        return self._unary(xnn.XNNReciprocalSquareRoot, x)

    def sigmoid(self, x: Value) -> Value:
        return self._unary(xnn.XNNSigmoid, x)

    def tanh(self, x: Value) -> Value:
        return self._unary(xnn.XNNTanh, x)

    def cos(self, x: Value) -> Value:
        return self._unary(xnn.XNNCos, x)

    def sin(self, x: Value) -> Value:
        return self._unary(xnn.XNNSin, x)

    def softmax(self, x: Value) -> Value:
        """Over the last dimension."""
        return self._unary(xnn.XNNSoftmax, x)

    def matmul(self, a: Value, b: Value, transpose_b: bool = False) -> Value:
        """Batched product (..., M, K) @ (..., K, N), or b as (..., N, K) with `transpose_b`."""
        columns = b.shape[-2] if transpose_b else b.shape[-1]
        out = self._value((*a.shape[:-1], columns))
        self._node(xnn.XNNBatchMatrixMultiply(a.id, b.id, out.id, TRANSPOSE_B if transpose_b else 0))
        return out

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """`shape` may hold one -1, which is inferred when the graph runs."""
        known = -int(np.prod(shape))
        bounds = [int(np.prod(x.shape)) // known if d == -1 else d for d in shape] if -1 in shape else shape
        out = self._value(bounds)
        self._node(xnn.XNNStaticReshape(len(shape), [max(d, 0) for d in shape], x.id, out.id, 0))
        return out

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        out = self._value([x.shape[i] for i in order])
        self._node(xnn.XNNStaticTranspose(len(order), list(order), x.id, out.id, 0))
        return out

    def concat(self, values: Sequence[Value], axis: int) -> Value:
        """Two to five values, joined along `axis`."""
        shape = list(values[0].shape)
        shape[axis] = sum(v.shape[axis] for v in values)
        out = self._value(shape)
        node = (xnn.XNNConcatenate2, xnn.XNNConcatenate3, xnn.XNNConcatenate4, xnn.XNNConcatenate5)[len(values) - 2]
        inputs = [value.id for value in values] + [INVALID_ID] * (5 - len(values))
        self._node(node(axis, *inputs[:4], out.id, 0, inputs[4]))
        return out

    def slice(self, x: Value, axis: int, start: int, size: int) -> Value:
        """`size` rows of a static axis from `start`; the other axes may be dynamic (0 means "all of it")."""
        offsets, sizes, shape = [0] * len(x.shape), [0] * len(x.shape), list(x.shape)
        offsets[axis], sizes[axis], shape[axis] = start, size, size
        out = self._value(shape)
        self._node(xnn.XNNStaticSlice(len(shape), offsets, sizes, x.id, out.id, 0))
        return out

    def _dynamic_int8(self, x: Value) -> Value:
        """x rounded to int8 row by row while the graph runs; made once per value, however many layers read it."""
        if x.id not in self._quantized:
            quant = xnn.PerTokenDynamicQuant(num_nonbatch_dims=1)
            out = self._value(x.shape, xnn.XNNDatatype.xnn_datatype_qdint8, quant)
            self._node(xnn.XNNConvert(x.id, out.id, 0))
            self._quantized[x.id] = out
        return self._quantized[x.id]

    def linear(self, x: Value, weight: Weight) -> Value:
        """x (..., in) @ weight.T + bias: integers meet activations that are rounded while the graph runs."""
        source = x if weight.scale is None else self._dynamic_int8(x)
        key = _key(weight)
        matrix = self._packed(key, weight.data, weight.scale)
        bias = INVALID_ID if weight.bias is None else self._packed(f"{key}.bias", weight.bias).id
        out = self._value((*x.shape[:-1], weight.data.shape[0]))
        self._node(xnn.XNNFullyConnected(source.id, matrix.id, bias, out.id, 0))
        return out

    def serialize(self) -> bytes:
        """The delegate's payload; constants stay outside, in the store."""
        graph = replace(
            self._graph,
            num_externs=len(self.inputs) + len(self.outputs),
            xnodes=[_plain(node) for node in self._graph.xnodes],
            xvalues=[_plain(value) for value in self._graph.xvalues],
        )
        return bytes(serialize_xnnpack_binary(graph, bytearray()))
