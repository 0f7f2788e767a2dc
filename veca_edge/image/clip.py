"""Frames of the clip that comes with the package: what is measured and evaluated where the user names nothing."""

from __future__ import annotations

from importlib import resources

from veca_edge.arrays import Image
from veca_edge.errors import VecaError
from veca_edge.image.opencv import open_capture, to_rgb


def clip_frames(start: int, count: int) -> list[Image]:
    """Some of the clip's frames: uint8 (H, W, 3), RGB.

    Args:
        start: the first one's index.
        count: how many; fewer come if the clip ends before.

    Raises:
        VecaError: OpenCV is not installed, or cannot decode the clip.
    """
    frames = list[Image]()
    with resources.as_file(resources.files("veca_edge.assets") / "clip.mp4") as path:
        capture = open_capture(str(path))
        try:
            for index in range(start + count):
                there, frame = capture.read()
                if not there:
                    break
                if index >= start:
                    frames.append(to_rgb(frame))
        finally:
            capture.release()
    if not frames:
        raise VecaError("OpenCV cannot decode the packaged clip: reinstall opencv-python-headless")
    return frames
