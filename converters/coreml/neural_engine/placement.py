"""Holds what is known of the Neural Engine against the operations of a function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from veca_edge.converters.coreml.neural_engine.rules import RULES, SEEN, Rule, Site
from veca_edge.modelfile.mlprogram.program import Function, Operation


@dataclass(frozen=True)
class Finding:
    """A rule and the operations of a function that it holds for, each by the name of its first result."""

    rule: Rule
    operations: tuple[str, ...]


@dataclass(frozen=True)
class Placement:
    """What is known of a function's operations.

    Attributes:
        findings: rules that hold.
        seen: kinds that no rule holds for and that were seen on the Neural Engine in some model.
        unreported: the other kinds: no report of a fallback, nor of the contrary.
    """

    findings: tuple[Finding, ...]
    seen: tuple[str, ...]
    unreported: tuple[str, ...]


def review(function: Function, names: Mapping[str, str] = MappingProxyType({})) -> Placement:
    """Hold all rules against a function's operations.

    Args:
        function: any.
        names: what variables are to be called, where that is not what the program calls them.
    """
    sites = list(_sites(function))
    found: dict[Rule, list[str]] = {}
    flagged = set()
    for site in sites:
        for rule in RULES:
            if _speaks_of(rule, site.operation.kind) and rule.holds(site):
                found.setdefault(rule, []).append(_name(site.operation, names))
                flagged.add(site.operation.kind)
    kinds = dict.fromkeys(s.operation.kind for s in sites if not s.operation.kind.startswith("const"))
    kept = kinds.keys() - flagged
    return Placement(
        findings=tuple(Finding(rule, tuple(found[rule])) for rule in RULES if rule in found),
        seen=tuple(kind for kind in kinds if kind in kept & SEEN.keys()),
        unreported=tuple(kind for kind in kinds if kind in kept - SEEN.keys()),
    )


def _sites(function: Function) -> Iterator[Site]:
    variables = [*function.inputs, *(v for operation in function.operations for v in operation.outputs)]
    types = {variable.name: variable.type for variable in variables if variable.type is not None}
    constants = {
        operation.outputs[0].name: operation.attributes["val"]
        for operation in function.operations
        if operation.kind == "const" and operation.outputs and "val" in operation.attributes
    }
    written = {name: value for name, value in constants.items() if isinstance(value, np.ndarray)}
    return (Site(operation, types, written) for operation in function.operations if operation.kind != "const")


def _speaks_of(rule: Rule, kind: str) -> bool:
    """Whether a rule is about operations of a kind; weights are unpacked on loading, so general ones are not."""
    return kind in rule.kinds or (not rule.kinds and not kind.startswith("constexpr"))


def _name(operation: Operation, names: Mapping[str, str]) -> str:
    """For people."""
    if not operation.outputs:
        return operation.kind
    name = operation.outputs[0].name
    return names.get(name, name)[:80]
