"""The streams that can be measured on: video files and synthetic streams."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from veca_edge.arrays import Image
from veca_edge.calibration.benchmark.synthetic import FRAMES, SCENES, find_scene, synthetic_frames
from veca_edge.camera.sources import open_source
from veca_edge.errors import VecaError
from veca_edge.files import existing, expanded, is_folder, regular_file, shortened

SYNTHETIC = "synthetic"

Frames = Iterator[Image]
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Clip:
    """A stream to measure on.

    Attributes:
        name: for people.
        synthetic: whether `veca_edge.calibration.benchmark.synthetic` makes it.
        frames: how many there will be, None if unknown.
        open: its frames, uint8 (H, W, 3), RGB.
        digest: SHA-256 of the file, hexadecimal; "" for a synthetic one, which its name and length fix.
    """

    name: str
    synthetic: bool
    frames: int | None
    open: Callable[[], AbstractContextManager[Frames]]
    digest: str = ""


def find_clips(specs: Sequence[str], frames: int | None = None, say: Say = lambda _: None) -> list[Clip]:
    """What the user named, each once.

    Args:
        specs: video files; "synthetic" for all synthetic streams, "synthetic:pan" for one.
        frames: most per clip.
        say: receives what a damaged file has to tell.

    Raises:
        VecaError: no such file or stream, or not a video.
    """
    clips: dict[str, Clip] = {}
    names = [Path(spec).name for spec in dict.fromkeys(specs)]
    for spec in specs:
        kind, _, wanted = spec.partition(":")
        if kind == SYNTHETIC:
            for name in [find_scene(wanted).name] if wanted else SCENES:
                clips[f"{SYNTHETIC}:{name}"] = _synthetic_clip(name, FRAMES if frames is None else frames)
        else:
            # Files of one name are told apart by their folders.
            name = Path(spec).name if names.count(Path(spec).name) == 1 else spec
            clips[spec] = _file_clip(spec, name, frames, say)
    return list(clips.values())


def _synthetic_clip(name: str, frames: int) -> Clip:
    @contextmanager
    def opened() -> Iterator[Frames]:
        yield synthetic_frames(name, frames)

    return Clip(f"{SYNTHETIC}:{name}", True, frames, opened)


def _file_clip(spec: str, name: str, limit: int | None, say: Say) -> Clip:
    existing(spec, f"--stream takes video files, {SYNTHETIC} or {SYNTHETIC}:NAME")
    if is_folder(expanded(spec)):
        raise VecaError(f"{shortened(Path(spec))} is a folder: give a video file")
    with open_source(spec) as source:
        if source.live:
            raise VecaError(f"{shortened(Path(spec))} is a camera: --stream needs a recording")
        known = [count for count in (source.frames_total, limit) if count is not None]

    @contextmanager
    def opened() -> Iterator[Frames]:
        with open_source(spec, notify=say) as source:
            yield islice((frame.image for frame in source), limit)

    return Clip(name, False, min(known, default=None), opened, digest_of(expanded(spec)))


def digest_of(path: Path) -> str:
    """SHA-256 of a file of any size, hexadecimal; VecaError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with regular_file(path).open("rb") as stream:
            while block := stream.read(2**20):
                digest.update(block)
    except OSError as error:
        raise VecaError(f"cannot read {shortened(path)}: {error.strerror or error}") from None
    return digest.hexdigest()
