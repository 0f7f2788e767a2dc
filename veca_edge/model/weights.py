"""Checking a checkpoint's weights before anything is built from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from veca_edge.errors import VecaError, shown
from veca_edge.model.config import VecaConfig, expected_shapes

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_SEVERAL = 3


def check_tensor(name: str, value: Any) -> Tensor:
    """Return `value` if it is an ordinary dense floating-point tensor with all its data, else VecaError."""
    if not isinstance(value, Tensor):
        raise VecaError(f"{shown(name)} is a {type(value).__name__}, expected a tensor")
    if value.layout != torch.strided:
        raise VecaError(f"{shown(name)} is a sparse tensor; save it dense (tensor.to_dense())")
    if value.device.type != "cpu":
        raise VecaError(f"{shown(name)} has no data (device {value.device.type}); save the loaded model")
    if value.dtype not in _DTYPES:
        kind = str(value.dtype).removeprefix("torch.")
        raise VecaError(f"{shown(name)} has dtype {kind}, expected float16, bfloat16, float32 or float64")
    if value.untyped_storage().nbytes() < value.numel() * value.element_size():
        raise VecaError(f"{shown(name)} claims {value.numel()} values, the file holds fewer; save it contiguous")
    return value


def check_state(state: Mapping[str, Tensor], config: VecaConfig) -> dict[str, Tensor]:
    """Float32 copies of exactly the weights that such a model has.

    Raises:
        VecaError: missing or unknown names, a wrong shape, or NaN or infinite values.
    """
    expected = expected_shapes(config)
    missing = [name for name in expected if name not in state]
    if missing:
        raise VecaError(f"weights are missing: {_several(missing)}; use a complete VECA checkpoint")
    unknown = [name for name in state if name not in expected]
    if unknown:
        raise VecaError(f"weights that no VECA model has: {_several(unknown)}; use a VECA checkpoint")
    for name, shape in expected.items():
        check_shape(name, state[name], shape)
    _check_sharing([state[name] for name in expected])
    return {name: to_float32(name, state[name]) for name in expected}


def _check_sharing(tensors: Iterable[Tensor]) -> None:
    """Whether each weight has values of its own: a copy of each would else take any multiple of the file's size."""
    storages: dict[int, int] = {}
    needed = 0
    for tensor in tensors:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        needed += tensor.numel() * tensor.element_size()
    if needed > sum(storages.values()):
        raise VecaError("several weights are the same values in the file; save each on its own (tensor.clone())")


def check_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raise VecaError, naming the tensor and both shapes, unless the shape is the expected one."""
    if tuple(tensor.shape) != shape:
        raise VecaError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")


def to_float32(name: str, tensor: Tensor) -> Tensor:
    """An own, contiguous float32 copy; VecaError if it holds NaN or infinite values."""
    result = tensor.detach().to(torch.float32, copy=True).contiguous()
    if not bool(result.isfinite().all()):
        raise VecaError(f"{name} holds NaN or infinite values; use a checkpoint from before that happened")
    return result


def _several(names: list[str]) -> str:
    more = f" and {len(names) - _SEVERAL} more" if len(names) > _SEVERAL else ""
    return ", ".join(shown(name).strip("'\"") for name in names[:_SEVERAL]) + more
