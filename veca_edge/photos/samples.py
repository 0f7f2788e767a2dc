"""Real images to compare models on: the packaged photos, or a folder of the user's."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError, require
from veca_edge.image.stills import images_in, read_image

Image = NDArray[np.uint8]


def sample_images() -> list[Image]:
    """The packaged photos: uint8 (144, 144, 3), RGB."""
    with resources.as_file(resources.files("veca_edge.assets") / "photos") as folder:
        return read_images(folder)


def read_images(folder: Path) -> list[Image]:
    """The images in a folder, by name: uint8 (H, W, 3), RGB.

    Raises:
        VecaError: no such folder, no image in it, or one that cannot be read.
    """
    require("cv2", "run")
    if not folder.is_dir():
        raise VecaError(f"{folder}: no such folder of images")
    return [read_image(path) for path in images_in(folder)]
