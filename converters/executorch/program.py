"""ExecuTorch programs of which every method is one delegate, assembled without torch.export."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from executorch.exir import schema
from executorch.exir._serialize._named_data_store import NamedDataStore
from executorch.exir._serialize._program import PTEFile, serialize_pte_binary
from executorch.exir.scalar_type import ScalarType

from veca_edge.converters.executorch.xnnpack import ConstantStore, GraphBuilder

ALIGNMENT = 16
SCHEMA_VERSION = 0


def _tensor(shape: tuple[int, ...], dynamic: bool, offset: int | None) -> schema.EValue:
    place = None if offset is None else schema.AllocationDetails(1, offset & 0xFFFFFFFF, offset >> 32)
    dynamism = schema.TensorShapeDynamism.DYNAMIC_BOUND if dynamic else schema.TensorShapeDynamism.STATIC
    order = list(range(len(shape)))
    tensor = schema.Tensor(ScalarType.FLOAT, 0, list(shape), order, False, 0, 0, place, dynamism)
    return schema.EValue(tensor)


@dataclass(frozen=True)
class Method:
    """One method of a program.

    Attributes:
        graph: what runs, with the sizes that memory is first planned for.
        bounds: the same graph built at the largest sizes that callers may use, or None if the sizes are fixed.
    """

    graph: GraphBuilder
    bounds: GraphBuilder | None = None


def assemble(methods: Mapping[str, Method], constants: ConstantStore) -> bytes:
    """The .pte with these methods, every constant and every graph stored once.

    Args:
        methods: method name to method.
        constants: the store that the graphs' constants were put in.
    """
    graphs = list({id(m.graph): m.graph for m in methods.values()}.values())
    store = NamedDataStore()
    for key, blob in constants.blobs.items():
        store.add_named_data(key, blob, ALIGNMENT)
    program = schema.Program(
        version=SCHEMA_VERSION,
        execution_plan=[_plan(name, method, graphs.index(method.graph)) for name, method in methods.items()],
        constant_buffer=[schema.Buffer(b"")],  # index 0 stands for "not a constant"
        backend_delegate_data=[schema.BackendDelegateInlineData(graph.serialize()) for graph in graphs],
        segments=[],
        constant_segment=schema.SubsegmentOffsets(segment_index=0, offsets=[]),
    )
    named = store.get_named_data_store_output()
    return bytes(serialize_pte_binary(PTEFile(program, named_data=named), extract_delegate_segments=True))


def _plan(name: str, method: Method, index: int) -> schema.ExecutionPlan:
    """One call of a delegate: inputs are read where the caller has them, outputs lie in one planned buffer."""
    shapes, dynamic = method.bounds or method.graph, method.bounds is not None
    values, offset = [_tensor(v.shape, dynamic, None) for v in shapes.inputs], ALIGNMENT
    for output in shapes.outputs:
        values.append(_tensor(output.shape, dynamic, offset))
        offset += math.ceil(4 * math.prod(output.shape) / ALIGNMENT) * ALIGNMENT
    everything, count = list(range(len(values))), len(shapes.inputs)
    graph = schema.BackendDelegateDataReference(schema.DataLocation.INLINE, index)
    return schema.ExecutionPlan(
        name=name,
        container_meta_type=schema.ContainerMetadata("", ""),
        values=values,
        inputs=everything[:count],
        outputs=everything[count:],
        chains=[schema.Chain([], [], [schema.Instruction(schema.DelegateCall(0, everything))], None)],
        operators=[],
        delegates=[schema.BackendDelegate("XnnpackBackend", graph, [])],
        non_const_buffer_sizes=[0, offset],
    )
