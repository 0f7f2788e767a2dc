"""Options that would do nothing are refused: which, where, and only those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeCapture, film, picture, write_image
from veca_edge.camera.frames import Source
from veca_edge.camera.sources import open_source
from veca_edge.errors import VecaError
from veca_edge.playback.effects import check_effects
from veca_edge.playback.request import RunRequest
from veca_edge.sensors.state import ThermalLevel

FILM = "a video or a camera"
GOVERNED: dict[str, Any] = {
    "governor": "saver",
    "battery": 0.0,
    "thermal": ThermalLevel.NOMINAL,
    "low_power": True,
    "trace": Path("states.jsonl"),
}


def source(kind: str, folder: Path) -> Source:
    if kind == "photo":
        return open_source(write_image(folder / "a.png"))
    return film() if kind == "film" else open_source(0, capture=lambda spec: FakeCapture([picture()] * 9))


@pytest.mark.parametrize(
    ("given", "kind", "more", "words"),
    [
        ({"sensitivity": 9.0}, "photo", {}, f"--sensitivity works with {FILM}"),
        ({"patch_budget": 8}, "photo", {}, f"--patch-budget works with {FILM}"),
        ({"target_fps": 5.0}, "photo", {}, f"--target-fps works with {FILM}"),
        ({"stream": False}, "photo", {}, f"--no-stream works with {FILM}"),
        *(
            ({name: value}, "photo", {}, f"{name.replace('_', '-')} works with {FILM}")
            for name, value in GOVERNED.items()
        ),
        ({"retry": 3.0}, "photo", {}, "--retry works with a camera or a live address"),
        ({"retry": 3.0}, "film", {}, "--retry works with a camera or a live address"),
        ({"loop": True}, "camera", {}, "--loop works with files"),
        ({"view": "change", "headless": True}, "film", {}, "--view works with a window, --serve or --save"),
        (
            {"head": "a", "headless": True, "save": Path("o.mp4"), "view": "labels"},
            *("film", {}, "--head works with --save-masks"),
        ),
        ({"sensitivity": 9.0, "stream": False}, "film", {}, "--sensitivity works with --stream"),
        ({"patch_budget": 8, "stream": False}, "camera", {}, "--patch-budget works with --stream"),
        ({"patch_budget": 8}, "film", {"model_streams": False}, "--patch-budget works with a .pte file"),
        ({"trace_speed": 60.0}, "film", {}, "--trace-speed works with --trace"),
        *(({name: value}, "film", {"auto": False}, "works with --cores auto") for name, value in GOVERNED.items()),
    ],
)
def test_refused(tmp_path: Path, given: dict[str, Any], kind: str, more: dict[str, bool], words: str) -> None:
    with source(kind, tmp_path) as frames, pytest.raises(VecaError, match=words):
        check_effects(RunRequest(**given), frames, **more)


@pytest.mark.parametrize(
    ("given", "kind", "more"),
    [
        ({}, "photo", {"model_streams": False, "auto": False}),
        ({"loop": True, "fps_limit": 1.0, "frames": 2, "image_size": 96}, "photo", {"auto": False}),
        ({"sensitivity": 9.0, "patch_budget": 8, "target_fps": 5.0}, "film", {"auto": False}),
        ({"stream": False, "target_fps": 5.0}, "film", {"model_streams": False, "auto": False}),
        ({"view": "change", "headless": True, "save": Path("o.mp4")}, "film", {}),
        ({"head": "a", "headless": True, "save": Path("o.mp4"), "view": "masks"}, "film", {}),
        ({"head": "a", "headless": True, "save": Path("o.mp4")}, "film", {}),
        ({"head": "a", "headless": True, "save_masks": Path("set")}, "film", {}),
        ({"retry": 3.0, **GOVERNED}, "camera", {}),
    ],
)
def test_taken(tmp_path: Path, given: dict[str, Any], kind: str, more: dict[str, bool]) -> None:
    with source(kind, tmp_path) as frames:
        check_effects(RunRequest(**given), frames, **more)
