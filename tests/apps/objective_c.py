"""A stand-in of rubicon-objc's bridge to Core ML: its classes as far as they are used; the interpreter computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from veca_edge_mobile import rubicon

from veca_edge.modelfile.mlprogram.package import open_package
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

Image = NDArray[np.uint8]


class Number:
    """NSNumber."""

    def __init__(self, value: int) -> None:
        self.value = value


class Multi:
    """MLMultiArray whose rows are padded, in 16-bit floats if asked for."""

    def __init__(self, values: NDArray[np.float32], half: bool) -> None:
        self._memory = np.full((*values.shape[:-1], values.shape[-1] + 5), np.nan, "f2" if half else "f4")
        self._memory[..., : values.shape[-1]] = values
        size = self._memory.itemsize
        self.shape = [Number(n) for n in values.shape]
        self.strides = [Number(n // size) for n in self._memory.strides]
        self.dataType = 65552 if half else 65568
        self.dataPointer = self._memory.ctypes.data


class Outputs:
    """MLFeatureProvider."""

    def __init__(self, values: Mapping[str, Multi]) -> None:
        self._values = values
        self.featureNames = SimpleNamespace(allObjects=list(values))

    def featureValueForName(self, name: str) -> Any:  # noqa: N802 - Apple's name
        return SimpleNamespace(multiArrayValue=self._values[name])


class ObjectiveC:
    """The bridge, with Core ML's classes as far as they are used; the interpreter computes.

    Attributes:
        configured: function name and compute units of each model that was loaded.
        pools: autorelease pools that are open.
        failing: the method that fails from now on.
    """

    def __init__(self, half: bool = False) -> None:
        self._half = half
        self.configured: list[tuple[str | None, int]] = []
        self.pools = 0
        self.failing = ""

    def load_class(self, name: str) -> Any:
        return {
            "NSURL": SimpleNamespace(fileURLWithPath=lambda path: ("url", path)),
            "MLModel": SimpleNamespace(compileModelAtURL=self._compile, modelWithContentsOfURL=self._load),
            "MLModelConfiguration": SimpleNamespace(
                alloc=lambda: SimpleNamespace(init=lambda: SimpleNamespace(functionName=None, computeUnits=2))
            ),
            "MLDictionaryFeatureProvider": SimpleNamespace(
                alloc=lambda: SimpleNamespace(initWithDictionary=self._features)
            ),
        }[name]

    def plain(self, value: Any) -> Any:
        if isinstance(value, Number):
            return value.value
        return [self.plain(item) for item in value] if isinstance(value, list) else value

    def error(self) -> Any:
        return SimpleNamespace(reference="slot", text=lambda: "because")

    @contextmanager
    def pool(self) -> Iterator[None]:
        self.pools += 1
        yield
        self.pools -= 1

    @contextmanager
    def picture(self, image: Image) -> Iterator[Any]:
        height, width, _ = image.shape
        stride = 4 * width + 64
        memory = np.zeros((height, stride), np.uint8)
        rubicon.fill_bgra(memory.ctypes.data, stride, image)
        assert not memory[:, 4 * width :].any()
        yield memory[:, : 4 * width].reshape(height, width, 4)

    def _compile(self, url: Any, error: Any) -> Any:
        assert (url[0], error, self.pools) == ("url", "slot", 1)
        return None if self.failing == "compile" else ("compiled", url[1])

    def _load(self, url: Any, configuration: Any, error: Any) -> Any:
        assert (url[0], error) == ("compiled", "slot")
        if self.failing == "load":
            return None
        self.configured.append((configuration.functionName, configuration.computeUnits))
        interpreter = Interpreter(open_package(Path(url[1])), configuration.functionName, "fp16")
        return SimpleNamespace(predictionFromFeatures=lambda given, error: self._predict(interpreter, given, error))

    def _features(self, values: Mapping[str, Any], error: Any) -> Any:
        assert error == "slot"
        return values

    def _predict(self, interpreter: Interpreter, given: Mapping[str, Any], error: Any) -> Any:
        assert (error, self.pools) == ("slot", 1)
        if self.failing == "predict":
            return None
        bgra = given["image"]
        assert (bgra[..., 3] == 255).all()
        outputs = interpreter.run({"image": np.ascontiguousarray(bgra[..., 2::-1])})
        return Outputs({name: Multi(np.asarray(value, np.float32), self._half) for name, value in outputs.items()})
