from __future__ import annotations

from tests.camera.conftest import clip, frames

__all__ = ["clip", "frames"]
