"""The ledger of ingest hours: one row per hour and source, written first and completed later.

Belongs here: reading and writing `hour_ledger`. Does not: counting lines.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

import polars as pl

from kpi_platform.engine.books.hour_fingerprints import forget_consumed
from kpi_platform.schemas.sources_file.sources import Kind
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.lake import Lake, hours_of

TABLE = "hour_ledger"


@dataclass(frozen=True)
class HourFigures:
    """An hour's figures over all sources: files, their bytes, their lines, and where these went."""

    files: int = 0
    bytes: int = 0
    lines: int = 0
    rows: int = 0
    quarantined: int = 0
    duplicates: int = 0
    left_out: int = 0
    suppressed: int = 0
    sealed: int = 0


FIGURES = tuple(field.name for field in fields(HourFigures))


def hour_figures(lake: Lake, hours: Iterable[datetime]) -> dict[datetime, HourFigures]:
    """The figures of each hour; every hour given is a key."""
    wanted = list(hours)
    sums = lake.read_hours(TABLE, wanted).group_by(INGEST_HOUR).agg(pl.col(FIGURES).sum())
    figures = {
        datetime(day.year, day.month, day.day, hour, tzinfo=UTC): HourFigures(*values)
        for day, hour, *values in sums.iter_rows()
    }
    return {hour: figures.get(hour, HourFigures()) for hour in wanted}


def write_ledger(
    lake: Lake,
    rows: pl.DataFrame,
    hours: Sequence[datetime],
    kind: Kind | None = None,
    only_added: Collection[datetime] = (),
) -> None:
    """Replace the ledger rows of these hours, or only those of one kind of source.

    Rows without `rows` wait for the decoding to complete them; it must come even if the lines
    are those that it knows. To the hours `only_added` lines came and none went: what the decoding
    knows of them stays true.
    """
    if rows["rows"].has_nulls():
        forget_consumed(lake, "cleaned_events", [hour for hour in hours if hour not in only_added])
    lake.replace_hours(TABLE, rows, hours, "" if kind is None else _of_kind(kind))


def read_ledger(lake: Lake, hours: Iterable[datetime], kind: Kind) -> pl.DataFrame:
    """The ledger rows of these hours of one kind of source."""
    rows = lake.read_hours(TABLE, hours)
    return rows.with_columns(pl.col("kind").fill_null("telemetry")).filter(pl.col("kind") == kind)


def _of_kind(kind: Kind) -> str:
    """SQL; rows of earlier releases, which knew one kind only, have none."""
    return f"kind = '{kind}'" + (" OR kind IS NULL" if kind == "telemetry" else "")


# Rows of an earlier release say no kind: there was one.
IS_TELEMETRY = pl.col("kind").fill_null("telemetry") == "telemetry"
# A source that could not be read leaves its hour to the others: that is no failed hour.
_ALONE = pl.col("source_error").is_not_null() & pl.col("rows").is_not_null()
FAILED = (pl.col("status") == "failed") & ~_ALONE


def failed_hours(lake: Lake) -> set[tuple[str, str]]:
    """The hours that failed, as date and hour in text."""
    failed = lake.scan(TABLE).filter(FAILED).select(INGEST_HOUR).unique()
    return {(str(day), str(hour)) for day, hour in failed.collect().iter_rows()}


def failed_rows(lake: Lake) -> pl.DataFrame:
    """The rows of every hour that is failed now, found without reading the days that have none."""
    return lake.scan_text(TABLE, "status", "failed").filter(FAILED).collect()


def errors_of_failed_hours(lake: Lake, hours: Sequence[datetime]) -> dict[datetime, str]:
    """Those of these hours that failed, whichever run it was, with the reason."""
    failed = lake.read_hours(TABLE, hours).filter(FAILED) if hours else pl.DataFrame()
    return {
        hour: str(rows["error"].drop_nulls().first() or "it failed in an earlier run")
        for hour, rows in (hours_of(failed, hours) if failed.height else {}).items()
        if rows.height
    }


def mark_failed(lake: Lake, hour: datetime, error: str, sources: Iterable[str]) -> None:
    """Record an hour as failed, for the sources known of it or, if none is, those given."""
    known = lake.read_hours(TABLE, [hour])
    if known.is_empty():
        known = empty_rows(hour, sources)
    failed = known.with_columns(
        status=pl.lit("failed"), rows=pl.lit(None, pl.Int64), error=pl.lit(error)
    )
    write_ledger(lake, failed, [hour])


def empty_rows(hour: datetime, sources: Iterable[str], kind: Kind = "telemetry") -> pl.DataFrame:
    """Ledger rows of an hour in which these sources delivered nothing."""
    zero = pl.lit(0, pl.Int64)
    return pl.DataFrame({"source": sorted(sources)}, schema={"source": pl.String}).select(
        pl.lit(hour.date()).alias("p_ingest_date_utc"),
        pl.lit(hour.hour, pl.Int32).alias("p_ingest_hour_utc"),
        "source",
        pl.lit("processed").alias("status"),
        *(
            zero.alias(name)
            for name in ("files", "truncated_files", "unreadable_files", "bytes", "lines", "rows")
        ),
        *(zero.alias(name) for name in ("quarantined", "quarantined_on_read", "duplicates")),
        *(
            # What stands aside: of no event, of an erased player, of a sealed day.
            zero.alias(name)
            for name in ("left_out", "suppressed", "sealed")
        ),
        pl.lit(None, pl.Datetime("us", "UTC")).alias("min_event_at"),
        pl.lit(None, pl.Datetime("us", "UTC")).alias("max_event_at"),
        pl.lit("").alias("fingerprint"),
        pl.lit(None, pl.String).alias("error"),
        pl.lit(kind).alias("kind"),
        pl.lit(None, pl.String).alias("source_error"),
        pl.lit(None, pl.Boolean).alias("is_closed"),
    )
