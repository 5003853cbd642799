"""The job that keeps the tables' files few and old versions gone, and its schedule.

Belongs here: when upkeep runs and what Dagster shows of it. Does not: the upkeep (storage).
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from kpi_platform.orchestration.dagster_state import HomeInstance
from kpi_platform.orchestration.event_pruning import prune_events
from kpi_platform.orchestration.left_logs import remove_left_logs
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.storage.lake.maintenance import maintain

# A run that is just being made is not known yet.
_LEFT_FOR = timedelta(days=1)
# Tables that the steps keep for themselves: an observation would make an asset of them in the UI
# that no definition has.
BOOKS = {
    *("hour_fingerprints", "hour_queue", "history_queue", "session_parts", "sightings"),
    *("studio_dimensions", "warehouse_columns", "file_ledger", "event_attributes", "run_ledger"),
    *("incidents", "alert_marks", "alert_messages", "rows_ahead"),
    *("daily_reports", "reported_figures", "report_recipients"),
    *("sealed_days", "late_files", "dropped_hours"),
    *("kept_days", "kept_contributions", "emptied_hours"),
}


@dg.op(description="Merges small files, writes checkpoints, removes files past the retention.")
def maintain_tables(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Maintain every lake and published table; an observation on each asset says what was done,
    of books that are no asset the log.

    Raises dg.Failure that names the tables which other writers kept busy; all others are done.
    """
    parts = platform.platform
    busy = []
    for item in maintain(parts.lake, parts.settings.retention):
        figures = {name: value for name, value in vars(item).items() if name != "table"}
        figures |= {"table": item.table, "seconds": round(item.seconds, 3)}
        if item.table in BOOKS:
            context.log.info(", ".join(f"{name}: {value}" for name, value in figures.items()))
        else:
            key = item.table.rsplit("/", 1)[-1]
            context.log_event(dg.AssetObservation(key, metadata=figures))
        if item.error:
            busy.append(f"{item.table} ({item.error})")
    if busy:
        raise dg.Failure(f"not maintained: {', '.join(busy)}; run the job again")


@dg.op(
    description="Takes events out of Dagster's state that are older than "
    "retention.event_logs.purge_after_days in dagster.yaml; what happened last to each stays. "
    "Removes what runs wrote that were deleted since."
)
def prune_dagsters_events(context: dg.OpExecutionContext) -> None:
    """Prune the event log of the instance that runs this, if its settings say so, and remove the
    output of runs that it no longer knows."""
    left = remove_left_logs(context.instance, datetime.now(UTC) - _LEFT_FOR)
    context.log.info(f"output of {left} deleted runs went")
    days = context.instance.event_log_days if isinstance(context.instance, HomeInstance) else None
    if days is None:
        context.log.info("retention.event_logs.purge_after_days is not set: all events stay")
        return
    pruned = prune_events(context.instance, datetime.now(UTC) - timedelta(days=days))
    context.log.info(
        f"older than {days} days: {pruned.events} events, {pruned.evaluations} evaluations and the"
        f" logs of {pruned.runs} runs went; bytes before: {pruned.bytes_before}, after:"
        f" {pruned.bytes_after}"
    )


@dg.job(
    description="Merges small files, writes checkpoints and vacuums every table. Rows never "
    "change; versions that were current within KPI_RETENTION_HOURS stay readable. Also prunes "
    "Dagster's event log."
)
def maintenance() -> None:
    """Every table of the lake, one after the other, and Dagster's own state."""
    maintain_tables()
    prune_dagsters_events()


maintenance_schedule = dg.ScheduleDefinition(
    name="maintenance_schedule",
    job=maintenance,
    cron_schedule="50 4 * * *",
    execution_timezone="UTC",
    # It changes no row, and a lake that nobody maintains grows slower and larger every day.
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day, when the hourly run of the hour before is done.",
)
