"""Questions about paths that a user names: answers, or one line that says what is wrong."""

from __future__ import annotations

import json
import os
import secrets
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from veca_edge.encoding import encoded
from veca_edge.errors import StreamError, VecaError, shown

PACKAGE_SUFFIX = ".mlpackage"
# What Python's reader of ZIP archives raises for damaged ones.
ZIP_ERRORS = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, NotImplementedError),
    *(RuntimeError, ValueError, OverflowError, IndexError, KeyError),
)
CHECKPOINT_STARTS = (b"PK", b"\x80\x02")  # of an archive, and of a pickle as PyTorch wrote it before
CHECKPOINT_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin")
PACKAGE_MANIFEST = "Manifest.json"
LONGEST_LINE = 1 << 20  # bytes of a file's first line that are looked at


def is_there(path: Path) -> bool:
    """Whether something bears this name; VecaError if that cannot be told (name too long, folder locked)."""
    return _mode_or_error(path) is not None


def is_regular(path: Path) -> bool:
    """Whether this is a regular file, links followed; VecaError if that cannot be told."""
    mode = _mode_or_error(path)
    return mode is not None and stat.S_ISREG(mode)


def regular_file(path: str | Path) -> Path:
    """The path, `~` expanded, if a regular file is there, links followed: the check of everything that is read.

    Opening a pipe waits for a writer, for ever if there is none, and a device may have no end.

    Raises:
        VecaError: there is none, it is something else, or that cannot be told.
    """
    path = expanded(path)
    mode = _mode_or_error(path)
    if mode is None:
        raise VecaError(f"cannot read {shortened(path)}: no such file: check the path")
    if not stat.S_ISREG(mode):
        raise VecaError(f"cannot read {shortened(path)}: it is {_kind(mode)}, not a regular file")
    return path


def is_folder(path: Path) -> bool:
    """Whether this is a folder, links followed; VecaError if that cannot be told.

    Path.is_dir and its like are no answer for a name from outside: a name that is too long or a folder that is
    locked is an OSError for them before Python 3.14, and "no" from then on.
    """
    mode = _mode_or_error(path)
    return mode is not None and stat.S_ISDIR(mode)


def is_package(path: Path) -> bool:
    """Whether this is a folder that says it is a Core ML package; VecaError if that cannot be told."""
    if not is_folder(path):
        return False
    return path.suffix == PACKAGE_SUFFIX or is_there(path / PACKAGE_MANIFEST)


def is_checkpoint(path: Path) -> bool:
    """Whether a regular file is an archive as PyTorch writes it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (OSError, *ZIP_ERRORS):
        return False


def existing(path: str | Path, advice: str = "check the path", name: str | None = None) -> Path:
    """The path, `~` expanded, of something that is there.

    Args:
        advice: what to do if it is not.
        name: what to call it in a message; None for the path.

    Raises:
        VecaError: nothing bears this name, or that cannot be told.
    """
    found = expanded(path)
    if not is_there(found):
        raise VecaError(f"{name or shortened(Path(path))}: no such file or folder: {advice}")
    return found


def photo_folder(path: str | Path) -> Path:
    """The path of a folder of photos, `~` expanded.

    Raises:
        VecaError: there is no such folder, or this is a file.
    """
    folder = expanded(path)
    if is_folder(folder):
        return folder
    if is_there(folder):
        raise VecaError(f"{shortened(folder)} is a file: give the folder of the photos")
    raise VecaError(f"{shortened(folder)}: no such folder of photos: check the path")


def check_target(path: str | Path) -> Path:
    """Where a file of this name would be written: `~` expanded, and of a link the file it points to.

    Raises:
        VecaError: the folder is missing or read-only; the target is a folder, a device or the like, or a bad name.
    """
    path = expanded(path)
    name = shortened(path)
    try:
        target = path.resolve()
        mode = _mode(path)  # of /dev/stdout: of what it points to, which may have no name
        folder = _mode(target.parent)
    except (OSError, RuntimeError, ValueError) as error:  # Runtime: a loop of links; Value: a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise VecaError(f"cannot write {name}: {reason}") from None
    if mode is not None and not stat.S_ISREG(mode):
        raise VecaError(f"cannot write {name}: it is {_kind(mode)}, not a regular file")
    if folder is None or not stat.S_ISDIR(folder):
        raise VecaError(f"cannot write {name}: there is no folder {shortened(target.parent)}")
    _check_writable(target, name)
    return target


def check_checkpoint_target(path: str | Path) -> Path:
    """`check_target` for a checkpoint, which must not look like a file of another kind.

    Raises:
        VecaError: also for a name that ends in .pte, .safetensors or .mlpackage, or a file that is there and begins
            unlike any checkpoint: a photo, say.
    """
    if Path(path).suffix.lower() in (".pte", ".safetensors", PACKAGE_SUFFIX):
        raise VecaError(f"cannot write a checkpoint to {shortened(Path(path))}: let its name end in .pt")
    target = check_target(path)
    if is_regular(target) and not _like_a_checkpoint(target):
        raise VecaError(f"{shortened(target)} is there and no checkpoint: give another name, or remove it first")
    return target


def _like_a_checkpoint(path: Path) -> bool:
    """Whether a checkpoint may replace a file: many kinds of files are archives, so that names count as well."""
    start = _start(path)
    if start == b"PK" and path.suffix.lower() not in CHECKPOINT_SUFFIXES:
        return is_checkpoint(path)
    return start in (b"", *CHECKPOINT_STARTS)


def _start(path: Path) -> bytes:
    """The first two bytes of a file; b"" of an empty one, or one that cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(2)
    except OSError:
        return b""


def check_package_target(path: str | Path) -> Path:
    """Where a package of this name would be written: `~` expanded, and of a link the folder it points to.

    Raises:
        VecaError: the ending is not .mlpackage, the folder above is missing or read-only, or the name is taken.
    """
    name = shortened(Path(path))
    try:
        target = expanded(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise VecaError(f"cannot write {name}: {error}") from None
    if target.suffix != PACKAGE_SUFFIX:
        raise VecaError(f"cannot write {name}: a Core ML package is a folder whose name ends in {PACKAGE_SUFFIX}")
    if not is_folder(target.parent):
        raise VecaError(f"cannot write {name}: there is no folder {shortened(target.parent)}")
    if is_there(target) and not is_folder(target):
        raise VecaError(f"cannot write {name}: a file has this name: choose another")
    if is_folder(target) and not is_regular(target / PACKAGE_MANIFEST) and any(target.iterdir()):
        raise VecaError(f"cannot write {name}: it is a folder that is not a Core ML package: choose another name")
    _check_writable(target, name)
    return target


def _check_writable(target: Path, name: str) -> None:
    """Raise a VecaError before the work rather than after it; an older file in a locked folder may do for a log."""
    if not os.access(target.parent, os.W_OK) and not os.access(target, os.W_OK):
        raise VecaError(f"cannot write {name}: {shortened(target.parent)} is read-only: choose another folder")


def same_file(a: Path, b: Path) -> bool:
    """Whether two names, `~` expanded, mean the same file, be it there or not; False if that cannot be told."""
    try:
        a, b = a.expanduser().resolve(), b.expanduser().resolve()
        return a == b or a.samefile(b)
    except (OSError, RuntimeError, ValueError):
        return False


def expanded(path: str | Path) -> Path:
    """The path with a leading `~` or `~user` replaced; a VecaError if there is no such home folder, or no path."""
    try:
        return Path(path).expanduser()
    except TypeError:
        raise VecaError(f"{shown(path)} is no path: give the name of a file or folder as text or a Path") from None
    except RuntimeError:
        raise VecaError(f"there is no home folder for {Path(path).parts[0]}") from None


CACHE = "VECA_EDGE_CACHE"


def cache_folder() -> Path | None:
    """Where veca-edge keeps what it can make again: $VECA_EDGE_CACHE, else the user's cache folder.

    None where there is no home folder, such as for services: everything works without, and is made each time.
    """
    if chosen := os.environ.get(CACHE):
        return Path(os.path.expanduser(chosen))  # noqa: PTH111 - unlike Path's it takes unknown users as they are
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():  # relative ones are to be ignored, says the standard
        return base / "veca-edge"
    with suppress(RuntimeError, OSError):
        if (home := Path.home()).is_dir():
            return home / ".cache" / "veca-edge"
    return None


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


def _kind(mode: int) -> str:
    """What a thing that is not a regular file is, in words."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to: it takes the place of `path` in the end, and is removed on any error.

    Of a link the file that it points to is replaced.

    Raises:
        VecaError: as `check_target`, before anything is written or when something else took the name meanwhile.
    """
    path = check_target(path)
    part = path.with_name(f".{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield part
        check_target(path)
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


def _may_replace(path: Path, mark: str) -> bool:
    """Whether a file is empty, or its first line is a JSON object with this key, or there is none."""
    try:
        with path.open("rb") as file:
            line = file.readline(LONGEST_LINE)
        record = json.loads(line) if line else {mark: None}
    except FileNotFoundError:
        return True
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and mark in record


class LineWriter:
    """JSON lines in a file, each written as a whole at once.

    Unlike other outputs the file has its name from the start: recordings run for hours on devices that may switch
    off from heat, and what was recorded until then is what counts. However it ends, all lines are complete. An
    older file is there until the first line is written.

    Args:
        path: the file.
        mark: a key that every line has: an older file without it in its first line is something else, such as a
            photo, and is not replaced. None to replace any file.

    Raises:
        VecaError: the folder is missing or not writable, or the path is a folder, a device or another kind of file.
    """

    def __init__(self, path: str | Path, mark: str | None = None) -> None:
        self.path = check_target(path)
        if mark is not None and not _may_replace(self.path, mark):
            raise VecaError(
                f"cannot write {shortened(Path(path))}: a file of another kind has this name: choose another"
            )
        self.lines = 0
        self._new = not is_there(self.path)
        try:
            self._file: BinaryIO | None = self.path.open("ab", buffering=0)
        except OSError as error:
            raise VecaError(f"cannot write {shortened(self.path)}: {error.strerror}") from None

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a line; a StreamError if it cannot be written, after which the file ends with the line before."""
        if self._file is None:
            raise StreamError(f"{self.path} is closed")
        try:
            line = encoded(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        except ValueError:
            raise StreamError(f"a value for {shortened(self.path)} is not a finite number") from None
        end = self._file.tell() if self.lines else 0
        try:
            if not self.lines:
                self._file.truncate(0)
            if self._file.write(line) != len(line):
                raise OSError(0, "the disk is full")
        except BaseException as error:
            with suppress(OSError):
                os.truncate(self._file.fileno(), end)
            self.close()
            if isinstance(error, OSError):
                reason = f"{error.strerror}; it holds the {self.lines} lines before"
                raise StreamError(f"cannot write {shortened(self.path)}: {reason}") from None
            raise
        self.lines += 1

    def close(self) -> None:
        """Close the file; without a line there is none, unless there was one before."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
            if self._new and not self.lines:
                with suppress(OSError):
                    self.path.unlink()

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
