"""The whole platform without Dagster: files in, published tables out, step by step in process.

Belongs here: running the real steps, the real dbt and the real publishing in their order. Does
not: what should come out.
"""

import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from kpi_platform.arrivals.feeds.console_step import ConsoleStep
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.hour_steps import HourReport
from kpi_platform.engine.platform import Platform
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.kpis.build import RunDbt, build_marts
from kpi_platform.kpis.dbt.dbt_run import DbtRun, plain_path
from kpi_platform.kpis.dbt.project import project_fingerprint
from kpi_platform.published.publish import marts_to_publish
from kpi_platform.published.publish_changes import publish_changes
from kpi_platform.settings import Settings
from kpi_platform.storage.kpi_database.dbt_manifest import (
    PARSED,
    PROJECT_DIR,
    ensure_manifest,
    read_manifest,
)
from kpi_platform_tests.colours import EVERY, worked

DATA_TABLES = (
    "raw_telemetry",
    "raw_console_feed",
    "raw_stream_feed",
    "raw_studio_events",
    "stream_stats",
    "table_ledger",
    "quarantined_events",
    "cleaned_events",
    "sessions",
    "user_version_history",
    "user_version_intervals",
)
PUBLISHED_TABLES = tuple(mart.table for mart in marts_to_publish(read_manifest()))


def new_platform(home: Path, landing: Path, sources: Path) -> Platform:
    """A platform of its own below `home`, whatever the environment says, on files of others."""
    return Platform(
        Settings(
            home=home,
            landing_uri=str(landing),
            feeds_uri=str(sources.parent / "feeds"),
            lake_uri=str(home / "lake"),
            warehouse_path=home / "warehouse.duckdb",
            sources=sources,
        )
    )


def run_hours(
    platform: Platform, hours: Sequence[datetime], *, is_checked: bool = True
) -> list[HourReport]:
    """Bring every lake table up to date for these hours; returns what the steps report.

    Fails if a check does, unless something is damaged and they are not to be asked (`is_checked`).
    """
    steps = (
        RawStep.of(platform),
        ConsoleStep.of(platform),
        StreamStep.of(platform),
        CaptureStep.of(platform),
        EventsStep.of(platform),
        SessionsStep.of(platform),
        HistoryStep.of(platform),
    )
    checks = EVERY if is_checked else {}
    return [r for step in steps for r in worked(platform.lake, step, hours, 10**9, checks)]


def run_marts(platform: Platform) -> list[str]:
    """Load, build and publish what changed; returns the tables published."""
    manifest = read_manifest()
    path, settings = platform.settings.warehouse_file, platform.settings

    def in_a_process_of_its_own(full_refresh: bool) -> None:
        command = [Path(sys.executable).with_name("dbt"), "build", "--quiet"]
        command += ["--exclude-resource-type", "unit_test"]
        command += ["--full-refresh"] if full_refresh else []
        with plain_path(path.resolve()) as database:
            subprocess.run(
                command,
                cwd=PROJECT_DIR,
                env={
                    "PATH": "",
                    "KPI_WAREHOUSE": settings.warehouse,
                    "KPI_WAREHOUSE_HOST": settings.warehouse_host,
                    "KPI_WAREHOUSE_PORT": str(settings.warehouse_port or 5432),
                    "KPI_WAREHOUSE_USER": settings.warehouse_user,
                    "KPI_WAREHOUSE_PASSWORD": settings.warehouse_password.get_secret_value(),
                    "KPI_WAREHOUSE_DATABASE": settings.warehouse_database,
                    "KPI_WAREHOUSE_PATH": str(database),
                    "DBT_TARGET_PATH": str(path.parent / "target"),
                    "DBT_LOG_PATH": str(path.parent / "logs"),
                },
                check=True,
            )

    # As the project was parsed for the embedded database; another would have to be parsed for it.
    parsed = ensure_manifest().parent / PARSED
    here = DbtRun(PROJECT_DIR, parsed, path, path.parent / "target")
    run_dbt: RunDbt = here if settings.warehouse == "duckdb" else in_a_process_of_its_own
    build_marts(platform, project_fingerprint(manifest), run_dbt)
    done = publish_changes(platform, marts_to_publish(manifest)).done
    return [item.table for item in done]


def tables_of(platform: Platform) -> dict[str, pl.DataFrame]:
    """Every data table as it is now, rows in a fixed order."""
    found = {table: platform.lake.scan(table).collect() for table in DATA_TABLES}
    for table in PUBLISHED_TABLES:
        rows = platform.lake.published(table)
        if rows is not None:
            found[f"published/{table}"] = rows.collect()
    return {name: _in_order(rows) for name, rows in found.items()}


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    sortable = [name for name, dtype in rows.schema.items() if not isinstance(dtype, pl.List)]
    return rows.select(sorted(rows.columns)).sort(sortable)
