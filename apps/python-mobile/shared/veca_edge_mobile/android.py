"""Android: a model file in ExecuTorch's Java API, through Chaquopy's bridge.

Source: ExecuTorch's Java library, package org.pytorch.executorch: `Module.load(String, int, int)`, `getMethods()`,
`execute(String, EValue...)`, `destroy()`; `Tensor.fromBlob(float[], long[])`, `shape()`, `getDataAsFloatArray()`;
`EValue.from(Tensor)`, `toTensor()`. Chaquopy's documentation of its module `java`: `jclass`, `jarray` (which takes
any sequence and offers Python's buffer protocol for numbers), a trailing underscore for names that Python reserves.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge import Model, VecaError
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.pte import read_model_file
from veca_edge.runtime.engines.executorch import ExecutorchEngine
from veca_edge.runtime.model import assembled
from veca_edge.runtime.threads import check_threads

PACKAGE = "org.pytorch.executorch"
Float = NDArray[np.float32]


def open_model(path: str | Path, threads: int | None = None, java: Any = None) -> Model:
    """Open a model file made by `veca-edge convert`. Takes a second or more: not on the main thread.

    Unlike `veca_edge.load` this does not try the file in another process first, which Android does not offer. The
    file's digests are checked, but a file from a stranger can crash the app: ship it with the app.

    Args:
        path: the .pte, as a file of its own; ExecuTorch maps it into memory, so not inside an archive.
        threads: worker threads; None for the number of big cores.
        java: stands for Chaquopy's module `java`.

    Raises:
        VecaError: missing, damaged, another tool's, or not loadable.
    """
    file = read_model_file(path)
    threads = check_threads(threads)
    program = JavaProgram(file.path, threads, import_module("java") if java is None else java)
    engine = ExecutorchEngine(file, threads, program)
    return assembled(file.manifest, engine, file.head, file.digest, file.dense)


class JavaProgram:
    """A loaded ExecuTorch program: methods by name, numpy in and out. One call at a time.

    Inputs and outputs are copied once each way between Python and Java.

    Attributes:
        loaded: the methods that have been called.
    """

    def __init__(self, path: Path, threads: int, java: Any) -> None:
        self._path, self._java = path, java
        self._tensors, self._values = java.jclass(f"{PACKAGE}.Tensor"), java.jclass(f"{PACKAGE}.EValue")
        self._floats, self._longs = java.jarray(java.jfloat), java.jarray(java.jlong)
        self._arguments = java.jarray(self._values)
        self.loaded: set[str] = set()
        module = java.jclass(f"{PACKAGE}.Module")
        try:
            self._module: Any = module.load(str(path), module.LOAD_MODE_MMAP, threads)
            self._methods = frozenset(str(name) for name in self._module.getMethods())
        except Exception as error:  # whatever Java throws
            raise VecaError(f"{path}: ExecuTorch cannot load it: {error}") from None

    def check_shapes(self, manifest: Manifest) -> None:
        """Refuse a manifest of another program, by the methods' names: the Java API tells no shapes."""
        if self._methods != set(manifest.methods):
            raise VecaError(f"{self._path}: the program's methods are not those of its manifest")

    def run(self, method: str, inputs: Sequence[Float]) -> list[Float]:
        """Run a method on float32 arrays; the outputs belong to the caller.

        Raises:
            VecaError: no such method, or ExecuTorch refuses the inputs.
        """
        if method not in self._methods:
            raise VecaError(f"the model file has no method {method!r}: it has {', '.join(sorted(self._methods))}")
        try:
            outputs = self._module.execute(method, self._arguments([self._value(array) for array in inputs]))
            found = [_array(output.toTensor()) for output in outputs]
        except Exception as error:  # whatever Java throws
            raise VecaError(f"ExecuTorch could not run {method}: {error}") from None
        if not found:
            raise VecaError(f"ExecuTorch gave nothing for {method}: the model was closed")
        self.loaded.add(method)
        return found

    def _value(self, array: Float) -> Any:
        # Arrays of Java, because `fromBlob` has a form for each kind of number.
        values = self._floats(np.ascontiguousarray(array).reshape(-1))
        return self._values.from_(self._tensors.fromBlob(values, self._longs(list(array.shape))))

    def close(self) -> None:
        """Free the program; the model cannot be used any more."""
        self._module.destroy()


def _array(tensor: Any) -> Float:
    shape = [int(length) for length in tensor.shape()]
    return np.array(tensor.getDataAsFloatArray(), np.float32).reshape(shape)
