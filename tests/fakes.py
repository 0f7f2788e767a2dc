"""Stand-ins for a model, a camera, a screen and a clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.paths import CLIP, GOLDEN
from veca_edge.arrays import Float, Image
from veca_edge.camera.frames import Source
from veca_edge.camera.sources import open_source
from veca_edge.errors import VecaError
from veca_edge.image.opencv import FPS, FRAME_COUNT, HEIGHT, WIDTH
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.modelfile.certainty import DEFAULT_CERTAINTY
from veca_edge.runtime.result import Result

SHARES = {"Äpfel": 0.7, "hat": 0.2, "苹果": 0.1}


class FakeModel:
    """Colours of the patches as features; attends to the core given by a patch's brightness.

    Stands for a `runtime.model.Model` of a checkpoint (no streams, no quality table) and for a `Runner`.
    """

    name, budgets, patch_size = "fake", (8, 16, 32, 64), 16
    streams, statistics, quality, tasks = False, None, None, ()
    means, source_digest = None, ""
    engine = SimpleNamespace(name="fake")
    certainty = DEFAULT_CERTAINTY

    def __init__(self, head: bool = True, fit: str = "crop") -> None:
        self.preprocessing = Preprocessing(image_size=64, fit=fit)
        self.head = head
        self.calls: list[int] = []

    def check_budget(self, cores: int | None) -> int:
        if cores not in self.budgets:
            raise VecaError(f"{cores} cores: this model offers {', '.join(map(str, self.budgets))}")
        return cores

    def __call__(self, image: Image, cores: int | None, image_size: int | None = None) -> Result:
        assert cores is not None
        self.calls.append(cores)
        fitted = self.preprocessing.resize(image, self.patch_size, image_size)
        rows, columns = fitted.image.shape[0] // 16, fitted.image.shape[1] // 16
        colours = fitted.image.reshape(rows, 16, columns, 16, 3).mean((1, 3)).astype(np.float32)
        core_attention = np.full((rows, columns, cores), 0.1 / cores, np.float32)
        chosen = (colours.mean(-1) / 256 * cores).astype(int)
        np.put_along_axis(core_attention, chosen[..., None], 0.9 + 0.1 / cores, axis=-1)
        features: Float = np.concatenate((colours, colours**2 / 255), axis=-1)
        return Result(
            embedding=features.mean((0, 1)),
            features=features,
            core_attention=core_attention,
            logits=np.log(np.array([*SHARES.values()], np.float32)) if self.head else None,
            labels=tuple(SHARES) if self.head else (),
            cores=cores,
            image_size=(fitted.image.shape[0], fitted.image.shape[1]),
            crop=fitted.crop,
            latency=0.01,
            certainty=self.certainty,
        )


def streamed(computed: NDArray[np.bool_] | None, keyframe: bool = False) -> Result:
    """What a stream gives for a frame of 4 by 4 patches, of which these were computed."""
    return replace(FakeModel()(picture(120, 64, 64), cores=8), computed=computed, keyframe=keyframe, oldest=3)


class FakeCapture:
    """Hands out given BGR pictures, then fails like a camera whose cable was pulled."""

    def __init__(self, pictures: Any, opened: bool = True, fps: float = 30.0, count: float = -1) -> None:
        self.pictures = iter(pictures)
        self.opened = opened
        self.released = False
        self.values = {FPS: fps, FRAME_COUNT: count, WIDTH: 32, HEIGHT: 24}

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, Any]:
        picture = next(self.pictures, None)
        if isinstance(picture, Exception):
            raise picture
        return picture is not None, picture

    def get(self, property_id: int) -> float:
        return self.values.get(property_id, 0.0)

    def release(self) -> None:
        self.released = True


class FakeScreen:
    """Presses the given keys, one per picture, and keeps what it was shown."""

    def __init__(self, keys: list[int]) -> None:
        self.keys = iter(keys)
        self.shown: list[np.ndarray] = []

    def show(self, image: np.ndarray) -> None:
        self.shown.append(image)

    def key(self, wait: float = 0.001) -> int:
        return next(self.keys, -1)


class Clock:
    """Seconds that only a test moves."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def film(count: int = 6, fps: float = 240.0) -> Source:
    """A short film of flat pictures."""
    capture = FakeCapture([picture(20 * i % 256, 120, 160) for i in range(count)], fps=fps, count=count)
    return open_source("http://host/film.mp4", capture=lambda spec: capture)


def picture(value: int = 100, height: int = 24, width: int = 32) -> np.ndarray:
    """A flat (height, width, 3) uint8 image."""
    return np.full((height, width, 3), value, np.uint8)


def write_image(path: Path, value: int = 100, size: tuple[int, int] = (20, 30)) -> Path:
    """A flat picture of this (height, width) as a file; its path."""
    assert cv2.imwrite(str(path), picture(value, *size))
    return path


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


# For a process of its own: `veca-edge run` with the stand-in for the model on the packaged clip.
RUN_SCRIPT = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import veca_edge.runtime.model
from tests.fakes import FakeModel
veca_edge.runtime.model.load = lambda path, **more: FakeModel()
from veca_edge.cli.main import main
main(["run", {str(GOLDEN / "made-by-0.2.0.pte")!r}, "--source", {str(CLIP)!r}, *sys.argv[1:]])
"""
