"""What runs a model: the protocol, and the choice of an engine by file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from veca_edge.arrays import Float, Image

ComputeUnits = Literal["all", "cpu_only", "cpu_and_gpu", "cpu_and_ne"]  # where Core ML may compute


@dataclass(frozen=True)
class Encoded:
    """What an engine computes from one image; all arrays belong to the caller.

    Attributes:
        embedding: float32 (D',), the first core.
        features: float32 (N, D'), one per patch, row by row.
        core_attention: float32 (N, C), the last layer's attention of each patch to each core, mean over heads;
            None if the model file does not compute it.
        logits: float32 (K,) if the head is in the program itself, else None.
        dense: float32 (N, outputs) by the names of dense heads that are in the program itself.
    """

    embedding: Float
    features: Float
    core_attention: Float | None
    logits: Float | None = None
    dense: Mapping[str, Float] = field(default_factory=dict)


class Engine(Protocol):
    """Runs one model at any core budget and any image size."""

    @property
    def name(self) -> str:
        """For people: "executorch", "coreml" or "torch"."""

    @property
    def threads(self) -> int:
        """Threads in use; 0 if the system chooses."""

    def encode(self, image: Image, cores: int) -> Encoded:
        """Run the model on an image (H, W, 3), RGB, whose sides are multiples of the patch size.

        Raises:
            VecaError: an image of a size that the model file was not made for.
        """

    def close(self) -> None:
        """Give memory back; the engine cannot be used any more."""
