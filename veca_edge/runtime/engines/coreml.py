"""The Core ML engine: a package's functions in Core ML on a Mac, in numpy elsewhere.

The part that talks to Core ML is written against coremltools' documentation and checked against the signatures of
the installed package; it has not yet run on Apple hardware.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np

from veca_edge.arrays import Float, Image
from veca_edge.errors import VecaError, require, shown
from veca_edge.modelfile.mlpackage import EMBEDDING, FEATURES, IMAGE, LOGITS, MAIN, PROBABILITIES, PackageFile
from veca_edge.runtime.engines.engine import ComputeUnits, Encoded
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter
from veca_edge.runtime.native import quiet

GREY = 127


class Runner(Protocol):
    """Computes one function of a package on an image (H, W, 3)."""

    def run(self, function: str, image: Image) -> Mapping[str, Any]: ...

    def close(self) -> None: ...


class CoreMLEngine:
    """Runs the function that belongs to the budget and the image size.

    Attributes:
        interprets: whether numpy computes, because this is not a Mac.
    """

    name = "coreml"
    threads = 0  # Core ML's own choice

    def __init__(
        self, file: PackageFile, compute_units: ComputeUnits = "all", runner: Runner | None = None
    ) -> None:
        """Open a package. On a Mac it is compiled, and every function is loaded and run once.

        Args:
            file: a package of ours, already checked.
            compute_units: where Core ML may compute; without effect elsewhere.
            runner: what computes; None for Core ML on a Mac, the interpreter elsewhere.

        Raises:
            VecaError: unknown compute units, or Core ML cannot load the package.
        """
        if not isinstance(compute_units, str) or compute_units not in get_args(ComputeUnits):
            raise VecaError(f"compute units {shown(compute_units)}: use {', '.join(get_args(ComputeUnits))}")
        self._file, self._path = file, file.package.path
        self._tasks = file.manifest.tasks  # parsed once, not for every frame
        self.interprets = runner is None and sys.platform != "darwin"
        if runner is None:
            runner = Interpreted(file) if self.interprets else Device(file, compute_units)
        self._runner = runner

    def encode(self, image: Image, cores: int) -> Encoded:
        manifest = self._file.manifest
        height, width = image.shape[:2]
        outputs = self._runner.run(self._file.function_for(cores, height, width), image)
        patches = height // manifest.patch_size * (width // manifest.patch_size)
        return Encoded(
            embedding=self._output(outputs, EMBEDDING, (manifest.feature_dim,)),
            features=self._output(outputs, FEATURES, (patches, manifest.feature_dim)),
            core_attention=None,
            logits=self._logits(outputs),
            dense={task.name: self._output(outputs, task.name, (patches, task.outputs)) for task in self._tasks},
        )

    def _output(self, outputs: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Float:
        """An output of that shape behind the batch of one, or VecaError."""
        value = np.asarray(outputs.get(name, ()), np.float32)
        if value.shape != (1, *shape):
            raise VecaError(f"{self._path}: its output {name} has shape {value.shape}, expected {(1, *shape)}")
        first: Float = value[0]
        return first

    def _logits(self, outputs: Mapping[str, Any]) -> Float | None:
        """Logits (K,), or None without a head. Of a classifier, the logarithms of its probabilities."""
        labels = self._file.manifest.labels
        if not labels:
            return None
        if PROBABILITIES not in outputs:
            return self._output(outputs, LOGITS, (len(labels),))
        found = outputs[PROBABILITIES]
        # Core ML gives them by label, the interpreter in the order of the labels.
        values = [found.get(label, 0.0) for label in labels] if isinstance(found, Mapping) else found
        tiny = float(np.finfo(np.float32).tiny)
        logits = np.log(np.maximum(np.asarray(values, np.float32), tiny))
        return self._output({PROBABILITIES: logits[None]}, PROBABILITIES, (len(labels),))

    def close(self) -> None:
        self._runner.close()


class Interpreted:
    """The interpreter, rounding to float16 where the package says so. Keeps one function's weights in memory."""

    def __init__(self, file: PackageFile) -> None:
        self._package = file.package
        self._interpreter: Interpreter | None = None

    def run(self, function: str, image: Image) -> Mapping[str, Any]:
        if self._interpreter is None or self._interpreter.function.name != function:
            self._interpreter = None  # before the next one takes as much
            self._interpreter = Interpreter(self._package, function, "fp16")
        return self._interpreter.run({IMAGE: image})

    def close(self) -> None:
        self._interpreter = None


class Device:
    """Core ML through coremltools. Not yet run on Apple hardware.

    The package is compiled once, and every function is loaded from the compiled model. The first call of a function
    can take seconds while the system prepares it for its compute units, so each is called once here.
    """

    def __init__(self, file: PackageFile, compute_units: ComputeUnits) -> None:
        require("coremltools", "coreml")
        require("PIL", "coreml")
        with quiet():
            from coremltools import ComputeUnit
            from coremltools.models import CompiledMLModel
            from coremltools.models.utils import compile_model
            from PIL.Image import fromarray

        self._path, self._from_array = file.package.path, fromarray
        self._folder = tempfile.TemporaryDirectory(prefix="veca-edge-")
        units = ComputeUnit[compute_units.upper()]
        try:
            compiled = compile_model(str(file.package.path), str(Path(self._folder.name) / "model.mlmodelc"))
            # A package of one function for iOS 17 has no function names.
            self._models: dict[str, Any] = {
                name: CompiledMLModel(compiled, compute_units=units, function_name=None if name == MAIN else name)
                for name in file.package.functions
            }
        except Exception as error:  # whatever the system says
            self._folder.cleanup()
            raise VecaError(f"{file.package.path}: Core ML cannot load it: {error}") from None
        for cores in file.manifest.budgets:
            for (height, width), name in file.sizes(cores).items():
                self.run(name, np.full((height, width, 3), GREY, np.uint8))

    def run(self, function: str, image: Image) -> Mapping[str, Any]:
        try:
            outputs: Mapping[str, Any] = self._models[function].predict({IMAGE: self._from_array(image)})
        except Exception as error:
            raise VecaError(f"{self._path}: Core ML cannot run {function}: {error}") from None
        return outputs

    def close(self) -> None:
        self._models = {}
        self._folder.cleanup()
