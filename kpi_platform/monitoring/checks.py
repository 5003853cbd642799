"""The check that data keeps coming, and the job and schedule that look even if nothing runs.

Belongs here: checks of the platform as a whole, on their own clock. Does not: checks of an hour,
which run with the hour, and the judgement (freshness.py).
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl

from kpi_platform.monitoring.attribute_drift import (
    MOST_NAMED,
    USUAL_DAYS,
    Drift,
    drift_findings,
    drifts,
)
from kpi_platform.monitoring.freshness import JUDGED, judge_freshness
from kpi_platform.monitoring.usual_volume import (
    HISTORY_HOURS,
    Fall,
    falls,
    volume_findings,
)
from kpi_platform.monitoring.volume_counts import volume_counts
from kpi_platform.orchestration.dagster_internals import CheckResult
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.schemas.findings import FINDINGS, findings_text
from kpi_platform.storage.lake.lake import Lake

# The columns of the ledger that say how much came.
_COUNTED = ("p_ingest_date_utc", "p_ingest_hour_utc", "source", "status", "lines", "rows")


@dg.asset_check(
    asset="hour_ledger",
    name="newest_hour_is_recent",
    description="The newest complete hour (run, with all of its sources arrived) ended no longer "
    "ago than KPI_FRESHNESS_LIMIT_HOURS; late sources are named, and what to set if one ended.",
)
def newest_hour_is_recent(platform: PlatformResource) -> dg.AssetCheckResult:
    """Compare the newest complete hour of the ledger with the clock."""
    limit = platform.platform.settings.freshness_limit_hours
    ledger = platform.platform.lake.scan("hour_ledger").select(JUDGED).collect()
    sources = platform.platform.sources
    known = sources.frame().join(sources.kinds(), on="source")
    found = judge_freshness(ledger, known, datetime.now(UTC))
    return CheckResult(
        passed=found.is_within(timedelta(hours=limit)),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "newest_complete_hour": str(found.complete or "none"),
            "newest_processed_hour": str(found.processed or "none"),
            "late_sources": ", ".join(sorted(found.late)),
            "advice": found.advice(),
            "age_hours": -1.0 if found.age is None else round(found.age / timedelta(hours=1), 2),
            "limit_hours": limit,
        },
    )


@dg.asset_check(
    asset="cleaned_events",
    name="services_send_what_they_sent",
    description="No service stopped sending an event that the platform understands, or an "
    "attribute of it, compared with its last eight days; small numbers say nothing.",
)
def services_send_what_they_sent(platform: PlatformResource) -> dg.AssetCheckResult:
    """Compare what each service's events carry with what they carried before."""
    lake = platform.platform.lake
    table = lake.scan("event_attributes")
    newest = table.select(pl.col("p_ingest_date_utc").max()).collect().item()
    fallen: list[Drift] = []
    if newest is not None:
        days = pl.col("p_ingest_date_utc") >= newest - timedelta(days=USUAL_DAYS)
        hour = pl.col("p_ingest_date_utc").cast(pl.Datetime("us")) + pl.duration(
            hours=pl.col("p_ingest_hour_utc")
        )
        fallen = drifts(table.filter(days).with_columns(hour=hour).collect())
    return CheckResult(
        passed=not fallen,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "fallen": len(fallen),
            "what": "\n".join(each.words() for each in fallen[:MOST_NAMED]),
            FINDINGS: findings_text(drift_findings(fallen)),
        },
    )


@dg.asset_check(
    asset="hour_ledger",
    name="sources_send_as_much_as_usual",
    description="Of no source, service and event name fewer came in the newest hour that ran, and "
    "the day and two days up to it, than in the same hours of the weeks before; backfilled hours "
    "say nothing.",
)
def sources_send_as_much_as_usual(platform: PlatformResource) -> dg.AssetCheckResult:
    """Compare what came with what is usual at this hour of the week."""
    found = _falls(platform.platform.lake)
    return CheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "fallen": len(found),
            "what": "\n".join(each.words() for each in found[:MOST_NAMED]),
            FINDINGS: findings_text(volume_findings(found)),
        },
    )


def _falls(lake: Lake) -> list[Fall]:
    """What is below its usual in the newest hour that ran; the weeks before it alone are read."""
    day = pl.col("p_ingest_date_utc")
    newest = lake.scan("hour_ledger").select(day.max()).collect().item()
    if newest is None:
        return []
    recent = day >= newest - timedelta(hours=HISTORY_HOURS)
    ledger = lake.scan("hour_ledger").filter(recent).select(_COUNTED).collect()
    counts = volume_counts(ledger, lake.scan("event_attributes").filter(recent).collect())
    hour = counts["hour"].max()
    return falls(counts, [hour]) if isinstance(hour, datetime) else []


# Named, not imported: rooms know each other's tables only.
_DASHBOARD = [
    dg.AssetCheckKey(dg.AssetKey("kpi_dashboard"), name)
    for name in ("dashboard_opens", "dashboard_is_recent")
]

freshness = dg.define_asset_job(
    "freshness",
    selection=dg.AssetSelection.checks(
        newest_hour_is_recent,
        services_send_what_they_sent,
        sources_send_as_much_as_usual,
        *_DASHBOARD,
    ),
    description="Judges how recent data and dashboard are, whether or not anything ran, and "
    "whether sources and services still send what, and as much as, they sent.",
)

freshness_schedule = dg.ScheduleDefinition(
    name="freshness_schedule",
    job=freshness,
    cron_schedule="20 * * * *",
    execution_timezone="UTC",
    description="Looks every hour, after the hourly run had time to finish.",
)
