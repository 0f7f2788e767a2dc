"""Finding a model's weights in a loaded checkpoint and checking them before anything is built from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from veca_edge.errors import VecaError, shown
from veca_edge.model.config import VecaConfig, expected_shapes

# Left on the names by DataParallel, by a wrapper that holds student and teacher, and by torch.compile.
_PREFIXES = ("module.", "student.", "_orig_mod.")
_KEY = "patch_embed.proj.weight"
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_SEVERAL = 3


def find_state(data: Any) -> dict[str, Tensor]:
    """The state dict inside a loaded checkpoint, prefixes removed: under `student`, or the dictionary itself.

    Raises:
        VecaError: no dictionary, no weights, names that collide, or an entry that is not an ordinary tensor.
    """
    if not isinstance(data, Mapping):
        raise VecaError(f"not a checkpoint: holds a {type(data).__name__}, expected a dictionary with 'student'")
    state = data.get("student", data)
    if not isinstance(state, Mapping):
        raise VecaError(f"'student' is a {type(state).__name__}, expected a state dict (names to tensors)")
    if state is data and not any(isinstance(name, str) and strip_prefixes(name) == _KEY for name in data):
        found = ", ".join(shown(name) for name in list(data)[:_SEVERAL]) or "nothing"
        raise VecaError(f"not a VECA checkpoint: no 'student' and no model weights (found {found})")
    result: dict[str, Tensor] = {}
    for name, value in state.items():
        if not isinstance(name, str):
            raise VecaError(f"weight name {shown(name)} is not text; save the model's state dict")
        plain = strip_prefixes(name)
        if plain in result:
            raise VecaError(f"{shown(plain)} occurs twice, with different prefixes; save one state dict only")
        if state is data and not isinstance(value, Tensor):
            # Beside a bare state dict's weights: our own keys, or counters.
            continue
        result[plain] = check_tensor(plain, value)
    return result


def strip_prefixes(name: str) -> str:
    """The published name behind any stack of wrapper prefixes."""
    while name.startswith(_PREFIXES):
        name = name[name.index(".") + 1 :]
    return name


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
    return {name: to_float32(name, state[name]) for name in expected}


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
