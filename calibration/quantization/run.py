"""A calibration from end to end: photos read, layers and whole models measured, a recipe chosen and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, same_file
from veca_edge.plotting import check_picture
from veca_edge.runtime.machine import read_machine
from veca_edge.runtime.native import quiet

if TYPE_CHECKING:
    from veca_edge.calibration.quantization.findings import Report

Say = Callable[[str], None]
Stages = Callable[[str, float], None]


@dataclass(frozen=True)
class CalibrateRequest:
    """What to calibrate, on which photos, and where the outcome goes.

    Attributes:
        checkpoint: a checkpoint's file; None for the checkpoint that comes with the package.
        images: a folder of photos, see `read_calibration`; None for the packaged ones.
        max_drop: find the smallest recipe that loses at most this much, 0..1.
        max_size: find the best recipe for a .pte of this many bytes.
        output: where the recipe goes.
        photos: most photos to learn from, and most to evaluate on; None for as many as the model's cost allows.
        budgets: core counts that count; None for the smallest and the largest.
        plot: where a picture of what each layer loses goes.

    Raises:
        VecaError: options that contradict each other.
    """

    checkpoint: Path | None = None
    images: Path | None = None
    max_drop: float | None = None
    max_size: int | None = None
    output: Path | None = None
    photos: int | None = None
    budgets: tuple[int, ...] | None = None
    plot: Path | None = None

    def __post_init__(self) -> None:
        if self.max_drop is not None and self.max_size is not None:
            raise VecaError("--max-drop and --max-size: give one of them")
        if self.output is not None and not self.has_goal:
            raise VecaError("--output is for a recipe: give --max-drop or --max-size")

    @property
    def has_goal(self) -> bool:
        """Whether a recipe is asked for."""
        return self.max_drop is not None or self.max_size is not None

    def targets(self) -> tuple[Path | None, Path | None]:
        """Where the recipe and the picture go.

        Raises:
            VecaError: one of them cannot be written, or would overwrite something else.
        """
        output = None if self.output is None else check_target(self.output)
        if output is not None and output.suffix.lower() != ".json":
            raise VecaError(f"cannot write a recipe to {output}: let its name end in .json")
        plot = None if self.plot is None else check_picture(self.plot)
        if output is not None and self.checkpoint is not None and same_file(output, self.checkpoint):
            raise VecaError(f"{output} is the checkpoint itself: name another --output")
        if output is not None and plot is not None and same_file(plot, output):
            raise VecaError(f"--plot and --output are the same file: {output}")
        return output, plot


def calibrate(request: CalibrateRequest, say: Say = lambda _: None, stages: Stages = lambda *_: None) -> Report:
    """Measure what each linear layer loses by fewer bits, and choose and write a recipe if a goal is given.

    Args:
        say: receives one line of progress at a time.
        stages: called with what is being done and how much of it is done, 0..1.

    Raises:
        VecaError: something in the request cannot be had, measured or written, or no recipe is within the goal.
    """
    output, plot = request.targets()
    for module in ("torch", "cv2", "executorch"):
        require(module, "convert")
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint
    from veca_edge.photos.calibration import read_calibration

    machine = read_machine()
    checkpoint = read_checkpoint(request.checkpoint or default_checkpoint_path())
    found = read_calibration(checkpoint, request.images, request.photos, say)
    with quiet():  # after the inputs: these imports take seconds
        from veca_edge.calibration.quantization.calibrator import Calibrator
        from veca_edge.calibration.quantization.findings import Goal
        from veca_edge.calibration.quantization.heatmap import draw_sensitivity

    goal = Goal(request.max_drop, request.max_size) if request.has_goal else None
    report = Calibrator(checkpoint, found, request.budgets, stages).report(machine, goal)
    if output is not None and report.chosen is not None:
        report.chosen.recipe.write(output)
    if plot is not None:
        draw_sensitivity(plot, report)
    return report
