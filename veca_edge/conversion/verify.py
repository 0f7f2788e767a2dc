"""A verification from end to end: a model file or package against the checkpoint that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from veca_edge.errors import VecaError, require
from veca_edge.files import is_package
from veca_edge.modelfile.mlpackage import read_package_file
from veca_edge.modelfile.pte import read_model_file

if TYPE_CHECKING:
    from veca_edge.converters.verification import Verification


@dataclass(frozen=True)
class VerifyRequest:
    """What to compare with what, and on which images.

    Attributes:
        path: a model file or a Core ML package.
        checkpoint: what it was made from; None for the checkpoint that comes with the package.
        images: a folder of images, or photos in a layout that `convert` takes; None for some of the packaged ones.
    """

    path: Path
    checkpoint: Path | None = None
    images: Path | None = None


def verify(request: VerifyRequest, progress: Callable[[float], None] = lambda _: None) -> Verification:
    """Compare every method or function at every budget with PyTorch in float32.

    Args:
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: a package is missing, a file cannot be read, or it was made from another checkpoint.
    """
    require("torch", "convert")
    if is_package(request.path):
        require("coremltools", "coreml")
        manifest = read_package_file(request.path).manifest
    else:
        require("executorch", "convert")
        manifest = read_model_file(request.path).manifest
    from veca_edge.converters.verification import verify_in_child
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint

    source = request.checkpoint or default_checkpoint_path()
    if read_checkpoint(source).digest != manifest.source_digest:
        raise VecaError(
            f"{request.path} was made from another checkpoint than {source}: name the right one with --checkpoint"
        )
    return verify_in_child(request.path, source, progress, request.images)
