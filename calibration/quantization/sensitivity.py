"""Sensitivity: what the model loses when one linear layer is rounded and all others are left in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from veca_edge.calibration.quantization.emulation import Answers, Emulation, Layer, batches
from veca_edge.calibration.quantization.losses import Loss, Scores, compare, loss_of
from veca_edge.photos.calibration import PhotoSet

Kind = Literal["int8", "int4", "fp16"]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class SensitivityRow:
    """One layer at one precision and one budget.

    Attributes:
        layer: as recipes name it.
        precision: "int8", "int4" (with inputs in int8), or "fp16" (weights and inputs).
        loss: what the whole model loses by it.
    """

    layer: str
    precision: Kind
    loss: Loss

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"layer": self.layer, "precision": self.precision, **self.loss.to_dict()}


def measure_sensitivity(
    reference: Emulation,
    variants: Mapping[str, Mapping[Kind, Layer]],
    photos: PhotoSet,
    budgets: Sequence[int],
    progress: Progress = lambda _: None,
) -> tuple[SensitivityRow, ...]:
    """Change one layer at a time.

    What comes before a changed layer is computed once for all of them, which halves the work.

    Args:
        reference: the model in float32.
        variants: by layer and precision, the layer as rounded.
        photos: to compare on.
        budgets: core counts.
        progress: called with how much is done, 0..1.

    Returns:
        By layer, precision and budget, in the order of `variants` and `budgets`.
    """
    changes = [(layer, kind, changed) for layer, kinds in variants.items() for kind, changed in kinds.items()]
    parts = list(batches(photos.pixels, reference.config.patch_size))
    scores: dict[tuple[str, Kind, int], list[Scores]] = {}
    steps, done = len(budgets) * len(parts) * len(changes), 0
    for cores in budgets:
        for part in parts:
            run = _SharedStart(reference, part, cores)
            for layer, kind, changed in changes:
                scores.setdefault((layer, kind, cores), []).append(compare(run(layer, changed), run.expected))
                done += 1
                progress(done / steps)
    return tuple(
        SensitivityRow(layer, kind, loss_of(scores[layer, kind, cores], cores, photos.targets))
        for layer, kind, _ in changes
        for cores in budgets
    )


class _SharedStart:
    """One batch: the reference's state before every block, from which a changed model goes on."""

    def __init__(self, reference: Emulation, images: NDArray[np.uint8], cores: int) -> None:
        self._reference, self._images, self._cores = reference, images, cores
        self._states = [reference.begin(images, cores)]
        for index in range(reference.config.num_layers):
            self._states.append(reference.block(index, self._states[-1]))
        self.expected = reference.finish(self._states[-1])

    def __call__(self, layer: str, changed: Layer) -> Answers:
        """The answers of the model with one layer changed."""
        model = self._reference.changed({layer: changed})
        if layer == "patch":
            return model(self._images, self._cores)
        first = self._reference.config.num_layers if layer == "projection" else int(layer.split(".")[1])
        return model.rest(first, self._states[first])


def mean_fidelity(rows: Sequence[SensitivityRow]) -> dict[tuple[str, Kind], float]:
    """What is lost of the cosines by layer and precision, the budgets together."""
    found: dict[tuple[str, Kind], list[float]] = {}
    for row in rows:
        found.setdefault((row.layer, row.precision), []).append(row.loss.fidelity)
    return {key: float(np.mean(values)) for key, values in found.items()}
