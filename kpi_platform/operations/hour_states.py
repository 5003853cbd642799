"""How the hours stand, from the books alone: by source, and those that failed.

Belongs here: the pure judgement of rows of `hour_ledger`. Does not: reading them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from kpi_platform.monitoring.freshness import Freshness
from kpi_platform.schemas.hours.hour_ranges import HOUR, ranges_of
from kpi_platform.schemas.hours.ledger_hours import DATA, hours_by_state

_MOST_RANGES = 20


@dataclass(frozen=True)
class SourceState:
    """A source: the newest hour with data of it, and the newest hour through which no figure waits
    for it. Hours are UTC; None where there is none."""

    source: str
    newest_hour: datetime | None
    complete_through: datetime | None
    is_late: bool


@dataclass(frozen=True)
class FailedHours:
    """Hours that failed: how many, as ranges (first and last hour, the newest first, at most 20),
    and why the newest did."""

    hours: int
    ranges: list[tuple[datetime, datetime]]
    reason: str


def source_states(ledger: pl.DataFrame, known: list[str], found: Freshness) -> list[SourceState]:
    """Each source that is configured or was ever heard of, by name.

    `ledger`: rows of `hour_ledger`; `found`: what `judge_freshness` says of them.
    """
    data = {key[1]: hours for key, hours in hours_by_state(ledger).items() if key[0] == DATA}
    states = []
    for source in sorted({*known, *data}):
        newest = max(data.get(source, ()), default=None)
        is_late = source in found.late
        until = found.late.get(source)
        through = (until - HOUR if until else None) if is_late else found.processed
        states.append(SourceState(source, newest and newest.replace(tzinfo=UTC), through, is_late))
    return states


def failed_hours(failed: pl.DataFrame) -> FailedHours:
    """The hours of rows of `hour_ledger` that failed; needs the ingest hour and `error`."""
    rows = failed.select(
        "error",
        hour=pl.col("p_ingest_date_utc").cast(pl.Datetime("us"))
        + pl.duration(hours=pl.col("p_ingest_hour_utc")),
    ).sort("hour")
    ranges = [
        (first.replace(tzinfo=UTC), end.replace(tzinfo=UTC) - HOUR)
        for first, end in reversed(ranges_of(rows["hour"].unique()))
    ]
    reasons = rows["error"].drop_nulls()
    reason = str(reasons[-1]) if reasons.len() else ""
    return FailedHours(rows["hour"].n_unique(), ranges[:_MOST_RANGES], reason)
