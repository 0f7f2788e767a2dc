"""Models small enough to calibrate in a second, and the packaged photos as they see them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.converters.checkpoints import random_checkpoint
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.model.checkpoint import Checkpoint, default_preprocessing, write_checkpoint
from veca_edge.photos.calibration import PhotoSet
from veca_edge.photos.samples import sample_images
from veca_edge.runtime.machine import Machine

SIZE = 64


def small_checkpoint(**changes: Any) -> Checkpoint:
    """Random weights, two layers, 64 wide, 24 cores, 64 pixels, no head."""
    return random_checkpoint(**{"num_cores": 24, **changes})


def photos(count: int = 16, size: int = SIZE) -> NDArray[np.uint8]:
    """The packaged photos (count, size, size, 3)."""
    fit = Preprocessing(image_size=size)
    return np.stack([fit.resize(image, 16).image for image in sample_images()[:count]])


def photo_set(count: int = 8) -> PhotoSet:
    """The same as a set without labels."""
    return PhotoSet(photos(count), None, "")


def write_tiny(folder: Path) -> Path:
    """A checkpoint file that converts in a moment: 16 cores, 64 wide, images of 256 px."""
    path = folder / "tiny.pt"
    write_checkpoint(replace(random_checkpoint(), preprocessing=default_preprocessing()), path)
    return path


def measured_facts(**changes: Any) -> dict[str, Any]:
    """What every report says of a model file, see `Measured`."""
    facts = {
        "name": "a model",
        "quantization": "int8",
        "random_weights": False,
        "file_bytes": 5_000_000,
        "weight_bytes": 4_000_000,
        "max_patches": 1024,
        "seed": 0,
        "digests": {"program": "ab" * 32},
        "machine": Machine("A processor", 2, "Linux 6 x86_64", {"python": "3.11"}, 0.1),
        "threads": 2,
        "other_work": 0.0,
    }
    return facts | changes
