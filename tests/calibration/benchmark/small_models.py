"""Models small enough to calibrate in a second, and the packaged photos as they see them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veca_edge.image.preprocessing import Preprocessing
from veca_edge.model.checkpoint import Checkpoint, default_preprocessing, write_checkpoint
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import random_veca
from veca_edge.photos.calibration import PhotoSet
from veca_edge.photos.samples import sample_images

SIZE = 64


def small_checkpoint(**changes: object) -> Checkpoint:
    """Random weights, two layers, 64 wide, 24 cores, 64 pixels, no head."""
    sizes = {"hidden_dim": 64, "num_heads": 2, "num_layers": 2, "num_cores": 24, "ffn_dim": 96}
    config = VecaConfig.from_family("small", **{**sizes, **changes})
    return Checkpoint(
        config, random_veca(config).state_dict(), None, (), default_preprocessing() | {"image_size": SIZE}
    )


def photos(count: int = 16, size: int = SIZE) -> NDArray[np.uint8]:
    """The packaged photos (count, size, size, 3)."""
    fit = Preprocessing(image_size=size)
    return np.stack([fit.resize(image, 16).image for image in sample_images()[:count]])


def photo_set(count: int = 8) -> PhotoSet:
    """The same as a set without labels."""
    return PhotoSet(photos(count), None, "")


def write_tiny(folder: Path) -> Path:
    """A checkpoint file that converts in a moment: 16 cores, 64 wide, images of 256 px."""
    sizes = {"hidden_dim": 64, "num_heads": 1, "num_layers": 2, "num_cores": 16, "ffn_dim": 96}
    config = VecaConfig.from_family("small", **sizes)
    path = folder / "tiny.pt"
    write_checkpoint(Checkpoint(config, random_veca(config).state_dict(), None, (), default_preprocessing()), path)
    return path
