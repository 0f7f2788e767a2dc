"""A checkpoint's tensors as folding reads them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Tensors:
    """Tensors in float64, made one at a time, so that a large model is not held twice."""

    def __init__(self, state: Mapping[str, torch.Tensor]) -> None:
        self._state = state

    def __getitem__(self, name: str) -> Array:
        tensor: Array = self._state[name].numpy().astype(np.float64)
        return tensor

    def linear(self, name: str, factor: float = 1.0) -> tuple[Array, Array]:
        """Weight and bias of a layer, times a factor."""
        return factor * self[f"{name}.weight"], factor * self[f"{name}.bias"]

    def after_norm(self, name: str, norm: str) -> tuple[Array, Array]:
        """Weight and bias of a linear layer with the gain and shift of the norm before it folded in."""
        weight, bias = self.linear(name)
        gain, shift = self.linear(norm)
        return weight * gain, bias + weight @ shift

    def coordinate_heads(self) -> list[tuple[Array, Array]]:
        """Weight (2, D) and bias (2,) of each coordinate head, with `pos_alpha` folded in."""
        return [self.linear(f"pos_linears.{i}", alpha) for i, alpha in enumerate(self["pos_alpha"])]

    def chunks(self, name: str) -> NDArray[np.float32]:
        """What is stored in chunks of cores, joined: float32 (M, ...)."""
        count = sum(key.startswith(f"{name}.") for key in self._state)
        return np.concatenate([self[f"{name}.{i}"][0] for i in range(count)]).astype(np.float32)
