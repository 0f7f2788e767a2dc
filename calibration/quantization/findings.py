"""What a calibration found, as values: whole models, layers, and the recipe that was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from veca_edge.calibration.quantization.losses import Loss
from veca_edge.calibration.quantization.sensitivity import SensitivityRow
from veca_edge.converters.recipes import QuantizationRecipe
from veca_edge.runtime.machine import Machine


@dataclass(frozen=True)
class Goal:
    """A budget; one of the two.

    Attributes:
        max_drop: most that may be lost at any budget, 0..1: of the mean cosine of embedding and features, and where
            photos are labelled also of accuracy.
        max_size: most bytes of the .pte.
    """

    max_drop: float | None = None
    max_size: int | None = None


@dataclass(frozen=True)
class Whole:
    """A recipe, measured as a whole.

    Attributes:
        recipe: which precision each layer gets.
        weight_bytes: of everything that is stored.
        losses: by budget.
    """

    recipe: QuantizationRecipe
    weight_bytes: int
    losses: tuple[Loss, ...]

    @property
    def drop(self) -> float:
        """What is lost at the worst budget; see `Loss.drop`."""
        return max(loss.drop for loss in self.losses)

    @property
    def fidelity(self) -> float:
        """What is lost of the cosines at the worst budget."""
        return max(loss.fidelity for loss in self.losses)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        losses = [loss.to_dict() for loss in self.losses]
        return {"recipe": self.recipe.to_dict(), "weight_bytes": self.weight_bytes, "losses": losses}


@dataclass(frozen=True)
class Report:
    """What a calibration found.

    Attributes:
        model: name, digest and budgets.
        photos: see `Calibration.to_dict`.
        machine: what it ran on.
        accuracy: of the model in float32 by budget, None without labels.
        rows: sensitivity.
        row_photos: photos that they were measured on.
        wholes: the ready recipes.
        goal: the budget, if one was given.
        chosen: the recipe within it.
        file_bytes: of the chosen recipe's file before its tables, if the goal was a size.
    """

    model: Mapping[str, Any]
    photos: Mapping[str, Any]
    machine: Machine
    accuracy: Mapping[int, float] | None
    rows: tuple[SensitivityRow, ...]
    row_photos: int
    wholes: tuple[Whole, ...]
    goal: Goal | None = None
    chosen: Whole | None = None
    file_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "model": dict(self.model),
            "photos": dict(self.photos),
            "machine": asdict(self.machine),
            "accuracy": self.accuracy,
            "sensitivity": {"photos": self.row_photos, "rows": [row.to_dict() for row in self.rows]},
            "wholes": [whole.to_dict() for whole in self.wholes],
            "goal": None if self.goal is None else asdict(self.goal),
            "chosen": None if self.chosen is None else self.chosen.to_dict(),
            "file_bytes": self.file_bytes,
        }
