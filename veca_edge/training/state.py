"""The files of a training run, beside its checkpoint: the state to continue from, and the log.

Both survive an interruption at any moment: the state appears complete or not at all, and lines of the log that are
incomplete or newer than the state are dropped when the run continues.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from veca_edge.documents import parse_json
from veca_edge.errors import VecaError
from veca_edge.files import check_target, is_there, regular_file, write_whole
from veca_edge.model.untrusted import load_untrusted

FORMAT = 1
MAX_LINE = 1 << 20  # characters of a line of the log


@dataclass(frozen=True)
class RunFiles:
    """Where a run writes.

    Attributes:
        output: the checkpoint.
    """

    output: Path

    @property
    def state(self) -> Path:
        return self.output.with_suffix(".state.pt")

    @property
    def log(self) -> Path:
        return self.output.with_suffix(".log.jsonl")

    @property
    def teacher(self) -> Path:
        """The tuned teacher."""
        return self.output.with_suffix(".teacher.npz")

    @property
    def prepared(self) -> Path:
        """Digests of what the tuned teacher and its answers were made from."""
        return self.output.with_suffix(".prepared.json")

    @property
    def answers(self) -> Path:
        """The teacher's kept answers."""
        return self.output.with_suffix(".answers.npy")


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and text; the file appears complete or not at all.

    Raises:
        VecaError: it cannot be written.
    """
    # Through memory, because torch's own writer does not report a full disk as an ordinary error.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    write_whole(path, buffer.getbuffer())


def read_state(path: Path) -> dict[str, Any] | None:
    """What `write_state` wrote, on the CPU, or None if there is no such file. Nothing in it is executed.

    Raises:
        VecaError: it is damaged, or not a state.
    """
    if not is_there(path):
        return None
    try:
        state, _ = load_untrusted(path)
    except VecaError as error:
        raise VecaError(f"{path}: {error}; or start over with --resume never") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise VecaError(f"{path} is not the state of a training run: start over with --resume never")
    return state


class RunLog:
    """A file of JSON lines, each with the number of steps taken at that time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rewind(self, step: int) -> None:
        """Drop what was written after step `step`."""
        kept = [line for line in read_log(self._path) if line["step"] <= step]
        write_whole(self._path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def add(self, line: dict[str, Any]) -> None:
        """Append a line."""
        try:
            with check_target(self._path).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        except OSError as error:
            raise VecaError(f"{self._path}: cannot be written: {error.strerror or error}") from None


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log, none if there is no file; incomplete and foreign lines are left out."""
    if not is_there(path):
        return
    with regular_file(path).open(encoding="utf-8", errors="replace") as stream:
        while text := stream.readline(MAX_LINE):
            try:
                line = parse_json(text)
            except VecaError:
                continue
            if isinstance(line, dict) and type(line.get("step")) is int:
                yield line
