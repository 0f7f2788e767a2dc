"""Questions about paths that a user names: answers, or one line that says what is wrong."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from veca_edge.errors import VecaError

PACKAGE_SUFFIX = ".mlpackage"
PACKAGE_MANIFEST = "Manifest.json"


def is_there(path: Path) -> bool:
    """Whether something bears this name; VecaError if that cannot be told (name too long, folder locked)."""
    return _mode_or_error(path) is not None


def is_regular(path: Path) -> bool:
    """Whether this is a regular file, links followed; VecaError if that cannot be told."""
    mode = _mode_or_error(path)
    return mode is not None and stat.S_ISREG(mode)


def is_package(path: Path) -> bool:
    """Whether this is a folder that says it is a Core ML package; VecaError if that cannot be told."""
    mode = _mode_or_error(path)
    if mode is None or not stat.S_ISDIR(mode):
        return False
    return path.suffix == PACKAGE_SUFFIX or is_there(path / PACKAGE_MANIFEST)


def check_target(path: str | Path) -> Path:
    """Where a file of this name would be written: `~` expanded, and of a link the file it points to.

    Raises:
        VecaError: the folder is missing, or the target is a folder, a device or the like, or a bad name.
    """
    name = shortened(Path(path))
    try:
        target = expanded(path).resolve()
        mode = _mode(target)
        folder = _mode(target.parent)
    except (OSError, RuntimeError, ValueError) as error:  # Runtime: a loop of links; Value: a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise VecaError(f"cannot write {name}: {reason}") from None
    if mode is not None and not stat.S_ISREG(mode):
        kind = "a folder, not a regular file" if stat.S_ISDIR(mode) else "not a regular file"
        raise VecaError(f"cannot write {name}: it is {kind}")
    if folder is None or not stat.S_ISDIR(folder):
        raise VecaError(f"cannot write {name}: there is no folder {shortened(target.parent)}")
    return target


def check_package_target(path: str | Path) -> Path:
    """Where a package of this name would be written: `~` expanded, and of a link the folder it points to.

    Raises:
        VecaError: the ending is not .mlpackage, the folder above is missing, or something else bears the name.
    """
    name = shortened(Path(path))
    try:
        target = expanded(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise VecaError(f"cannot write {name}: {error}") from None
    if target.suffix != PACKAGE_SUFFIX:
        raise VecaError(f"cannot write {name}: a Core ML package is a folder whose name ends in {PACKAGE_SUFFIX}")
    if not target.parent.is_dir():
        raise VecaError(f"cannot write {name}: there is no folder {shortened(target.parent)}")
    if is_there(target) and not target.is_dir():
        raise VecaError(f"cannot write {name}: a file has this name: choose another")
    if target.is_dir() and not (target / PACKAGE_MANIFEST).is_file() and any(target.iterdir()):
        raise VecaError(f"cannot write {name}: it is a folder that is not a Core ML package: choose another name")
    return target


def same_file(a: Path, b: Path) -> bool:
    """Whether two names, `~` expanded, mean the same file, be it there or not; False if that cannot be told."""
    try:
        a, b = a.expanduser().resolve(), b.expanduser().resolve()
        return a == b or a.samefile(b)
    except (OSError, RuntimeError, ValueError):
        return False


def expanded(path: str | Path) -> Path:
    """The path with a leading `~` or `~user` replaced; a VecaError if there is no such home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise VecaError(f"there is no home folder for {Path(path).parts[0]}") from None


def shortened(path: Path) -> str:
    """A path for a message: the end of it, if it is very long."""
    text = str(path)
    return text if len(text) <= 120 else f"…{text[-110:]}"


def _mode_or_error(path: Path) -> int | None:
    try:
        return _mode(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise VecaError(f"cannot read {shortened(path)}: {reason}") from None


def _mode(path: Path) -> int | None:
    """The kind of a file, links followed, None if there is none; unlike Path.exists it raises other errors."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to: it takes the place of `path` in the end, and is removed on any error."""
    part = path.with_name(f".{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file that is there as before or whole, also after a power cut.

    Raises:
        VecaError: it cannot be written.
    """
    try:
        with replacing(path) as part, part.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise VecaError(f"cannot write {shortened(path)}: {error.strerror or error}") from error
