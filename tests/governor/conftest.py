from __future__ import annotations

from pathlib import Path

import pytest

from veca_edge.calibration.simulation.evaluate import Tables
from veca_edge.calibration.simulation.tables import read_tables
from veca_edge.governor.points import Front, OperatingPoint, operating_points

TABLE = Path(__file__).parent / "table.json"


@pytest.fixture(scope="session")
def tables() -> Tables:
    """A model with whole frames and streams at many budgets on the simulated phone."""
    return read_tables(TABLE)


@pytest.fixture(scope="session")
def points(tables: Tables) -> list[OperatingPoint]:
    return operating_points(tables.quality, tables.latency, tables.target_rate)


@pytest.fixture(scope="session")
def front(points: list[OperatingPoint]) -> Front:
    return Front.of(points)
