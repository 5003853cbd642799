"""The job that lets rows go, and its schedule.

Belongs here: when retention runs and what Dagster shows of it. Does not: retention (`run.py`).
"""

from datetime import UTC, datetime

import dagster as dg

from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.retention.report import as_lines
from kpi_platform.retention.run import run_retention
from kpi_platform.settings import load_settings


@dg.op(description="Seals days, and lets telemetry lines and events go that are too old.")
def let_rows_go(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Run retention; the log says what was sealed, what went, and what is waited for."""

    def progress(stage: str, done: int, whole: int) -> None:
        context.log.info(f"{done:,} of {whole:,} {stage}")

    for line in as_lines(run_retention(platform.platform, datetime.now(UTC), progress)):
        context.log.info(line)


@dg.job(
    description="Seals days that are over for KPI_KEEP_LINES_DAYS and takes away their telemetry "
    "lines, after KPI_KEEP_EVENTS_DAYS their events. No figure changes; the disk's space comes "
    "back with maintenance."
)
def retention() -> None:
    """One run of retention."""
    let_rows_go()


@dg.schedule(
    job=retention,
    cron_schedule="20 4 * * *",
    execution_timezone="UTC",
    # Without the setting it does nothing, and whoever sets it wants it.
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day, before maintenance, if KPI_KEEP_LINES_DAYS is set.",
)
def retention_schedule() -> dg.RunRequest | dg.SkipReason:
    """A run, or why there is none."""
    if load_settings().keep_lines_days is None:
        return dg.SkipReason("KPI_KEEP_LINES_DAYS is not set: all rows are kept for ever")
    return dg.RunRequest()
