"""Features on disk, so that a photo is computed once per model: an SQLite file in the user's cache folder.

With SQLite each batch appears complete or not at all, whatever interrupts the work, and several processes can share
the file.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from veca_edge.files import CACHE, cache_folder, shortened
from veca_edge.image.skipping import Say

FORMAT = 1
LIMIT = 4 * 2**30  # bytes of all files together; the least recently used are removed first
TABLE = """CREATE TABLE IF NOT EXISTS features
    (photo BLOB, cores INTEGER, vector BLOB, PRIMARY KEY (photo, cores)) WITHOUT ROWID"""

Half = NDArray[np.float16]
Row = tuple[bytes, int, Half]


class FeatureCache:
    """Vectors by photo and core count; a context manager.

    Nothing is kept while the cache folder cannot be used.
    """

    def __init__(self, about: str, width: int, say: Say) -> None:
        """Open or create the file of one model and preprocessing.

        Args:
            about: all that the vectors depend on, except for the photo and the core count.
            width: length of a vector.
            say: receives a line if nothing can be kept.
        """
        self._width = width
        self._say = say
        name = hashlib.sha256(f"{FORMAT} {width} {about}".encode()).hexdigest()[:24]
        folder = cache_folder()
        self._path = (folder or Path()) / "features" / f"{name}.sqlite"
        self._file = None
        if folder is None:
            say(f"features are not kept: there is no home folder for a cache; set {CACHE} to a folder for them")
        else:
            self._file = self._open()

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._close()

    def read(self, photo: bytes) -> dict[int, Half]:
        """The vectors of one photo by core count; damaged ones are left out."""
        if self._file is None:
            return {}
        try:
            rows = self._file.execute("SELECT cores, vector FROM features WHERE photo = ?", (photo,)).fetchall()
        except sqlite3.DatabaseError:
            return {}
        return {cores: np.frombuffer(data, np.float16) for cores, data in rows if self._sound(data)}

    def write(self, rows: Iterable[Row]) -> None:
        """Keep vectors: (photo, cores, float16 (width,)); all of them or, after an interruption, none."""
        if self._file is None:
            return
        values = [(photo, cores, vector.tobytes()) for photo, cores, vector in rows]
        try:
            with self._file:
                self._file.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", values)
        except sqlite3.DatabaseError as error:
            self._say(f"features are no longer kept: {shortened(self._path)}: {error}")
            self._close()

    def _sound(self, data: object) -> bool:
        if not isinstance(data, bytes) or len(data) != 2 * self._width:
            return False
        return bool(np.isfinite(np.frombuffer(data, np.float16)).all())

    def _open(self) -> sqlite3.Connection | None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _make_room(self._path)
            try:
                return _connected(self._path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:  # damaged: its content can be computed again
                self._path.unlink()
                return _connected(self._path)
        except (OSError, sqlite3.DatabaseError) as error:
            self._say(
                f"features are not kept: cannot use {shortened(self._path)}: {error}; {CACHE} names another folder"
            )
            return None

    def _close(self) -> None:
        if self._file is not None:
            with suppress(sqlite3.Error):
                self._file.close()
        self._file = None


def photo_key(path: Path) -> bytes:
    """A digest of a photo's path, size and time of change; reading the contents would take minutes.

    Raises:
        OSError: the file is gone.
    """
    facts = path.stat()
    text = f"{path.absolute()}\0{facts.st_size}\0{facts.st_mtime_ns}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:16]


def _connected(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path)
    try:
        file.execute("PRAGMA synchronous = OFF")  # a power cut may damage the file, but it can be computed again
        file.execute(TABLE)
        file.execute("SELECT photo, cores, vector FROM features LIMIT 1").fetchall()
    except BaseException:
        file.close()
        raise
    return file


def _make_room(keep: Path) -> None:
    """Remove the least recently used files until the rest is within the limit."""
    if keep.exists():
        keep.touch()
    files = [(path.stat().st_mtime, path.stat().st_size, path) for path in keep.parent.glob("*.sqlite")]
    total = 0
    for _, size, path in sorted(files, reverse=True):
        total += size
        if total > LIMIT and path != keep:
            with suppress(OSError):
                path.unlink()
