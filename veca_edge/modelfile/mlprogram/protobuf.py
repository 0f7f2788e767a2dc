"""Core ML's protobuf messages, as coremltools brings them."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from veca_edge.errors import VecaError, require

# Under a name of their own: importing coremltools itself takes seconds and prints what it thinks of other packages'
# versions. The messages are the same objects if coremltools is imported later.
PACKAGE = "veca_edge.modelfile.mlprogram.coremltools_proto"


def parse_model(data: bytes) -> Any:
    """A `CoreML.Specification.Model` message.

    Raises:
        VecaError: not such a message, or coremltools is not installed.
    """
    module = _model_messages()
    from google.protobuf.message import DecodeError

    try:
        return module.Model.FromString(data)
    except (DecodeError, ValueError, RecursionError):
        raise VecaError("the model specification is damaged") from None


def _model_messages() -> ModuleType:
    """The module `Model_pb2`."""
    require("coremltools", "coreml")
    try:
        if "coremltools.proto" in sys.modules:
            return import_module("coremltools.proto.Model_pb2")
        if PACKAGE not in sys.modules:
            _import_alone()
        return import_module(f"{PACKAGE}.Model_pb2")
    except (ImportError, OSError, AttributeError, TypeError) as error:
        raise VecaError(f"the installed coremltools cannot be used: {error}") from None


def _import_alone() -> None:
    """Import the package `coremltools.proto` without its parent."""
    parent = find_spec("coremltools")
    folders = [] if parent is None else list(parent.submodule_search_locations or ())
    if not folders:
        raise ImportError("it is not a package")
    folder = Path(folders[0]) / "proto"
    spec = spec_from_file_location(PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError("it has no messages")
    module = sys.modules[PACKAGE] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[PACKAGE]
        raise
