"""Hands items from one thread to another, either all of them in order or only the newest."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")
POLL = 0.1  # seconds between looks at `closed`, which is set without a lock


class Mailbox(Generic[T]):
    """A bounded queue that either side can end.

    Args:
        size: how many items it holds, at least 1.
        newest_only: when full, drop the oldest item (and count it) instead of making `put` wait.
    """

    def __init__(self, size: int, newest_only: bool) -> None:
        self.dropped = 0
        self._size = size
        self._newest_only = newest_only
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._finished = False
        self._error: Exception | None = None

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, item: T) -> bool:
        """Add an item, waiting for room if need be. False once the reader has closed the mailbox."""
        with self._changed:
            while not self._newest_only and len(self._items) >= self._size and not self._closed:
                self._changed.wait(POLL)
            if self._closed:
                return False
            if len(self._items) >= self._size:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify_all()
            return True

    def finish(self, error: Exception | None = None) -> None:
        """No item will follow; `take` raises `error`, if there is one, after the last item."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def take(self) -> T | None:
        """The next item, waiting for it; None at the end."""
        with self._changed:
            while not (self._items or self._finished or self._closed):
                self._changed.wait(POLL)
            if self._closed:
                return None
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            return None

    def close(self) -> None:
        """The reader is gone: both sides return soon. Takes no lock, so a signal handler may call it."""
        self._closed = True
