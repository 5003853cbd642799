"""How old the newest complete hour is, from the ledger alone.

Belongs here: the pure judgement, with the clock as an argument. Does not: when it is made.

Dagster's own freshness is per asset, and running an old hour again makes an asset fresh.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Freshness:
    """What the ledger says at `now`; hours are None where there is none yet.

    `processed`: newest hour that no source failed in. `complete`: newest such hour whose sources
    have all arrived, that is, had lines in it or in a later hour. `late`: the sources that had
    none since `complete`. `age`: from the end of `complete` to now.
    """

    processed: datetime | None
    complete: datetime | None
    late: tuple[str, ...]
    age: timedelta | None

    def is_within(self, limit: timedelta) -> bool:
        """Whether there is a complete hour and it ended no longer ago than `limit`."""
        return self.age is not None and self.age <= limit


def judge_freshness(ledger: pl.DataFrame, now: datetime) -> Freshness:
    """Judge rows of `hour_ledger`: `p_ingest_*`, `source`, `status`, `lines`."""
    hour = pl.datetime(
        pl.col("p_ingest_date_utc").dt.year(),
        pl.col("p_ingest_date_utc").dt.month(),
        pl.col("p_ingest_date_utc").dt.day(),
        pl.col("p_ingest_hour_utc"),
        time_zone="UTC",
    )
    is_processed = pl.col("status") == "processed"
    rows = ledger.select("source", "lines", hour=hour, is_processed=is_processed).with_columns(
        arrived_until=pl.col("hour")
        .filter(pl.col("is_processed") & (pl.col("lines") > 0))
        .max()
        .over("source")
    )
    has_arrived = (pl.col("arrived_until") >= pl.col("hour")).fill_null(value=False)
    hours = (
        rows.group_by("hour")
        .agg(pl.col("is_processed").all(), has_arrived=has_arrived.all())
        .filter("is_processed")
    )
    processed = _newest(hours)
    complete = _newest(hours.filter("has_arrived"))
    return Freshness(
        processed,
        complete,
        tuple(sorted(set(rows.filter(~has_arrived & _after(complete))["source"]))),
        None if complete is None else now - complete - HOUR,
    )


def _newest(hours: pl.DataFrame) -> datetime | None:
    newest = hours["hour"].max()
    return newest.astimezone(UTC) if isinstance(newest, datetime) else None


def _after(hour: datetime | None) -> pl.Expr:
    return pl.lit(value=True) if hour is None else pl.col("hour") > pl.lit(hour)
