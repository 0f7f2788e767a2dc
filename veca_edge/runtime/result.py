"""What a model says about an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.errors import VecaError, shown
from veca_edge.modelfile.certainty import DEFAULT_CERTAINTY, NOT_SURE, Certainty
from veca_edge.numbers import whole

if TYPE_CHECKING:
    from veca_edge.governor.points import OperatingPoint
    from veca_edge.runtime.dense import DenseResult
    from veca_edge.sensors.state import DeviceState

Floating = TypeVar("Floating", bound=np.floating[Any])
NO_HEAD = "this model has no head, so it has no labels: fit one with `veca-edge fit-head`"


@dataclass(frozen=True)
class Prediction:
    """A label and how likely it is, 0..1."""

    label: str
    probability: float


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The outputs for one image. Its arrays of numbers are read-only: copy one to change it.

    Attributes:
        embedding: float32 (D',), one vector for the image.
        features: float32 (rows, columns, D'), one vector per patch.
        core_attention: float32 (rows, columns, C), how much each patch attends to each core in the last layer; the
            cores sum to 1. None if the model file does not compute it (Core ML packages).
        logits: float32 (K,), or None for a model without a head.
        labels: K names.
        certainty: how sure the model must be of a label before that is shown.
        dense: what each dense head says, by its name; computed when it is first read.
        cores: active cores C.
        image_size: (height, width) in pixels of what the model saw.
        crop: (x, y, width, height) of it in pixels of the given image.
        latency: seconds from the image to this result, preprocessing included, dense heads left out.
        computed: bool (rows, columns), in a stream the patches that were computed for this frame; else None.
        keyframe: whether all patches were computed.
        oldest: frames since the least recently computed patch was computed.
        point: in a session, the operating point that the governor chose.
        reason: why, in one line.
        state: what the device said about itself then.
    """

    embedding: Float
    features: Float
    core_attention: Float | None
    logits: Float | None
    labels: tuple[str, ...]
    cores: int
    image_size: tuple[int, int]
    crop: tuple[int, int, int, int]
    latency: float
    computed: NDArray[np.bool_] | None = None
    keyframe: bool = True
    oldest: int = 0
    dense: Mapping[str, DenseResult] = field(default_factory=dict)
    certainty: Certainty = DEFAULT_CERTAINTY
    point: OperatingPoint | None = None
    reason: str = ""
    state: DeviceState | None = None

    def __post_init__(self) -> None:
        for array in (self.embedding, self.features, self.core_attention, self.logits):
            if array is not None:
                array.setflags(write=False)  # a stream's results share them while nothing changes

    def __repr__(self) -> str:
        """<Result banana 56 %, 32 cores, 128 px, 3.1 ms>"""
        if self.logits is None or not self.labels:
            what = f"of {len(self.embedding)} values"
        else:
            best = self.top(1)[0]
            doubt = "" if self.sure else f", {NOT_SURE}"
            what = f"{best.label} {best.probability:.0%}{doubt}".replace("%", " %")
        return f"<Result {what}, {self.cores} cores, {pixels(self.image_size)}, {self.latency * 1e3:.1f} ms>"

    @property
    def _scores(self) -> Float:
        if self.logits is None:
            raise VecaError(NO_HEAD)
        return self.logits

    @property
    def probabilities(self) -> Float:
        """Softmax of the logits: float32 (K,).

        Raises:
            VecaError: the model has no head.
        """
        return np.asarray(softmax(self._scores), np.float32)

    @property
    def confidence(self) -> float:
        """How likely the best label is at the model's temperature, 0..1: what `sure` compares with the threshold.

        Raises:
            VecaError: the model has no head.
        """
        return self.certainty.confidence(self._scores)

    @property
    def sure(self) -> bool:
        """Whether the best label, `top(1)`, is worth showing; show "not sure" otherwise. False without a head.

        `certainty` says what that takes, and its `about` on which photos that was measured.
        """
        return self.logits is not None and self.certainty.sure(self.logits)

    def top(self, k: int = 5) -> list[Prediction]:
        """The k most likely labels, best first; fewer if the model has fewer. However unsure the model is.

        Raises:
            VecaError: the model has no head, or k is not a whole number, 0 or more.
        """
        number = whole(k, 0)
        if number is None:
            raise VecaError(f"top({shown(k)}): use a whole number of labels, 0 or more")
        probabilities = self.probabilities
        best = np.argsort(-probabilities, kind="stable")[:number]
        return [Prediction(self.labels[i], float(probabilities[i])) for i in best]


def pixels(size: tuple[int, int]) -> str:
    """An image size (height, width) for people: "128 px", or "128 x 192 px" if it is no square."""
    height, width = size
    return f"{height} px" if height == width else f"{height} x {width} px"


def softmax(logits: NDArray[Floating]) -> NDArray[Floating]:
    """Probabilities of logits (..., K), in their type."""
    shares: NDArray[Floating] = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return shares


def log_softmax(logits: NDArray[Floating]) -> NDArray[Floating]:
    """Log-probabilities of logits (..., K), in their type; finite where `softmax` underflows to 0."""
    shifted = logits - logits.max(-1, keepdims=True)
    logs: NDArray[Floating] = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return logs


class _Computed(Protocol):
    """What is read of a result here."""

    @property
    def features(self) -> Float: ...

    @property
    def computed(self) -> NDArray[np.bool_] | None: ...


def computed_patches(result: _Computed) -> int:
    """How many patches were computed for a result: all of them outside of a stream."""
    if result.computed is not None:
        return int(result.computed.sum())
    rows, columns = result.features.shape[:2]
    return int(rows * columns)
