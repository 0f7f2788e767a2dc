"""A stand-in of Chaquopy's bridge to ExecuTorch's Java API: it takes only what the documented signatures take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from veca_edge.modelfile.pte import read_model_file
from veca_edge.runtime.engines.executorch import Program


class Floats(list[float]):
    """float[]."""


class Longs(list[int]):
    """long[]."""


class JavaTensor:
    """org.pytorch.executorch.Tensor."""

    def __init__(self, values: Floats, shape: Longs) -> None:
        self.values, self._shape = values, shape

    @classmethod
    def fromBlob(cls, data: Floats, shape: Longs) -> JavaTensor:  # noqa: N802 - Java's name
        assert type(data) is Floats
        assert type(shape) is Longs
        assert len(data) == np.prod(shape)
        return cls(data, shape)

    def shape(self) -> Longs:
        return self._shape

    def getDataAsFloatArray(self) -> Floats:  # noqa: N802 - Java's name
        return self.values


class JavaValue:
    """org.pytorch.executorch.EValue."""

    def __init__(self, tensor: JavaTensor) -> None:
        self._tensor = tensor

    @classmethod
    def from_(cls, tensor: JavaTensor) -> JavaValue:
        assert type(tensor) is JavaTensor
        return cls(tensor)

    def toTensor(self) -> JavaTensor:  # noqa: N802 - Java's name
        return self._tensor


class JavaValues(list[JavaValue]):
    """EValue[]."""


class JavaModule:
    """org.pytorch.executorch.Module, computing with ExecuTorch's Python package."""

    LOAD_MODE_MMAP = 1

    def __init__(self, path: str) -> None:
        self._program: Program | None = Program(read_model_file(path), 1)
        self._names = read_model_file(path).manifest.methods

    @classmethod
    def load(cls, path: str, mode: int, threads: int) -> JavaModule:
        assert (type(path), mode, type(threads)) == (str, 1, int)
        return cls(path)

    def getMethods(self) -> list[str]:  # noqa: N802 - Java's name
        return list(self._names)

    def execute(self, method: str, inputs: JavaValues) -> list[JavaValue]:
        assert type(inputs) is JavaValues
        if self._program is None:
            return []  # as ExecuTorch's own, beside a line in the log
        tensors = [value.toTensor() for value in inputs]
        given = [np.array(t.values, np.float32).reshape(t.shape()) for t in tensors]
        outputs = self._program.run(method, given)
        return [JavaValue(JavaTensor(Floats(out.reshape(-1)), Longs(out.shape))) for out in outputs]

    def destroy(self) -> None:
        self._program = None


class Java:
    """Chaquopy's module `java`."""

    jfloat, jlong = "float", "long"
    classes: Mapping[str, type] = {
        "org.pytorch.executorch.Module": JavaModule,
        "org.pytorch.executorch.Tensor": JavaTensor,
        "org.pytorch.executorch.EValue": JavaValue,
    }

    def jclass(self, name: str) -> type:
        return self.classes[name]

    def jarray(self, kind: Any) -> type:
        return {"float": Floats, "long": Longs, JavaValue: JavaValues}[kind]
