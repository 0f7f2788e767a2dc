"""Reading the kernel's small files: one open, one read, no exceptions for what is ordinary there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

LENGTH = 4096  # bytes: sysfs never gives more than a page
MOST = 2**64  # the kernel has no larger integer; beyond it, or beyond its digits, a driver or a file is broken
DIGITS = 20  # of MOST
LABEL = 64  # characters of a name or of a word: status, type
# Never wait for a file, should one be a pipe; absent on Windows, which imports this as well.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def read_text(path: str) -> str | None:
    """A file's text without white space around it, None if it cannot be read."""
    try:
        descriptor = os.open(path, FLAGS)
    except (OSError, ValueError):  # Value: a name with a NUL byte, from another file
        return None
    try:
        return os.read(descriptor, LENGTH).decode("utf-8", "replace").strip("\0 \t\n")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def read_label(path: str) -> str | None:
    """A word or a name in a file, None if there is none: what is printed must not be a page of bytes."""
    text = read_text(path)
    return text if text and len(text) <= LABEL and text.isprintable() and "\ufffd" not in text else None


def read_int(path: str) -> int | None:
    """The integer in a file, None if there is none that the kernel could mean, or it cannot be read."""
    return parse_int(read_text(path) or "")


def parse_int(text: str) -> int | None:
    """A decimal integer as the kernel prints it, None for anything else: "nan", "1e999", "1_0", 10**400."""
    digits = text.strip("\0 \t\n")
    bare = digits.removeprefix("-")
    if not (bare.isascii() and bare.isdigit() and len(bare) <= DIGITS):
        return None
    value = int(digits)
    return value if abs(value) < MOST else None


class KeptFiles:
    """Files that are read every second stay open, which takes a third of the time of opening them each time.

    The kernel makes new text at every read from the start, and answers ENODEV once the device is gone. For one
    thread only.
    """

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def read_int(self, path: str) -> int | None:
        """The integer in a file, None if there is none or it cannot be read."""
        try:
            return parse_int(self.read_or_raise(path).decode("ascii", "replace"))
        except OSError:
            return None

    def read_or_raise(self, path: str) -> bytes:
        """What a file holds now.

        Raises:
            OSError: as the kernel says: EAGAIN, EINVAL, EIO, ENODATA of a sensor without a value, EACCES of one
                that is not for everyone. The file is opened again the next time.
        """
        descriptor = self._open.get(path)
        if descriptor is None:
            descriptor = self._open[path] = os.open(path, FLAGS)
        try:
            return os.pread(descriptor, LENGTH, 0)
        except OSError:
            os.close(self._open.pop(path))
            raise

    def close(self) -> None:
        """Close all; reading opens them again."""
        while self._open:
            os.close(self._open.popitem()[1])


def entries(folder: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, path) of what lies in a folder, in the order of their numbers; nothing if it cannot be listed."""
    try:
        names = [path.name for path in Path(folder).iterdir()]
    except OSError:
        return
    for name in sorted(names, key=lambda name: (len(name), name)):
        if name.startswith(prefix):
            yield name, f"{folder}/{name}"


def under(root: str, path: str) -> str:
    """An absolute path inside another root."""
    return root.rstrip("/") + path
