"""Photo sets made of pieces of the packaged photos, and models small enough to look at them in a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from veca_edge.arrays import Image
from veca_edge.image.stills import read_image
from veca_edge.model.checkpoint import Checkpoint, default_preprocessing
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import random_veca
from veca_edge.photos.samples import packaged_folder
from veca_edge.playback.writers import save_png

LABELS = ("banana", "hat", "milk")


def packaged(name: str) -> Image:
    """A packaged photo by its name: uint8 (144, 144, 3)."""
    with packaged_folder() as folder:
        return read_image(folder / f"{name}.jpg")


def pieces(name: str, count: int, seed: int = 0) -> list[Image]:
    """Pieces of a packaged photo, uint8 (64 to 96, 100, 3), each at another place and of another brightness."""
    photo, generator = packaged(name), np.random.default_rng([seed, *name.encode()])
    result = []
    for _ in range(count):
        (top, left), height = generator.integers(0, 40, 2), generator.integers(64, 97)
        part = photo[top : top + height, left : left + 100].astype(np.int64) + generator.integers(-30, 31)
        result.append(part.clip(0, 255).astype(np.uint8))
    return result


def write_pieces(folder: Path, name: str, count: int, seed: int = 0) -> list[Path]:
    """Save pieces of a packaged photo as folder/00.png and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:02}.png" for index in range(count)]
    for path, piece in zip(paths, pieces(name, count, seed), strict=True):
        save_png(path, piece)
    return paths


def write_folders(folder: Path, counts: Mapping[str, int]) -> list[Path]:
    """Folders, each with so many pieces of the packaged photo that it is named after, or of an orange."""
    folder.mkdir(exist_ok=True)
    paths = []
    for name, count in counts.items():
        photo = Path(name).name
        paths += write_pieces(
            folder / name, photo if photo in LABELS else "orange", count, seed=int(name.startswith("val/"))
        )
    return paths


def write_photos(folder: Path, train: int = 10, val: int = 4) -> Path:
    """A folder with train and val photos of three labels."""
    splits = {"train": train, "val": val}
    write_folders(folder, {f"{split}/{label}": splits[split] for split in splits for label in LABELS})
    return folder


def cut(path: Path, share: float = 0.5) -> None:
    """Keep the first part of a file: its header, and so much that it is found but cannot be decoded."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def tiny_checkpoint(**changes: Any) -> Checkpoint:
    """Random weights, two layers, 32 wide, 24 cores, 64 pixels, no head."""
    sizes = {"hidden_dim": 32, "num_heads": 2, "num_layers": 2, "num_cores": 24, "ffn_dim": 48}
    config = VecaConfig.from_family("small", **{**sizes, **changes})
    state = random_veca(config).state_dict()
    return Checkpoint(config, state, None, (), default_preprocessing() | {"image_size": 64})
