"""When a model knows: how sure it must be of a label before that is shown. Checkpoints and model files carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError, shown
from veca_edge.numbers import finite

DEFAULT_THRESHOLD = 0.5  # of a model that was never asked about photos of anything else
TEMPERATURES = (0.01, 100.0)
# How many photos of its labels and of other things they were fitted on; and of photos that they were not fitted on:
# the share of right answers among those given, and the shares of photos, with a label and without, that get one.
ABOUT = ("photos", "unknown_photos", "precision", "answered", "unknown_answered")
NOT_SURE = "not sure"  # in place of a label


@dataclass(frozen=True)
class Certainty:
    """From logits to whether the most likely label may be shown.

    Attributes:
        temperature: logits are divided by it before they become a confidence, 0.01..100; 1 where the head's own
            probabilities are to be trusted.
        threshold: the least confidence of a label that is shown, 0..1.
        about: what they were measured to be worth, by the names in `ABOUT`; {} where nobody has fitted them.

    Raises:
        VecaError: a number out of its range, or `about` is no table.
    """

    temperature: float = 1.0
    threshold: float = DEFAULT_THRESHOLD
    about: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, (low, high) in (
            ("temperature", self.temperature, TEMPERATURES),
            ("threshold", self.threshold, (0.0, 1.0)),
        ):
            if finite(value, low, high) is None:
                raise VecaError(
                    f"certainty: the {name} is {shown(value)}, expected a number from {low:g} to {high:g}"
                )
        if not isinstance(self.about, Mapping):
            raise VecaError(f"certainty: {shown(self.about)} is no table of what it was measured to be worth")

    def confidence(self, logits: NDArray[np.floating[Any]]) -> float:
        """The probability of the most likely label, 0..1, for logits (K,) at this temperature."""
        shifted = (np.asarray(logits, np.float64) - logits.max()) / self.temperature
        return float(1 / np.exp(shifted).sum())

    def sure(self, logits: NDArray[np.floating[Any]]) -> bool:
        """Whether the most likely label may be shown; never for logits that are not finite."""
        return self.confidence(logits) >= self.threshold

    def at(self, threshold: float) -> Certainty:
        """The same with a threshold of one's own, 0..1.

        Raises:
            VecaError: it is out of its range.
        """
        return replace(self, threshold=threshold, about={})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        numbers = {"temperature": float(self.temperature), "threshold": float(self.threshold)}
        return numbers | {"about": dict(self.about)}

    @classmethod
    def from_dict(cls, values: Any) -> Certainty:
        """Read what `to_dict` wrote; what is missing has its default.

        Raises:
            VecaError: no table, or a number in it that is none or out of its range.
        """
        about = values.get("about", {}) if isinstance(values, Mapping) else None
        if not isinstance(about, Mapping):
            raise VecaError(f"certainty: {shown(values)} is no table of temperature and threshold")
        told = {name: about[name] for name in ABOUT if finite(about.get(name), 0, 2**31) is not None}
        return cls(values.get("temperature", 1.0), values.get("threshold", DEFAULT_THRESHOLD), told)


DEFAULT_CERTAINTY = Certainty()
