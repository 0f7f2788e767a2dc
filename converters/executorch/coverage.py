"""What a program's methods consist of: delegate calls, operators left outside, and bytes."""

from __future__ import annotations

from dataclasses import dataclass

from executorch.exir._serialize._program import deserialize_pte_binary

from veca_edge.errors import VecaError


@dataclass(frozen=True)
class MethodCoverage:
    """One method.

    Attributes:
        delegates: delegates that it calls, by backend name.
        operators: operators that run outside of any delegate.
        graph_bytes: size of its delegates' graphs, weights apart.
    """

    delegates: tuple[str, ...]
    operators: tuple[str, ...]
    graph_bytes: int


@dataclass(frozen=True)
class Coverage:
    """A whole program.

    Attributes:
        methods: by name.
        weight_bytes: weights and other constants, which all methods share.
        graph_bytes: all graphs, of which methods that differ in reserved memory alone share one.
    """

    methods: dict[str, MethodCoverage]
    weight_bytes: int
    graph_bytes: int


def read_coverage(program: bytes) -> Coverage:
    """Take a program apart.

    Raises:
        VecaError: the bytes are no ExecuTorch program.
    """
    try:
        contents = deserialize_pte_binary(program)
    except Exception as error:  # the parser raises whatever the damage leads to
        raise VecaError(f"not an ExecuTorch program: {error}") from None
    data, methods = contents.program.backend_delegate_data, {}
    for plan in contents.program.execution_plan:
        methods[plan.name] = MethodCoverage(
            delegates=tuple(delegate.id for delegate in plan.delegates),
            operators=tuple(operator.name for operator in plan.operators),
            graph_bytes=sum(len(data[delegate.processed.index].data) for delegate in plan.delegates),
        )
    named = contents.named_data.buffers if contents.named_data else []
    graphs = sum(len(graph) for graph in {delegate.data for delegate in data})
    return Coverage(methods, sum(len(buffer) for buffer in named), graphs)


def check_coverage(program: bytes, expected: set[str]) -> Coverage:
    """Refuse a program unless each expected method is exactly one XNNPACK delegate and nothing else.

    Raises:
        VecaError: naming the method and what it holds.
    """
    coverage = read_coverage(program)
    if set(coverage.methods) != expected:
        raise VecaError(f"the program has methods {sorted(coverage.methods)}, expected {sorted(expected)}")
    for name, method in coverage.methods.items():
        if method.operators or method.delegates != ("XnnpackBackend",):
            outside = ", ".join(method.operators) or f"{len(method.delegates)} delegates"
            raise VecaError(f"{name} is not one XNNPACK delegate: {outside}")
    return coverage
