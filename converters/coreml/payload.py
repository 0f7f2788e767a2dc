"""ExecuTorch files that run on Core ML: the package is stored once, and each method calls one of its functions.

What lies in the file is what ExecuTorch's own Core ML backend writes when it shares weights between methods by
position (executorch/backends/apple/coreml/compiler): named data with the package's folder in one piece, and per
method a reference to it with the function's name. The package itself is the one of `coreml.convert`, because the
general route through torch.export gives up what that graph was written for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from veca_edge.errors import VecaError

BACKEND = "CoreMLBackend"
REFERENCE = b"CMJR"  # before a reference, where a payload would begin otherwise
PACKAGE, METADATA = "model.mlpackage", "metadata.json"
MAX_INDEX = 2**20  # bytes of the folder's table of contents
MAX_ENTRIES = 64  # files and folders; a package has nine
DIRECTORY = 1

Shapes = tuple[list[tuple[int, ...]], list[tuple[int, ...]]]


def build_payload(folder: Path, methods: Mapping[str, Shapes], half: bool) -> bytes:
    """The ExecuTorch program of a package.

    Args:
        folder: holds the package under the name `PACKAGE`, and nothing else; its metadata are written into it.
        methods: function name to the shapes of its inputs and outputs, all float32.
        half: whether the package computes in float16.
    """
    import coremltools as ct
    from executorch.backends.apple.coreml import executorchcoreml
    from executorch.backends.apple.coreml.compiler import CoreMLBackend
    from executorch.backends.apple.coreml.compiler.coreml_preprocess import MULTIMETHOD_WEIGHT_SHARING_STRATEGY
    from executorch.exir.schema import BackendDelegate, BackendDelegateDataReference, DataLocation

    from veca_edge.converters.executorch.program import execution_plan, serialize_program

    identifier = f"executorch_{uuid4()}"
    names = {name: _names(folder / PACKAGE, name) for name in methods}
    (folder / METADATA).write_text(json.dumps({"identifier": identifier, "methods": names}))
    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=ct.target.iOS18,
        compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
    )
    positional = MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL
    specs.append(CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(positional))
    key, plans, references = f"coreml_{identifier}", [], []
    for index, (name, (inputs, outputs)) in enumerate(methods.items()):
        place = BackendDelegateDataReference(DataLocation.INLINE, index)
        plans.append(execution_plan(name, inputs, outputs, BackendDelegate(BACKEND, place, specs)))
        reference = {"version": 1, "key": key, "functionName": name}
        references.append(REFERENCE + json.dumps(reference).encode())
    blob = executorchcoreml.flatten_directory_contents(str(folder))
    if not blob:
        raise VecaError("ExecuTorch could not pack the package")
    return serialize_program(plans, references, {key: blob})


def _names(package: Path, function: str) -> dict[str, list[str]]:
    from veca_edge.modelfile.mlprogram.package import open_package

    opened = open_package(package)
    return {
        "inputNames": [feature.name for feature in opened.inputs[function]],
        "outputNames": [feature.name for feature in opened.outputs[function]],
    }


def unpack_payload(program: bytes, folder: Path) -> Path:
    """Write the package of an ExecuTorch program back to the disk.

    Args:
        program: untrusted.
        folder: where; nothing outside of it is written.

    Returns:
        The package.

    Raises:
        VecaError: no such program, or one whose methods do not all refer to one package in it.
    """
    from executorch.exir._serialize._program import deserialize_pte_binary

    try:
        contents = deserialize_pte_binary(program)
    except Exception as error:  # the parser raises whatever the damage leads to
        raise VecaError(f"not an ExecuTorch program: {error}") from None
    data, keys = contents.program.backend_delegate_data, set()
    for plan in contents.program.execution_plan:
        if [delegate.id for delegate in plan.delegates] != [BACKEND] or plan.operators:
            raise VecaError(f"method {plan.name} is not one Core ML delegate")
        index = plan.delegates[0].processed.index
        payload = bytes(data[index].data) if index < len(data) else b""
        reference = _read_json(payload.removeprefix(REFERENCE)) if payload.startswith(REFERENCE) else {}
        if reference.get("functionName") != plan.name:
            raise VecaError(f"method {plan.name} does not refer to a function of its name")
        keys.add(reference.get("key"))
    named = contents.named_data
    if named is None or len(keys) != 1 or not (entry := named.pte_data.get(keys.pop())):
        raise VecaError("the methods do not share one package")
    _unflatten(bytes(named.buffers[entry.buffer_index]), folder)
    return folder / PACKAGE


def _unflatten(blob: bytes, folder: Path) -> None:
    """Write the files of a flattened folder: their bytes one after another, then a table of contents, reversed."""
    index = _read_json(blob[: -MAX_INDEX - 1 : -1], prefix=True)
    nodes = index.get("nodes")
    if not isinstance(nodes, list) or not nodes:
        raise VecaError("the package in the program has no table of contents")
    entries, left = 0, len(blob)

    def write(number: Any, path: Path) -> None:
        nonlocal entries, left
        node, entries = nodes[number], entries + 1
        if entries > MAX_ENTRIES:
            raise VecaError("the package in the program holds too many files")
        if node["kind"] == DIRECTORY:
            path.mkdir(parents=True, exist_ok=True)
            for name, child in node["children"].items():
                if not name or name in (".", "..") or set(name) & set("/\\:\0"):
                    raise VecaError(f"the package in the program holds a file of an impossible name: {name[:40]!r}")
                write(child, path / name)
            return
        begin, size = node["dataRegion"]["offset"], node["dataRegion"]["size"]
        left -= size
        if min(begin, size, left) < 0 or begin + size > len(blob):
            raise VecaError("the package in the program is damaged")
        path.write_bytes(blob[begin : begin + size])

    try:
        write(len(nodes) - 1, folder)  # children come before their folder
    except (KeyError, TypeError, IndexError, AttributeError):
        raise VecaError("the package in the program is damaged") from None


def _read_json(text: bytes, prefix: bool = False) -> dict[str, Any]:
    """A JSON object, or {}; with `prefix` other bytes may follow it."""
    try:
        decoded = text.decode("latin-1" if prefix else "utf-8")
        value: Any = json.JSONDecoder().raw_decode(decoded)[0] if prefix else json.loads(decoded)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
