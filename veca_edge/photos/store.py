"""Photos decoded once and kept in memory as bytes, where training reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from veca_edge.arrays import Image
from veca_edge.errors import VecaError
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.image.skipping import Say
from veca_edge.photos.decoding import readable
from veca_edge.photos.folders import Photos, joined

MOST_OF_MEMORY = 0.7  # of the machine's, for photos
MOST_OF_DEVICE = 0.3  # of an accelerator's free memory
Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class PhotoStore:
    """Decoded photos.

    Attributes:
        pixels: uint8 (n, 3, S, S), RGB.
        targets: int64 (n,), index of the label, or -1 without one.
        digest: a fingerprint of the files' names and targets and of S; not of the pixels.
    """

    pixels: Tensor
    targets: Tensor
    digest: str

    def __len__(self) -> int:
        return len(self.pixels)

    def first(self, count: int) -> PhotoStore:
        """The first photos, all if there are no more."""
        return PhotoStore(self.pixels[:count], self.targets[:count], self.digest)

    def to(self, device: torch.device) -> PhotoStore:
        """Where batches are made: on an accelerator if it has room to spare, else where they are."""
        if has_room(device, self.pixels.numel()):
            return PhotoStore(self.pixels.to(device), self.targets.to(device), self.digest)
        return self


def load_photos(parts: list[Photos], side: int, say: Say, progress: Progress = lambda _: None) -> PhotoStore:
    """Decode photos into squares of `side` pixels: the short side scaled to it, the middle kept.

    Args:
        parts: splits with the same labels, taken one after the other.
        side: pixels.
        say: receives lines about photos that are skipped.
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: none can be read, or they would not fit into memory.
    """
    photos = joined(parts)
    check_memory(len(photos), side)
    square = Preprocessing(image_size=side)

    def prepare(image: Image) -> Image:
        return planes(square.resize(image, patch_size=1).image)

    pixels = torch.empty((len(photos), 3, side, side), dtype=torch.uint8)
    kept: list[int] = []
    for index, photo in readable(photos.paths, prepare, say):
        progress(index / len(photos))
        pixels[len(kept)] = torch.from_numpy(photo)
        kept.append(index)
    if not kept:
        raise VecaError(f"none of the {len(photos)} photos could be read")
    progress(1)
    chosen = photos.select(kept)
    return PhotoStore(pixels[: len(kept)], torch.from_numpy(chosen.targets), chosen.digest(side))


def planes(image: Image) -> Image:
    """(3, H, W) of an image (H, W, 3), contiguous; made by workers, since one thread collects what they make."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def has_room(device: torch.device, size: int) -> bool:
    """Whether a device is an accelerator with room to spare for so many bytes."""
    return device.type == "cuda" and bool(size < MOST_OF_DEVICE * torch.cuda.mem_get_info(device)[0])


def check_memory(count: int, side: int, bytes_each: int = 3) -> None:
    """Refuse before allocating: an overcommitted allocation would only fail when it is filled."""
    need = count * bytes_each * side * side
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return
    if need > MOST_OF_MEMORY * there:
        have = f"of {there / 1e9:.0f} GB in this machine"
        raise VecaError(f"{count} photos of {side} pixels take {need / 1e9:.1f} GB {have}: lower photo_size")
