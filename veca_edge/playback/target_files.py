"""What a dense head says of each frame, as files that `photos.masks` reads again: masks of classes, or values."""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veca_edge.camera.frames import Frame
from veca_edge.errors import StreamError, VecaError
from veca_edge.files import expanded, is_there, shortened, write_whole
from veca_edge.modelfile.heads import FOLDERS, IGNORE, LABELS, SCALE, Colour, DenseTask
from veca_edge.playback.drawing import Box, clip_box
from veca_edge.playback.masks import enlarged
from veca_edge.runtime.dense import DenseResult

MOST_STEPS = 2**16 - 1  # of a 16-bit PNG


class MaskWriter:
    """Writes a file per frame, as large as the frame, and beside their folder what they mean.

    Classes become a palette PNG, 255 where the model saw nothing. Values become a 16-bit PNG, 0 there; or if the
    head's range goes below 0, which such a PNG cannot hold, an .npy of float32, NaN there.

    Args:
        folder: where to write; made with the first file.
        head: whose results.
        numbered: whether files are called after their frames' numbers, as in a film; else after their images,
            of which a second one with the same name but another ending keeps its ending.

    Raises:
        VecaError: as `check_mask_folder`.
    """

    def __init__(self, folder: Path, head: str, numbered: bool) -> None:
        self.folder = check_mask_folder(folder)
        self.files = 0
        self._head, self._numbered = head, numbered
        self._images: dict[str, str] = {}

    def write(self, frame: Frame, dense: DenseResult) -> None:
        """Write a frame's file; a StreamError if that fails."""
        name = self._name(frame)
        place = self.folder / FOLDERS[dense.task.kind]
        try:
            if not self.files:
                place.mkdir(parents=True, exist_ok=True)
                write_whole(self.folder / _meaning_file(dense.task), _meaning(dense.task).encode())
            suffix, data = _encoded(dense, frame.image.shape[:2])
            write_whole(place / f"{name}{suffix}", data)
        except OSError as error:
            raise StreamError(f"cannot write {shortened(place)}: {error.strerror}") from None
        except VecaError as error:
            raise StreamError(str(error)) from None
        self.files += 1

    def _name(self, frame: Frame) -> str:
        """A file's name without its ending; that of another image's file is not taken again."""
        if self._numbered:
            return f"{frame.index:06d}"
        path = Path(frame.name)
        return path.stem if self._images.setdefault(path.stem, frame.name) == frame.name else path.name


def check_mask_folder(folder: Path) -> Path:
    """Where masks would be written, `~` expanded.

    Raises:
        VecaError: it cannot be a folder, or right answers are there already: what a person drew is not replaced.
    """
    folder = expanded(folder)
    if _is_taken(folder) and not folder.is_dir():
        raise VecaError(f"cannot write masks to {shortened(folder)}: it is not a folder")
    if not is_there(folder.parent):
        raise VecaError(f"cannot write masks to {shortened(folder)}: there is no folder {shortened(folder.parent)}")
    taken = next((name for name in (LABELS, SCALE, *FOLDERS.values()) if _is_taken(folder / name)), None)
    if taken is not None:
        raise VecaError(f"cannot write masks to {shortened(folder)}: it has {taken} already: name another folder")
    return folder


def _is_taken(path: Path) -> bool:
    """Whether something bears this name, be it a link that leads nowhere."""
    return is_there(path) or path.is_symlink()


def check_saved(task: DenseTask) -> None:
    """Raise a VecaError for a head with more classes than a mask can hold beside 255, which says nothing."""
    if len(task.labels) > IGNORE:
        raise VecaError(f"masks of {len(task.labels)} classes cannot be saved: {IGNORE} fit into a PNG")


def _meaning_file(task: DenseTask) -> str:
    return LABELS if task.kind == "segmentation" else SCALE


def _meaning(task: DenseTask) -> str:
    """A line per class, with its colour; or what a step of a PNG stands for."""
    if task.kind == "regression":
        return f"{_step(task):.12g} {task.unit}".rstrip() + "\n"
    classes = zip(task.labels, task.colours, strict=True)
    return "".join(f"{label.strip()} #{bytes(colour).hex()}\n" for label, colour in classes)


def _step(task: DenseTask) -> float:
    """The smallest power of ten with which the head's range fits into a 16-bit PNG."""
    return float(f"1e{math.ceil(math.log10(max(task.range[1], 1e-9) / MOST_STEPS))}")


def _encoded(dense: DenseResult, size: tuple[int, int]) -> tuple[str, bytes]:
    """The ending and the content of the file for a frame of this (height, width)."""
    x, y, width, height = clip_box(dense.crop, size[1], size[0])
    inside = (x - dense.crop[0], y - dense.crop[1], width, height)
    place = (slice(y, y + height), slice(x, x + width))
    if dense.task.kind == "segmentation":
        mask = np.full(size, IGNORE, np.uint8)
        mask[place] = _classes(dense, inside)
        return ".png", _png(mask, dense.task.colours)
    values = np.full(size, np.nan, np.float32)
    values[place] = enlarged(dense.values(), dense.crop, inside)
    if dense.task.range[0] < 0:
        stream = io.BytesIO()
        np.save(stream, values, allow_pickle=False)
        return ".npy", stream.getvalue()
    # At least a step, since 0 is unknown.
    steps = np.rint(values / np.float32(_step(dense.task))).clip(1, MOST_STEPS)
    return ".png", _png(np.nan_to_num(steps).astype(np.uint16))


def _classes(dense: DenseResult, inside: Box) -> NDArray[np.uint8]:
    """As `DenseResult.classes`, one class after another: all at once a large frame would need gigabytes."""
    best = enlarged(dense.cells[..., 0], dense.crop, inside)
    classes = np.zeros(best.shape, np.uint8)
    for number in range(1, dense.task.values):
        logits = enlarged(dense.cells[..., number], dense.crop, inside)
        classes[logits > best] = number
        best = np.maximum(best, logits)
    return classes


def _png(pixels: NDArray[np.uint8] | NDArray[np.uint16], palette: Sequence[Colour] = ()) -> bytes:
    """A grey PNG of pixels (height, width) as they are, or one with a palette, which OpenCV cannot write."""
    height, width = pixels.shape
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    data = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes(), 3)  # each row begins with "not filtered"
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, 3 if palette else 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    if palette:
        chunks.insert(1, (b"PLTE", b"".join(map(bytes, palette)).ljust(3 * 256, b"\xe0")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
