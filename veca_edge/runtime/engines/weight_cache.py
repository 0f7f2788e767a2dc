"""XNNPACK's cache of packed weights, switched on where the Python runtime leaves it off.

XNNPACK packs a weight once per use unless this cache is on, and the elastic graph uses each weight twice: for the
cores and for the patches. With the cache a model needs half the memory, and the second use finds the weight in the
processor's cache. The runtimes for Android and Apple are built with it on; the Python wheel has it as a backend
option (`weight_cache_enabled`) without a Python function that sets it, so the option's C++ entry point is called
directly. It is read back before it counts as set; where anything differs from what is expected, nothing happens.
"""

from __future__ import annotations

import ctypes
import warnings
from typing import Any

from veca_edge.errors import VecaError, VecaWarning
from veca_edge.runtime.engines.binding import executorch_version, load_binding

KNOWN_VERSIONS = ("1.4.", "1.5.")  # whose option structure is the one below
BACKEND = b"XnnpackBackend"
OPTION = b"weight_cache_enabled"
GET_BACKEND = "_ZN10executorch7runtime17get_backend_classEPKc"
ACCESS = (
    "_ZN10executorch8backends14XnnpackBackend10{}_optionERNS_7runtime20BackendOptionContextE"
    "R{}NS2_4SpanINS2_13BackendOptionEEE"
)


class _Option(ctypes.Structure):
    """`executorch::runtime::BackendOption`: a key, and a variant of bool, int and 256 characters."""

    _fields_ = (
        ("key", ctypes.c_char * 64),
        ("value", ctypes.c_uint8 * 256),
        ("kind", ctypes.c_uint8),
        ("padding", ctypes.c_uint8 * 3),
    )


class _Span(ctypes.Structure):
    _fields_ = (("data", ctypes.POINTER(_Option)), ("length", ctypes.c_size_t))


def enable_weight_cache() -> bool:
    """Switch the cache on for models loaded from now on; whether it is on."""
    if not executorch_version().startswith(KNOWN_VERSIONS):
        return False
    try:
        library = ctypes.CDLL(load_binding().__file__)  # and the libraries that it is linked with
        find, write, read = (
            getattr(library, name) for name in (GET_BACKEND, ACCESS.format("set", "K"), ACCESS.format("get", ""))
        )
    except (VecaError, OSError, AttributeError):
        return False
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    backend = find(BACKEND)
    if not backend:
        return False
    return _access(write, backend, value=1) is not None and _access(read, backend, value=0) == 1


def warn_without_cache() -> None:
    """Say that models need more memory than they should; Python shows a warning of one text once per place."""
    warnings.warn(
        f"executorch {executorch_version()}: its cache of packed weights cannot be switched on, so each method "
        "that runs packs the weights for itself, and memory holds them more than once; "
        f"known to work: {', '.join(f'{known}x' for known in KNOWN_VERSIONS)}",
        VecaWarning,
        stacklevel=2,
    )


def _access(function: Any, backend: int, value: int) -> int | None:
    """Call the option's getter or setter; the value afterwards, or None on an error."""
    function.restype = ctypes.c_uint32
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    option = _Option(key=OPTION)
    option.value[0] = value
    span = _Span(ctypes.pointer(option), 1)
    context = (ctypes.c_uint8 * 64)()  # an empty class; room to spare
    error = function(backend, ctypes.byref(context), ctypes.byref(span))
    return None if error else int(option.value[0])
