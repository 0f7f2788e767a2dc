"""The governor's points on a phone: `veca_edge.Session` measures on a clip, which needs OpenCV to be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from veca_edge import Model
from veca_edge.governor.points import Front, operating_points
from veca_edge.governor.quality import LatencyTable
from veca_edge.runtime.profile import quality_of
from veca_edge.runtime.timing import opener, time_configurations


def measured_front(model: Model, frames: Sequence[NDArray[np.uint8]], target_fps: float) -> Front:
    """Measure every run configuration in the model file's quality table: about 12 seconds, not on the main thread.

        session = veca_edge.Session(model, target_fps=30, front=measured_front(model, frames, 30))

    Args:
        model: from a .pte with a quality table.
        frames: what the camera sees, (H, W, 3), uint8, RGB: 24 or more in a row, with something that moves.
        target_fps: frames per second that the camera delivers and the app wants.

    Raises:
        VecaError: the model file has no quality table.
    """
    quality = quality_of(model)
    rows, _ = time_configurations(opener(model), quality.configurations, frames)
    return Front.of(operating_points(quality, LatencyTable(tuple(rows)), target_fps))
