"""What retention has sealed: days whose lines are no longer taken, files that came after it, and
hours whose lines are gone.

Belongs here: reading and writing these books. Does not: which days are sealed and which hours go
(`retention/`), and what reading a file or an hour makes of it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from kpi_platform.engine.books.kept_days import closed_days
from kpi_platform.engine.books.noted_hours import hours_noted, note_hours
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.storage.lake.lake import Lake, hours_of, hours_predicate

SEALED = "sealed_days"
LATE = "late_files"
DROPPED = "dropped_hours"
_DAY = timedelta(days=1)


def sealed_days(lake: Lake, first: date | None = None) -> set[date]:
    """The sealed event days, all or from `first` on."""
    rows = lake.scan(SEALED)
    if first is not None:
        rows = rows.filter(pl.col("event_date") >= first)
    return set(rows.select("event_date").collect()["event_date"])


def seal_days(lake: Lake, days: Iterable[date], at: datetime) -> None:
    """Seal days that are not; nothing is written if all are."""
    new = sorted(set(days) - sealed_days(lake))
    if new:
        rows = pl.DataFrame({"event_date": new}, schema={"event_date": pl.Date})
        lake.append(SEALED, rows.with_columns(sealed_at=pl.lit(at, pl.Datetime("us", "UTC"))))


def dropped_hours(lake: Lake, hours: Iterable[datetime] | None = None) -> set[datetime]:
    """Those of these hours, or of all, whose telemetry lines are gone."""
    return hours_noted(lake, DROPPED, hours)


def note_dropped(lake: Lake, rows: Mapping[datetime, int]) -> None:
    """Note, before they go, that hours are without their telemetry lines; per hour how many."""
    note_hours(lake, DROPPED, rows)


def forget_dropped(lake: Lake, hours: Collection[datetime]) -> None:
    """These hours have their lines, as after all their files were read anew."""
    if hours:
        lake.delete(DROPPED, hours_predicate(hours))


@dataclass
class LateFiles:
    """Which sealed days' lines the files of hours may not bring.

    `refused`: hour and path -> days, of files that came after these were sealed; `reach`: how far
    before and after its hour an event may lie; `kept_through`: the last day whose events may be
    gone, with all before it.
    """

    lake: Lake
    sealed: frozenset[date]
    refused: dict[tuple[datetime, str], frozenset[date]]
    reach: tuple[timedelta, timedelta]
    kept_through: date = date.min

    @classmethod
    def of(
        cls, lake: Lake, hours: Sequence[datetime], reach: tuple[timedelta, timedelta]
    ) -> "LateFiles":
        """As the books have it of these hours."""
        if not hours:
            return cls(lake, frozenset(), {}, reach)
        refused: dict[tuple[datetime, str], set[date]] = {}
        for hour, rows in hours_of(lake.read_hours(LATE, hours), hours).items():
            for path, day in rows.select("path", "event_date").iter_rows():
                refused.setdefault((hour, path), set()).add(day)
        days = sealed_days(lake, min(hours).date() - reach[0] - _DAY)
        refused_days = {key: frozenset(found) for key, found in refused.items()}
        closed = closed_days(lake)
        through = closed.through if closed else date.min
        return cls(lake, frozenset(days), refused_days, reach, through)

    def days_for(self, hour: datetime, path: str, *, is_new: bool) -> frozenset[date]:
        """The days whose lines a file of an hour may not bring: of one that `is_new`, all that are
        sealed now within the hour's reach; of others, those that were when it came. No file that
        is read brings any of days that are kept."""
        first = (hour - self.reach[0]).date()
        last = (hour + timedelta(hours=1) + self.reach[1]).date()
        reached = {first + n * _DAY for n in range((last - first).days + 1)}
        kept = {day for day in reached if day <= self.kept_through}
        known = self.refused.get((hour, path))
        if known is not None or not is_new:
            return frozenset(kept.union(known or ()))
        return frozenset(kept | (reached & self.sealed))

    def note(self, hour: datetime, came: Mapping[str, frozenset[date]]) -> None:
        """Note files that come to an hour now, before a row of them is written."""
        new = {p: days for p, days in came.items() if days and (hour, p) not in self.refused}
        if not new:
            return
        rows = [
            (hour.date(), hour.hour, path, day)
            for path, days in sorted(new.items())
            for day in sorted(days)
        ]
        schema = TABLES[LATE].polars_schema
        self.lake.append(LATE, pl.DataFrame(rows, schema=schema, orient="row"))
        self.refused |= {(hour, path): days for path, days in new.items()}


def take_late_files(live: Lake, target: Lake, hours: Sequence[datetime]) -> None:
    """Take what the files of hours may not bring into a lake that is built from the same files."""
    rows = live.read_hours(LATE, hours).select([*INGEST_HOUR, "path", "event_date"])
    if rows.height:
        target.replace_hours(LATE, rows, hours)


def refused_lines(refused: Mapping[str, frozenset[date]]) -> pl.Expr | None:
    """Which rows of `raw_telemetry` are of files (by path) and days that are refused; None: no
    file has any."""
    by_days: dict[frozenset[date], list[str]] = {}
    for path, days in refused.items():
        if days:
            by_days.setdefault(days, []).append(path)
    day = pl.col("event_timestamp_utc").dt.date()
    terms = [
        pl.col("file_name").is_in(paths)
        & day.is_in(pl.Series(sorted(days), dtype=pl.Date).implode())
        for days, paths in by_days.items()
    ]
    return pl.any_horizontal(terms) if terms else None
