"""The model that comes with the package, converted for this machine at its first use."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from veca_edge._version import __version__
from veca_edge.errors import VecaError, require, shown
from veca_edge.files import CACHE, cache_folder, is_there, shortened
from veca_edge.modelfile.pte import read_model_file
from veca_edge.reminder import Reminder
from veca_edge.runtime import model as runtime
from veca_edge.runtime.engines.engine import ComputeUnits
from veca_edge.runtime.model import Model
from veca_edge.runtime.threads import check_threads

CHECKPOINT = "everyday.pt"


def load(
    path: str | Path | None = None,
    *,
    threads: int | None = None,
    compute_units: ComputeUnits = "all",
    say: Callable[[str], None] | None = None,
) -> Model:
    """Open a model: a file or package made by `veca-edge convert`, or a checkpoint, which runs in eager PyTorch.

    Args:
        path: the file; None for the model that comes with the package, which is converted at its first use (about
            half a minute) and kept in the cache folder.
        threads, compute_units: as in `veca_edge.runtime.model.load`.
        say: receives lines about that conversion; None to print them on stderr.

    Raises:
        VecaError: a missing, damaged or foreign file, or a package that its engine needs is not installed.
    """
    if say is not None and not callable(say):
        raise VecaError(f"say {shown(say)}: use a function that takes a line, or None")
    if path is None:
        check_threads(threads)  # before half a minute of conversion
        path = default_model_path(_to_stderr if say is None else say)
    return runtime.load(path, threads=threads, compute_units=compute_units)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def default_model_path(
    say: Callable[[str], None] = lambda _: None, check: Callable[[tuple[int, ...], int], None] | None = None
) -> Path:
    """The default model's file in the cache folder, made now if it is not there yet.

    Args:
        say: receives one line of progress at a time.
        check: called with the model's budgets and patch size before it is converted; may raise.

    Raises:
        VecaError: the converter is not installed, or a folder lies where the file belongs.
    """
    with resources.as_file(resources.files("veca_edge.assets") / CHECKPOINT) as checkpoint:
        digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        name = f"{checkpoint.stem}-{digest[:8]}-int8-{__version__}.pte"
        folder = cache_folder()
        if folder is not None and _usable(folder / name, digest):
            return folder / name
        if check is not None:
            _check(checkpoint, check)
        path = _writable(folder, say) / name
        _convert(checkpoint, path, say)
    return path


def _writable(folder: Path | None, say: Callable[[str], None]) -> Path:
    """The cache folder if files can be made in it, else a temporary one that is removed when Python ends."""
    reason = "there is no home folder for a cache"
    try:
        if folder is not None:
            reason = f"cannot write into the cache folder {shortened(folder)}"
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
    except OSError as error:
        reason += f" ({error.strerror})"
    try:
        temporary = Path(tempfile.mkdtemp(prefix="veca-edge-"))
    except OSError as error:
        raise VecaError(f"{reason}, nor is there a temporary one: set {CACHE} to a folder ({error})") from None
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    say(
        f"{reason}: the model will be converted again next time; the environment variable {CACHE} names another "
        "folder"
    )
    return temporary


def _check(checkpoint: Path, check: Callable[[tuple[int, ...], int], None]) -> None:
    require("torch", "convert")
    from veca_edge.model.checkpoint import read_checkpoint

    config = read_checkpoint(checkpoint).config
    check(config.budgets, config.patch_size)


def _usable(path: Path, digest: str) -> bool:
    """Whether a whole conversion of that checkpoint lies there; a damaged one is made again."""
    try:
        if not is_there(path):
            return False
    except VecaError:  # a cache folder of somebody else
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

    say(f"converting the model that comes with the package once, into {path}")
    with Reminder(lambda stage, done, _: say(f"still converting: {stage}, {100 * done:.0f} %")) as progress:
        convert(ConvertRequest(checkpoint, output=path), progress, say)
