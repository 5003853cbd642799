"""How old the newest complete hour is, from ledger and sources alone.

Belongs here: the pure judgement, with the clock as an argument. Does not: when it is made, and what
complete means (schemas/hours/completeness.py).

Dagster's own freshness is per asset, and running an old hour again makes an asset fresh.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from kpi_platform.schemas.hours.completeness import SourceBook, awaited_hours, waits
from kpi_platform.schemas.hours.hour_ranges import HOUR, Range, hours_within, ranges_of, subtracted
from kpi_platform.schemas.hours.ledger_hours import (
    CLOSED,
    DATA,
    NOT_READ,
    OF_THE_HOUR,
    RAN,
    hours_by_state,
)

# The columns of the ledger that say what has arrived.
JUDGED = (
    *("p_ingest_date_utc", "p_ingest_hour_utc", "source", "status"),
    *("files", "lines", "rows", "is_closed"),
)


@dataclass(frozen=True)
class Freshness:
    """What the ledger says at `now`; hours are None where there is none yet.

    `processed`: newest hour that ran. `complete`: newest such hour that no figure waits for.
    `late`: the sources that have not delivered through it, with the end of the last hour that they
    have, or None. `age`: from the end of `complete` to now.
    """

    processed: datetime | None
    complete: datetime | None
    late: dict[str, datetime | None]
    age: timedelta | None

    def is_within(self, limit: timedelta) -> bool:
        """Whether there is a complete hour and it ended no longer ago than `limit`."""
        return self.age is not None and self.age <= limit

    def advice(self) -> str:
        """What to write into KPI_SOURCES if a late source has ended, a line for each."""
        return "\n".join(
            f"{source}: if it has ended, set until: {end:%Y-%m-%dT%H:%M:%SZ} in KPI_SOURCES"
            if end
            else f"{source}: never delivered; if it is not there yet, set since in KPI_SOURCES"
            for source, end in sorted(self.late.items())
        )


def judge_freshness(ledger: pl.DataFrame, sources: pl.DataFrame, now: datetime) -> Freshness:
    """Judge rows of `hour_ledger`.

    `sources`: those configured, with `source`, `studio`, `game`, `since`, `until`, `kind` and
    `is_running`.
    """
    runs, books = read_books(ledger, sources)
    if not runs:
        return Freshness(None, None, {}, None)
    start, ran_until = runs[0][0], runs[-1][1]
    total = [(w.first_hour, w.end_hour) for w in waits(start, runs, books) if w.studio is None]
    complete = max(hours_within(subtracted(runs, total)), default=None)
    late = {
        book.source: _zoned(book.arrived_until)
        for book in books
        if any(first < ran_until for first, _ in awaited_hours(book, start, ran_until))
    }
    age = None if complete is None else now - complete.replace(tzinfo=UTC) - HOUR
    return Freshness(_zoned(ran_until - HOUR), _zoned(complete), late, age)


def read_books(ledger: pl.DataFrame, sources: pl.DataFrame) -> tuple[list[Range], list[SourceBook]]:
    """The hours that ran (UTC without a zone), and the book of each source; both arguments as of
    `judge_freshness`."""
    states = hours_by_state(ledger)
    books = [_book(row, states) for row in sources.iter_rows(named=True)]
    return ranges_of(states.get((RAN, OF_THE_HOUR), ())), books


def _book(row: dict[str, object], states: dict[tuple[str, str], set[datetime]]) -> SourceBook:
    source = str(row["source"])

    def hours(state: str) -> Collection[datetime]:
        return states.get((state, source), ())

    return SourceBook(
        source,
        str(row["studio"]),
        str(row["game"]),
        str(row["kind"]),
        _naive(row["since"]),
        _naive(row["until"]),
        is_running=bool(row["is_running"]),
        first_hour=min(hours(DATA), default=None),
        newest_hour=max(hours(DATA), default=None),
        closed_hour=max(hours(CLOSED), default=None),
        not_read=tuple(ranges_of(hours(NOT_READ))),
    )


def _naive(at: object) -> datetime | None:
    return at.astimezone(UTC).replace(tzinfo=None) if isinstance(at, datetime) else None


def _zoned(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
