"""iOS: a Core ML package in Core ML, through rubicon-objc. Also macOS, where rubicon-objc runs too.

Source: Apple's documentation of `MLModel` (`compileModelAtURL:error:`,
`modelWithContentsOfURL:configuration:error:`, `predictionFromFeatures:error:`), `MLModelConfiguration`
(`computeUnits`: CPU only 0, CPU and GPU 1, all 2, CPU and Neural Engine 3; `functionName`, iOS 18),
`MLDictionaryFeatureProvider`, `MLFeatureValue` and `MLMultiArray` (`dataType`: 32-bit floats 65568, 16-bit floats
65552; `strides` count elements and rows may be padded).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge import Model, VecaError
from veca_edge.modelfile.mlpackage import IMAGE, MAIN, PackageFile, read_package_file
from veca_edge.runtime.engines.coreml import CoreMLEngine
from veca_edge.runtime.engines.engine import ComputeUnits
from veca_edge.runtime.model import assembled
from veca_edge.sensors.apple import value_of
from veca_edge_mobile.rubicon import Bridge, Rubicon

UNITS: dict[ComputeUnits, int] = {"cpu_only": 0, "cpu_and_gpu": 1, "all": 2, "cpu_and_ne": 3}
KINDS: dict[int, np.dtype[Any]] = {65568: np.dtype("f4"), 65552: np.dtype("f2"), 65600: np.dtype("f8")}
LARGEST = 2**28  # bytes of one output; more is damage

Float = NDArray[np.float32]
Image = NDArray[np.uint8]


def open_model(path: str | Path, compute_units: ComputeUnits = "all", bridge: Bridge | None = None) -> Model:
    """Open a package made by `veca-edge convert --target coreml`. Compiles it: seconds, not on the main thread.

    Each core budget is a function of the package, loaded at its first call, which takes seconds more.

    Args:
        path: the .mlpackage, in the app's bundle.
        compute_units: where Core ML may compute.
        bridge: the way to Objective-C; None for rubicon-objc.

    Raises:
        VecaError: missing, damaged, another tool's, or not loadable.
    """
    file = read_package_file(Path(path))
    runner = CoreMLRunner(file, compute_units, Rubicon() if bridge is None else bridge)
    return assembled(file.manifest, CoreMLEngine(file, compute_units, runner), digest=file.manifest.program_digest)


class CoreMLRunner:
    """Computes the functions of a package in Core ML. One call at a time."""

    def __init__(self, file: PackageFile, compute_units: ComputeUnits, bridge: Bridge) -> None:
        self._bridge, self._path = bridge, file.package.path
        self._units = UNITS[compute_units]
        self._models: dict[str, Any] = {}
        with bridge.pool():
            url = bridge.load_class("NSURL").fileURLWithPath(str(self._path))
            self._compiled = self._result(
                "compile it", lambda error: bridge.load_class("MLModel").compileModelAtURL(url, error=error)
            )

    def run(self, function: str, image: Image) -> Mapping[str, Any]:
        """The function's outputs by name, float32, for an image (H, W, 3)."""
        bridge = self._bridge
        with bridge.pool(), bridge.picture(image) as picture:
            features = bridge.load_class("MLDictionaryFeatureProvider").alloc()
            given = self._result(
                "take the image", lambda error: features.initWithDictionary({IMAGE: picture}, error=error)
            )
            model = self._model(function)
            outputs = self._result(
                f"run {function}", lambda error: model.predictionFromFeatures(given, error=error)
            )
            names = bridge.plain(value_of(value_of(outputs, "featureNames"), "allObjects"))
            return {name: self._output(outputs.featureValueForName(name)) for name in names}

    def _model(self, function: str) -> Any:
        if function not in self._models:
            configuration = self._bridge.load_class("MLModelConfiguration").alloc().init()
            configuration.computeUnits = self._units
            if function != MAIN:  # a package of one function for iOS 17 knows no function names
                configuration.functionName = function
            models = self._bridge.load_class("MLModel")
            self._models[function] = self._result(
                f"load {function}",
                lambda error: models.modelWithContentsOfURL(
                    self._compiled, configuration=configuration, error=error
                ),
            )
        return self._models[function]

    def _output(self, value: Any) -> Any:
        """A feature value: an array, or a classifier's probabilities by label, or its label."""
        plain, array = self._bridge.plain, value_of(value, "multiArrayValue")
        if array is not None:
            shape, strides = (plain(value_of(array, name)) for name in ("shape", "strides"))
            return as_array(int(value_of(array, "dataPointer")), shape, strides, int(value_of(array, "dataType")))
        table = plain(value_of(value, "dictionaryValue"))
        return table or plain(value_of(value, "stringValue"))

    def _result(self, what: str, call: Any) -> Any:
        """What a method with an error argument gives; nothing means that it failed."""
        error = self._bridge.error()
        found = call(error.reference)
        if found is None:
            raise VecaError(f"{self._path}: Core ML cannot {what}: {error.text()}")
        return found

    def close(self) -> None:
        """Give the models back; the compiled package stays until the system clears the app's temporary files."""
        self._models = {}


def as_array(address: int, shape: list[int], strides: list[int], kind: int) -> Float:
    """A copy of an MLMultiArray's memory as float32.

    Args:
        address: of the first element.
        shape: length along each axis.
        strides: elements from one to the next along each axis, at least 0.
        kind: its MLMultiArrayDataType.

    Raises:
        VecaError: another kind of number, or a shape that is not valid.
    """
    if kind not in KINDS or len(shape) != len(strides) or min([*shape, 1]) < 1 or min([*strides, 0]) < 0:
        raise VecaError(f"Core ML gave an array of kind {kind}, shape {shape}, strides {strides}: cannot be read")
    size = KINDS[kind].itemsize
    reach = size * (1 + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True)))
    if max(reach, 4 * math.prod(shape)) > LARGEST:
        raise VecaError(f"Core ML gave an array of shape {shape}, strides {strides}: larger than any model's")
    memory = (ctypes.c_uint8 * reach).from_address(address)
    flat = np.frombuffer(memoryview(memory), KINDS[kind])
    view = np.lib.stride_tricks.as_strided(flat, shape, [size * stride for stride in strides], writeable=False)
    return np.array(view, np.float32)
