"""What the Android app does: check the model against the golden photos, and say what the phone says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray
from veca_edge_mobile.android import open_model
from veca_edge_mobile.check import golden_checks

from veca_edge import VecaError
from veca_edge.sensors.monitor import Monitor
from veca_edge.sensors.platforms import detect

DATA = Path(__file__).parent / "data"  # Chaquopy unpacks it into files
LOOK = 1.5  # seconds in which the sensors are read at least once


def report(activity: Any) -> str:
    """Lines for the screen. Called from Java, off the main thread.

    Args:
        activity: decodes a photo: `photo(name)` gives width, height (big-endian, 4 bytes each) and RGBA bytes.
    """
    try:
        golden = json.loads((DATA / "end-to-end.json").read_text())
        model = open_model(DATA / "model.pte")
        checks = golden_checks(model, golden, "executorch-int8", lambda name: pixels(bytes(activity.photo(name))))
        lines = [str(check) for check in checks]
        model.close()
    except VecaError as error:
        lines = [str(error)]
    with _watching() as monitor:
        return "\n".join([*lines, "", str(monitor.state)])


def pixels(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3), RGB."""
    width, height = (int.from_bytes(data[start : start + 4], "big") for start in (0, 4))
    return np.frombuffer(data, np.uint8, offset=8).reshape(height, width, 4)[..., :3].copy()


@contextmanager
def _watching() -> Iterator[Monitor]:
    monitor = Monitor(detect())
    monitor.start()
    sleep(LOOK)
    try:
        yield monitor
    finally:
        monitor.stop()
