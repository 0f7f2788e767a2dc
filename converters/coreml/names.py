"""Short names in a Core ML program: with eight functions of the same graph, names are a third of its size.

coremltools gives each operation a name beside that of its result, and those are removed. Core ML does not need
them: Chromium's WebNN writes its programs without (services/webnn/coreml/graph_builder.cc).
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count, product
from typing import Any


def shorten_names(specification: Any) -> dict[str, str]:
    """Remove the names of operations, and give values short names, the same in every function.

    Args:
        specification: a `Model` message with an ML program; it is changed. Inputs and outputs of functions keep
            their names.

    Returns:
        The full names by the short ones.
    """
    program = specification.mlProgram
    blocks = [block for f in program.functions.values() for block in f.block_specializations.values()]
    kept = {entry.name for f in program.functions.values() for entry in f.inputs}
    kept.update(output for block in blocks for output in block.outputs)
    named = [entry for block in blocks for operation in block.operations for entry in _named(operation)]
    uses = Counter(entry.name for entry in named if entry.name not in kept)
    free = (name for name in _short_names() if name not in kept)
    # Equal counts in the order of computation, so that the same model gives the same file.
    short = dict(zip((name for name, _ in uses.most_common()), free, strict=False))
    for entry in named:
        entry.name = short.get(entry.name, entry.name)
    for block in blocks:
        for operation in block.operations:
            operation.attributes.pop("name", None)
    return {new: old for old, new in short.items()}


def _named(operation: Any) -> Iterator[Any]:
    """What bears the name of a value: an operation's results, and what it reads."""
    yield from operation.outputs
    for argument in operation.inputs.values():
        yield from (binding for binding in argument.arguments if binding.WhichOneof("binding") == "name")


def _short_names() -> Iterator[str]:
    """a, ..., z, A, ..., Z, aa, ba, ...; digits from the second letter on."""
    later = string.ascii_letters + string.digits
    letters: Iterable[tuple[str, ...]] = (
        (first, *rest)
        for length in count()
        for rest in product(later, repeat=length)
        for first in string.ascii_letters
    )
    yield from map("".join, letters)
