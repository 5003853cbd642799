"""How hard the laws are tried: `KPI_LAWS=ci` (the default, seconds) or `KPI_LAWS=soak` (hours)."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile(
    "ci",
    max_examples=int(os.environ.get("KPI_LAWS_EXAMPLES", "8")),
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=_SLOW_IS_FINE,
    print_blob=True,
)
settings.register_profile(
    "soak",
    parent=settings.get_profile("ci"),
    max_examples=int(os.environ.get("KPI_LAWS_EXAMPLES", "20000")),
    stateful_step_count=20,
)


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A temporary folder in memory where the system has one: a lake commits a lot."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)
