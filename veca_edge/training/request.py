"""What a training run is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from veca_edge.training.settings import Recipe

Resume = Literal["auto", "never", "changed"]


@dataclass(frozen=True)
class TrainRequest:
    """What to train, on what, and where to write it.

    Attributes:
        data: a folder of photos, see `photos.folders.read_folder`.
        output: the checkpoint to write; state and log are kept beside it.
        recipe: how to train.
        init: a checkpoint to start from, or None.
        resume: "auto" continues the run of this output if there is one, "never" starts over, "changed" continues
            although settings, photos or masks are others.
        minutes: fit the schedule into this time, from the first photo that is read to the last validation, whatever
            the recipe's epochs; see `pace`. None for the epochs.
        device: such as "cpu" or "cuda:1"; "auto" for a GPU where there is one.
        plot: a picture of the loss and the accuracy, or None.
        masks: a folder of photos with masks or values for a dense head, see `photos.masks`; None for no such head.
    """

    data: Path
    output: Path
    recipe: Recipe = field(default_factory=Recipe)
    init: Path | None = None
    resume: Resume = "auto"
    minutes: float | None = None
    device: str = "auto"
    plot: Path | None = None
    masks: Path | None = None
