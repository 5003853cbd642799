"""The default world, made once for all tests of the room.

Belongs here: shared worlds. Does not: checks.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kpi_platform.simulator import SimulationSummary, simulate

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    """48 hours of 400 players."""
    out: Path = tmp_path_factory.mktemp("world")
    return simulate(out / "w", START, hours=48, players=1200, seed=7)
