"""The packaged photos, real images to compare models on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path

from veca_edge.arrays import Image
from veca_edge.errors import require
from veca_edge.image.stills import images_in, read_image


def packaged_folder() -> AbstractContextManager[Path]:
    """The folder of the packaged photos, a context: they may lie in an archive."""
    return resources.as_file(resources.files("veca_edge.assets") / "photos")


def sample_images() -> list[Image]:
    """The packaged photos: uint8 (144, 144, 3), RGB."""
    with packaged_folder() as folder:
        require("cv2", "run")
        return [read_image(path) for path in images_in(folder)]
