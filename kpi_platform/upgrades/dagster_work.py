"""What an upgrade asks of Dagster: its own state's tables, and one run that builds the KPIs.

Belongs here: both. Does not: anything of the lake.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import dagster as dg

from kpi_platform.settings import PARTITION_FORMAT
from kpi_platform.storage.local_servers.local_process import ending_with_us

_SHOWN_LINES = 3


def stale_storages() -> list[str]:
    """Which parts of Dagster's state (runs, events, schedules) have tables of an earlier Dagster;
    none if DAGSTER_HOME names no state."""
    with _instance() as instance:
        if instance is None:
            return []
        storages = {
            "runs": instance.run_storage,
            "events": instance.event_log_storage,
            "schedules": instance.schedule_storage,
        }
        stale = []
        for name, storage in storages.items():
            versions = None if storage is None else storage.alembic_version()
            if versions is not None and versions[0] != versions[1]:
                stale.append(name)
        return stale


def upgrade_state() -> list[str]:
    """Bring the tables of Dagster's state to the Dagster that is installed."""
    with _instance() as instance:
        if instance is not None:
            instance.upgrade()
    return []


def build_kpis(hour: datetime) -> list[str]:
    """Run the KPI models and what is published of them, recorded for `hour`; what went wrong."""
    key = hour.strftime(PARTITION_FORMAT)
    process = subprocess.Popen(  # noqa: S603 (fixed command, no shell)
        [
            *(sys.executable, "-m", "dagster", "asset", "materialize"),
            *("--select", "kpi_hourly+", "--partition", key),
        ],
        env={**os.environ, "DAGSTER_MODULE_NAME": "kpi_platform.definitions"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    with ending_with_us(process):
        said = process.communicate()[0]
    if process.returncode == 0:
        return []
    errors = [line.strip() for line in said.splitlines() if "Failure" in line or "ERROR" in line]
    return [f"the KPIs were not built: run {key} again", *errors[-_SHOWN_LINES:]]


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance | None]:
    if "DAGSTER_HOME" not in os.environ:
        yield None
        return
    with dg.DagsterInstance.get() as instance:
        yield instance
