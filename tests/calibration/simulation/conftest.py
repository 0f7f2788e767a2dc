from __future__ import annotations

from tests.governor.conftest import front, points, tables

__all__ = ["front", "points", "tables"]
