"""ExecuTorch's compiled Python binding, under the name that the installed version gives it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from veca_edge.arrays import Float
from veca_edge.errors import VecaError, require

# Since ExecuTorch 1.5, and in 1.4. Not `portable_lib`, their Python wrapper: it imports the exporter (4 s, 150 MB).
NAMES = ("_C", "_portable_lib")
PAIRS = "pip install 'veca-edge[run]' brings versions that go together"


def executorch_version() -> str:
    """The installed version, "" if there is none."""
    return _version("executorch")


def load_binding() -> Any:
    """The compiled module.

    Raises:
        VecaError: ExecuTorch is not installed, has no runtime, or cannot be loaded beside the installed PyTorch.
    """
    require("executorch", "run")
    try:
        with suppress(ModuleNotFoundError):
            import_module("torch")  # until ExecuTorch 1.6 the binding needs its libraries, and finds them loaded
        for name in NAMES:
            with suppress(ModuleNotFoundError):
                return import_module(f"executorch.extension.pybindings.{name}")
    except (ImportError, OSError, ValueError) as error:  # Value: PyTorch without a library of its GPU
        torch = _version("torch")
        beside = f"beside torch {torch}" if torch else "without torch"
        reason = str(error).partition("\n")[0][:200]
        raise VecaError(f"executorch {executorch_version()} does not load {beside} ({reason}): {PAIRS}") from None
    except RuntimeError as error:
        if "shutdown" not in str(error):
            raise
        raise VecaError("the program is ending, which is too late to load ExecuTorch: open models before") from None
    raise VecaError(f"executorch {executorch_version()} comes without a runtime for Python: {PAIRS}")


def input_maker() -> Callable[[Float], Any]:
    """What makes an input for the binding of a contiguous array, without a copy.

    Before ExecuTorch 1.6 inputs are PyTorch's tensors; since then it takes arrays where there is no PyTorch.
    """
    try:
        from torch import from_numpy
    except ImportError:
        return lambda array: array
    make: Callable[[Float], Any] = from_numpy
    return make


def output_reader() -> Callable[[Any], Float]:
    """What makes an array of one of the binding's outputs, without a copy: a tensor, or something with a buffer."""
    try:
        from torch import Tensor
    except ImportError:
        return np.asarray

    def read(output: Any) -> Float:
        # `asarray` would look for a buffer and two protocols first.
        array: Float = output.numpy() if isinstance(output, Tensor) else np.asarray(output)
        return array

    return read


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
