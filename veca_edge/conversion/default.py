"""The model that comes with the package, converted for this machine at its first use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from veca_edge._version import __version__
from veca_edge.errors import VecaError, require
from veca_edge.files import is_there, shortened
from veca_edge.modelfile.pte import read_model_file
from veca_edge.runtime.trust import cache_folder

CHECKPOINT = "everyday.pt"


def default_model_path(say: Callable[[str], None] = lambda _: None) -> Path:
    """The default model's file in the cache folder, made now if it is not there yet.

    Args:
        say: receives one line of progress at a time.

    Raises:
        VecaError: the converter is not installed, or the cache folder cannot be written.
    """
    with resources.as_file(resources.files("veca_edge.assets") / CHECKPOINT) as checkpoint:
        digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        path = cache_folder() / f"{checkpoint.stem}-{digest[:8]}-int8-{__version__}.pte"
        if not _usable(path, digest):
            _convert(checkpoint, path, say)
    return path


def _usable(path: Path, digest: str) -> bool:
    """Whether a whole conversion of that checkpoint lies there; a damaged one is made again."""
    if not is_there(path):
        return False
    if path.is_dir():
        raise VecaError(f"{path} is a folder where the converted model belongs: remove it")
    try:
        return read_model_file(path).manifest.source_digest == digest
    except VecaError:
        return False


def _convert(checkpoint: Path, path: Path, say: Callable[[str], None]) -> None:
    require("executorch", "convert")
    from veca_edge.conversion.convert import ConvertRequest, convert

    say(f"converting the default model once, into {path}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VecaError(
            f"cannot use {shortened(path.parent)} as cache folder: {error.strerror}; VECA_EDGE_CACHE names another"
        ) from None
    convert(ConvertRequest(checkpoint, output=path))
