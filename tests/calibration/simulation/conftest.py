from __future__ import annotations

import pytest

from tests.governor.conftest import front, points
from veca_edge.calibration.simulation.evaluate import Tables
from veca_edge.calibration.simulation.tables import read_tables

__all__ = ["front", "points", "tables"]


@pytest.fixture(scope="session")
def tables() -> Tables:
    """The packaged model on the simulated phone."""
    return read_tables()
