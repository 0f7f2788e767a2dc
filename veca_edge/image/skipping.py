"""Tells of files that are skipped: the first few by name, and how many more there are."""

from __future__ import annotations

from collections.abc import Callable

NAMED = 5  # skipped files that are named before the rest is only counted

Say = Callable[[str], None]


class Skipped:
    """Names the first few files that are skipped, and counts the others.

    Use it as a context manager, or call `close`: that says how many were not named.
    """

    def __init__(self, say: Say) -> None:
        self._count = 0
        self._say = say

    def __call__(self, reason: object) -> None:
        """Note one skipped file, with a line that names it."""
        self._count += 1
        if self._count <= NAMED:
            self._say(f"skipped: {reason}")

    def close(self) -> None:
        """Say how many were not named, once."""
        if self._count > NAMED:
            self._say(f"skipped: {self._count - NAMED} more")
        self._count = 0

    def __enter__(self) -> Skipped:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
