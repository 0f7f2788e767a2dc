"""A checkpoint's tensors in float64, one at a time, and what every target folds in the same way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veca_edge.model.checkpoint import Checkpoint

Array = NDArray[np.float64]


class Tensors:
    """Reads tensors by their published names, so that only one is held in float64."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._state = checkpoint.state

    def __contains__(self, name: str) -> bool:
        return name in self._state

    def __getitem__(self, name: str) -> Array:
        tensor: Array = self._state[name].numpy().astype(np.float64)
        return tensor

    def linear(self, name: str) -> tuple[Array, Array]:
        """Weight and bias of a layer."""
        return self[f"{name}.weight"], self[f"{name}.bias"]

    def after_norm(self, name: str, norm: str) -> tuple[Array, Array]:
        """Weight and bias of a linear layer, with the gain and shift of the norm before it folded in."""
        weight, bias = self.linear(name)
        gain, shift = self.linear(norm)
        return weight * gain, bias + weight @ shift

    def coordinate_heads(self) -> list[tuple[Array, Array]]:
        """Weight (2, D) and bias (2,) of each, with `pos_alpha` folded in."""
        alphas = self["pos_alpha"]
        heads = (self.linear(f"pos_linears.{index}") for index in range(len(alphas)))
        return [(alpha * weight, alpha * bias) for alpha, (weight, bias) in zip(alphas, heads, strict=True)]

    def chunks(self, name: str) -> Array:
        """The chunks of a table of all cores (M, ...), in order."""
        count = sum(key.startswith(f"{name}.") for key in self._state)
        return np.concatenate([self[f"{name}.{index}"][0] for index in range(count)])
