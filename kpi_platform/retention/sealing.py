"""Which event days can be sealed now, and what the others wait for.

Belongs here: asking the books. Does not: sealing, and which hours' rows go (`lines.py`).

A day can be sealed when it is old enough and every ingest hour that may hold lines of it was run:
what would still come from such an hour would be refused.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import polars as pl

from kpi_platform.engine.books.hour_fingerprints import newest_hour
from kpi_platform.engine.books.hour_ledger import FAILED, IS_TELEMETRY
from kpi_platform.engine.books.seals import sealed_days
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.lake import Lake, hours_in

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

Reason = Literal[
    "never run",
    "failed",
    "not finished",
    "files changed",
    "days not sealed",
    "a run is working on it",
]
"""`not finished`: read and not decoded, as after a run that was killed; `files changed`: files are
there that were not read; `days not sealed`: it holds events of days that are not."""


@dataclass(frozen=True)
class Waiting:
    """An ingest hour that something waits for, or that keeps its rows, and why."""

    hour: datetime
    reason: Reason


@dataclass
class Sealing:
    """The days that can be sealed, those that are, how many days wait, and for which hours.

    `now` is the end of the newest ingest hour processed, at most the time of day; None if no hour
    was. `last` is the last day that is old enough.
    """

    now: datetime | None = None
    last: date | None = None
    days: list[date] = field(default_factory=list)
    sealed: set[date] = field(default_factory=set)
    waiting_days: int = 0
    waiting: list[Waiting] = field(default_factory=list)


def plan_sealing(platform: Platform, keep: timedelta, at: datetime) -> Sealing:
    """Which days can be sealed at the time `at`, rows being kept for `keep`. Nothing changes."""
    lake, settings = platform.lake, platform.settings
    newest = newest_hour(lake, "raw_telemetry")
    if newest is None:
        return Sealing()
    now = min(newest + HOUR, at)
    start = settings.start_hour
    found = Sealing(now, (now - keep).date() - DAY, sealed=sealed_days(lake))
    wanted = [day for day in _days(start.date(), found.last) if day not in found.sealed]
    if not wanted:
        return found
    first = max(start, _start(wanted[0]) - settings.future_limit)
    until = _start(wanted[-1]) + DAY + settings.late_limit
    missing = _missing(lake, _hours(first, until))
    blocked: dict[datetime, Waiting] = {}
    at_hours = [item.hour for item in missing]
    for day in wanted:
        since = max(start, _start(day) - settings.future_limit)
        until = _start(day) + DAY + settings.late_limit
        in_the_way = missing[bisect_left(at_hours, since) : bisect_left(at_hours, until)]
        if len(in_the_way) == (until - since) // HOUR:
            # Nothing of it was ever run: it can be built whatever its age.
            continue
        if in_the_way:
            found.waiting_days += 1
            blocked |= {item.hour: item for item in in_the_way}
        else:
            found.days.append(day)
    found.waiting = [blocked[hour] for hour in sorted(blocked)]
    if start.date() in found.days:
        # Nothing runs before the first partition: these days are sealed with it.
        before = _days(start.date() - settings.late_limit, start.date() - DAY)
        found.days = [*(day for day in before if day not in found.sealed), *found.days]
    return found


def _missing(lake: Lake, hours: Sequence[datetime]) -> list[Waiting]:
    """Those of these hours of which not every line has become what it is, in order."""
    ledger = lake.read_hours("hour_ledger", hours)
    # Late rows of warehouses and feeds are taken whatever is sealed: they hold up no day.
    is_failed = FAILED | (IS_TELEMETRY & pl.col("source_error").is_not_null())
    failed = set(hours_in(ledger.filter(is_failed)))
    waiting = set(hours_in(ledger.filter(IS_TELEMETRY & pl.col("rows").is_null())))
    consumed = lake.scan_hours("hour_fingerprints", hours)
    ran = [
        set(hours_in(rows.select(INGEST_HOUR)))
        for table in ("raw_telemetry", "cleaned_events")
        for rows in [consumed.filter(pl.col("table_name") == table).collect()]
    ]
    ran_hours = set(hours_in(ledger))
    missing = []
    for hour in hours:
        if hour in failed:
            missing.append(Waiting(hour, "failed"))
        elif hour not in ran_hours:
            missing.append(Waiting(hour, "never run"))
        elif hour in waiting or any(hour not in table for table in ran):
            missing.append(Waiting(hour, "not finished"))
    return missing


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _days(first: date, last: date | None) -> Iterator[date]:
    count = 0 if last is None else (last - first).days + 1
    return (first + n * DAY for n in range(count))


def _hours(first: datetime, until: datetime) -> list[datetime]:
    return [first + n * HOUR for n in range((until - first) // HOUR)]
