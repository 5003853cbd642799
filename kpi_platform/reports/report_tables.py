"""What reports are made of, read: recent days, what is restated, what was told before.

Belongs here: which rows are read, so that a report costs what its days cost. Does not: what is made
of them.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import polars as pl

from kpi_platform.engine.platform import Platform
from kpi_platform.monitoring.freshness import JUDGED, read_books
from kpi_platform.published.pages.dashboard import Inputs
from kpi_platform.published.pages.open_incidents import TABLE as INCIDENTS
from kpi_platform.published.pages.open_incidents import only_open
from kpi_platform.published.pages.report_figures import CHART_DAYS
from kpi_platform.published.publish import VALUES, books_hold_through
from kpi_platform.published.restatements import KPI_RESTATEMENTS
from kpi_platform.reports.corrections import TABLE as REPORTED
from kpi_platform.schemas.hours.completeness import SourceBook
from kpi_platform.schemas.hours.hour_ranges import Range
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake

DAILY = "kpi_daily"
REPORTS = "daily_reports"
_LEDGER = "hour_ledger"
_LEDGER_DAYS = timedelta(days=7)


def month_of(day: date) -> str:
    """The partition of a day."""
    return f"{day:%Y-%m}"


def read_report_inputs(lake: Lake, day: date) -> Inputs:
    """What a report of the day shows, and nothing that only grows."""
    since = pl.col("date") > day - timedelta(days=CHART_DAYS + 8)
    midnight = pl.lit(datetime(day.year, day.month, day.day)).dt.replace_time_zone("UTC")  # noqa: DTZ001
    wanted = {
        DAILY: since & (pl.col("platform") == "all"),
        KPI_RESTATEMENTS: pl.col("restated_at") > midnight,
        "kpi_coverage": pl.col("platform") == "all",
        "version_focus": pl.col("is_newest"),
        "dim_service": pl.lit(value=True),
    }
    tables = {}
    for name, which in wanted.items():
        rows = lake.published(name)
        if rows is not None:
            tables[name] = rows.filter(which).collect()
    recent = pl.col("p_ingest_date_utc") > day - _LEDGER_DAYS
    ledger = lake.scan(_LEDGER).filter(recent).collect()
    return Inputs(tables, ledger, (), only_open(lake.scan(INCIDENTS)).collect())


def read_days(lake: Lake, days: Sequence[date]) -> pl.DataFrame | None:
    """The rows of `kpi_daily` of these days, platforms together; None if it was never published."""
    rows = lake.published(DAILY)
    if rows is None:
        return None
    return rows.filter(pl.col("date").is_in(list(days)), pl.col("platform") == "all").collect()


def read_arrivals(parts: Platform) -> tuple[list[Range], list[SourceBook]]:
    """The hours that ran and the books of all sources, as `read_books` gives them."""
    ledger = parts.lake.scan(_LEDGER).select(JUDGED).collect()
    sources = parts.sources.frame().join(parts.sources.kinds(), on="source")
    return read_books(ledger, sources)


def read_restated_days(lake: Lake, since: datetime | None) -> tuple[list[date], datetime]:
    """The days with figures that were restated after `since`, and until when that is known; without
    `since` nothing was told that could be restated.

    Restatements are entered before the tables are published: of those that readers cannot see yet
    nothing is known.
    """
    rows = lake.published(KPI_RESTATEMENTS)
    until = books_hold_through(lake, VALUES)
    if rows is None or since is None or until <= since:
        return [], since or until
    at = pl.col("restated_at")
    found = rows.filter(at > since, at <= until)
    days = found.filter(pl.col("platform") == "all").select("period").unique().collect()
    return sorted(days["period"]), until


def read_told(lake: Lake, report: str, days: Sequence[date]) -> pl.DataFrame:
    """The figures of these days that the recipients of a report know."""
    months = sorted({month_of(day) for day in days})
    rows = lake.scan(REPORTED).filter(pl.col("p_month").is_in(months))
    return rows.filter(pl.col("report") == report, pl.col("day").is_in(list(days))).collect()


def read_report(lake: Lake, report: str, day: date) -> dict[str, object] | None:
    """A report that was written down, by the columns of `daily_reports`; None if it was not."""
    rows = lake.scan(REPORTS).filter(pl.col("p_month") == month_of(day))
    found = rows.filter(pl.col("report") == report, pl.col("day") == day).collect()
    return None if found.is_empty() else found.row(0, named=True)


def read_newest_report(lake: Lake, report: str) -> dict[str, object] | None:
    """The report of the newest day that was written down; None if there is none."""
    days = lake.scan(REPORTS).filter(pl.col("report") == report).select(pl.col("day").max())
    day = days.collect().item()
    return None if day is None else read_report(lake, report, day)


def write_report(lake: Lake, row: dict[str, object]) -> None:
    """Write a report down, in one commit."""
    frame = pl.DataFrame([row], schema=TABLES[REPORTS].polars_schema, orient="row")
    lake.apply_changes(REPORTS, frame, frame.clear())


def write_told(lake: Lake, report: str, told: pl.DataFrame) -> None:
    """Note what the recipients of a report know: rows of `Corrections.told`."""
    rows = told.with_columns(
        report=pl.lit(report), p_month=pl.col("day").dt.strftime("%Y-%m")
    ).select(TABLES[REPORTED].polars_schema.names())
    lake.apply_changes(REPORTED, rows, rows.clear())
