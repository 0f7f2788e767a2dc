"""The way from Python to Objective-C: rubicon-objc, and the few C functions of CoreVideo that make a picture.

Source: rubicon-objc's documentation (keyword arguments for the later parts of a method's name, `send_message`,
`objc_id` for an error that a method fills in), Apple's documentation of CVPixelBuffer. The class `Rubicon` has not
run: rubicon-objc needs an Apple system even to be imported.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

BGRA = int.from_bytes(b"BGRA", "big")  # kCVPixelFormatType_32BGRA
Image = NDArray[np.uint8]


class ErrorSlot(Protocol):
    """Where a method leaves what went wrong.

    Attributes:
        reference: what the method takes as its error argument.
    """

    reference: Any

    def text(self) -> str:
        """What went wrong, for people."""


class Bridge(Protocol):
    """What the engine needs of Objective-C."""

    def load_class(self, name: str) -> Any:
        """An Objective-C class; its methods take what rubicon-objc's do."""

    def plain(self, value: Any) -> Any:
        """Foundation's strings, numbers, arrays and dictionaries as Python's."""

    def error(self) -> ErrorSlot:
        """A new slot for an error."""

    def pool(self) -> AbstractContextManager[None]:
        """An autorelease pool: what Core ML makes for a frame goes with it."""

    def picture(self, image: Image) -> AbstractContextManager[Any]:
        """An MLFeatureValue with a copy of an image (H, W, 3), RGB."""


class Rubicon:
    """The bridge of BeeWare's apps."""

    def __init__(self) -> None:
        self._objc, self._runtime = import_module("rubicon.objc"), import_module("rubicon.objc.runtime")
        self._runtime.load_library("CoreML")
        self._video = _signed(self._runtime.load_library("CoreVideo"), PIXEL_BUFFER)
        self._pools = _signed(self._runtime.load_library("objc"), POOL)

    def load_class(self, name: str) -> Any:
        return self._objc.ObjCClass(name)

    def plain(self, value: Any) -> Any:
        return self._objc.py_from_ns(value)

    def error(self) -> ErrorSlot:
        return _RubiconError(self._objc)

    @contextmanager
    def pool(self) -> Iterator[None]:
        token = self._pools.objc_autoreleasePoolPush()
        try:
            yield
        finally:
            self._pools.objc_autoreleasePoolPop(token)

    @contextmanager
    def picture(self, image: Image) -> Iterator[Any]:
        height, width, _ = image.shape
        buffer, video = ctypes.c_void_p(), self._video
        if video.CVPixelBufferCreate(None, width, height, BGRA, None, ctypes.byref(buffer)):
            raise MemoryError(f"CoreVideo has no memory for a picture of {width} x {height} pixels")
        try:
            video.CVPixelBufferLockBaseAddress(buffer, 0)
            address, stride = video.CVPixelBufferGetBaseAddress(buffer), video.CVPixelBufferGetBytesPerRow(buffer)
            fill_bgra(address, stride, image)
            video.CVPixelBufferUnlockBaseAddress(buffer, 0)
            yield self._feature(buffer)
        finally:
            video.CVPixelBufferRelease(buffer)

    def _feature(self, buffer: ctypes.c_void_p) -> Any:
        # Sent by hand: rubicon-objc would want a pointer to a structure that it does not know.
        value = self._runtime.send_message(
            self.load_class("MLFeatureValue"),
            "featureValueWithPixelBuffer:",
            buffer,
            restype=self._objc.objc_id,
            argtypes=[ctypes.c_void_p],
        )
        return self._objc.ObjCInstance(value)


class _RubiconError:
    def __init__(self, objc: Any) -> None:
        self._objc, self._slot = objc, objc.objc_id()
        self.reference = ctypes.byref(self._slot)

    def text(self) -> str:
        if not self._slot:
            return "no reason given"
        return str(self._objc.ObjCInstance(self._slot).localizedDescription)


def fill_bgra(address: int, stride: int, image: Image) -> None:
    """Write an image (H, W, 3), RGB, as blue, green, red and full alpha.

    Args:
        address: of the first pixel.
        stride: bytes from one row to the next, at least 4 W.
    """
    height, width, _ = image.shape
    memory = (ctypes.c_uint8 * (stride * height)).from_address(address)
    rows = (
        np.frombuffer(memoryview(memory), np.uint8)
        .reshape(height, stride)[:, : 4 * width]
        .reshape(height, width, 4)
    )
    rows[..., :3] = image[..., ::-1]
    rows[..., 3] = 255


_Handle, _Size = ctypes.c_void_p, ctypes.c_size_t
_Signatures = dict[str, tuple[Any, list[Any]]]
PIXEL_BUFFER: _Signatures = {
    "CVPixelBufferCreate": (
        ctypes.c_int32,
        [_Handle, _Size, _Size, ctypes.c_uint32, _Handle, ctypes.POINTER(_Handle)],
    ),
    "CVPixelBufferLockBaseAddress": (ctypes.c_int32, [_Handle, ctypes.c_uint64]),
    "CVPixelBufferUnlockBaseAddress": (ctypes.c_int32, [_Handle, ctypes.c_uint64]),
    "CVPixelBufferGetBaseAddress": (_Handle, [_Handle]),
    "CVPixelBufferGetBytesPerRow": (_Size, [_Handle]),
    "CVPixelBufferRelease": (None, [_Handle]),
}
POOL: _Signatures = {
    "objc_autoreleasePoolPush": (_Handle, []),
    "objc_autoreleasePoolPop": (None, [_Handle]),
}


def _signed(library: Any, signatures: _Signatures) -> Any:
    """A library whose functions know what they take and give."""
    for name, (gives, takes) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = gives, takes
    return library
