"""The KPI database's books of arrival: which hours ran, and how far each source has come.

Belongs here: `lake.source_hours`, which grows with holes and not with hours, kept by days of the
ledger that changed, and what follows from it, `lake.waits`. Does not: the rule (completeness.py).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

import duckdb
import polars as pl

from kpi_platform.schemas.hours.completeness import SourceBook, Wait, waits
from kpi_platform.schemas.hours.hour_ranges import (
    DAY,
    Range,
    merged,
    ranges_of,
    replaced_days,
    subtracted,
)
from kpi_platform.schemas.hours.ledger_hours import (
    CLOSED,
    DATA,
    NOT_READ,
    OF_THE_HOUR,
    RAN,
    Key,
    hours_by_state,
)

# What the landing says, and no row of the ledger.
UNREAD = "unread"
_OF_LEDGER = (RAN, DATA, CLOSED, NOT_READ)


def record_days(
    con: duckdb.DuckDBPyConnection, days: Collection[date], ledger: pl.DataFrame
) -> None:
    """Bring the books to what the ledger now says of these days, given as all rows of them.

    Only ranges that meet the days, or the days between them, are read and written.
    """
    if not days:
        return
    known = _ranges(
        con, f"first_hour <= date '{max(days) + DAY}' and end_hour >= date '{min(days)}'"
    )
    now = hours_by_state(ledger)
    read = _read_hours(ledger, now)
    for key in sorted({*known, *now}):
        state, source = key
        if state in _OF_LEDGER:
            new = replaced_days(known.get(key, []), days, now.get(key, ()))
        else:
            new = subtracted(known[key], ranges_of(read.get(source, ())))
        _replace(con, key, known.get(key, []), new)


def _read_hours(ledger: pl.DataFrame, now: Mapping[Key, set[datetime]]) -> dict[str, set[datetime]]:
    """The hours in which a run looked at each source."""
    rows = ledger.select(
        "source",
        pl.col("p_ingest_date_utc").cast(pl.Datetime("us"))
        + pl.duration(hours=pl.col("p_ingest_hour_utc")),
    )
    found: dict[str, set[datetime]] = defaultdict(set)
    for source, hour in rows.iter_rows():
        if hour not in now.get((NOT_READ, source), ()):
            found[source].add(hour)
    return found


def record_unread(con: duckdb.DuckDBPyConnection, source: str, hours: Iterable[datetime]) -> None:
    """Note the hours in which files of a source lie that no run has looked at."""
    known = _ranges(con, f"state = '{UNREAD}'").get((UNREAD, source), [])
    _replace(con, (UNREAD, source), known, ranges_of(hours))


def hours_that_ran(con: duckdb.DuckDBPyConnection) -> list[Range]:
    """The hours that were processed, as ranges."""
    return _ranges(con, f"state = '{RAN}'").get((RAN, OF_THE_HOUR), [])


def source_books(con: duckdb.DuckDBPyConnection, sources: pl.DataFrame) -> list[SourceBook]:
    """Every source that the configuration or the ledger knows, and how far it has arrived.

    `sources`: those configured, with `source`, `studio`, `game`, `since`, `until`, `kind` and
    `is_running`.
    """
    books = {
        row["source"]: SourceBook(
            row["source"],
            row["studio"],
            row["game"],
            row["kind"],
            row["since"],
            row["until"],
            is_running=row["is_running"],
        )
        for row in sources.iter_rows(named=True)
    }
    exceptions = _exceptions(con)
    extents = con.execute(
        "select source, min(first_hour) filter (where state = 'data'),"
        " max(end_hour) filter (where state = 'data') - interval 1 hour,"
        " max(end_hour) filter (where state = 'closed') - interval 1 hour"
        " from lake.source_hours where state <> 'ran' group by source"
    ).fetchall()
    for source, first, newest, closed in extents:
        book = books.get(source) or SourceBook(
            source, "unassigned", source, "telemetry", is_named=False
        )
        books[source] = replace(
            book,
            first_hour=first,
            newest_hour=newest,
            closed_hour=closed,
            not_read=tuple(merged(exceptions.get(source, []))),
        )
    return [book for _, book in sorted(books.items())]


def _exceptions(con: duckdb.DuckDBPyConnection) -> dict[str, list[Range]]:
    found: dict[str, list[Range]] = defaultdict(list)
    for (_, source), ranges in _ranges(con, f"state in ('{NOT_READ}', '{UNREAD}')").items():
        found[source] += ranges
    return found


def waits_now(
    con: duckdb.DuckDBPyConnection, sources: pl.DataFrame, start: datetime | None
) -> list[Wait]:
    """What each grain waits for by the books; `start`: the first partition, by default the first
    hour that ran."""
    runs = hours_that_ran(con)
    first = start or min((first for first, _ in runs), default=None)
    return [] if first is None else waits(first, runs, source_books(con, sources))


def stored_waits(con: duckdb.DuckDBPyConnection) -> list[Wait]:
    """The waits as the models know them."""
    rows = con.execute("select studio, game, kind, first_hour, end_hour from lake.waits").fetchall()
    return [Wait(*row) for row in rows]


def replace_waits(con: duckdb.DuckDBPyConnection, new: Sequence[Wait]) -> None:
    """Replace `lake.waits` whole: a few rows for each source."""
    con.execute("delete from lake.waits")
    if new:
        rows = [(w.studio, w.game, w.kind, w.first_hour, w.end_hour) for w in new]
        con.executemany("insert into lake.waits values (?, ?, ?, ?, ?)", rows)


def _ranges(con: duckdb.DuckDBPyConnection, where: str) -> dict[Key, list[Range]]:
    query = f"select state, source, first_hour, end_hour from lake.source_hours where {where}"  # noqa: S608
    found: dict[Key, list[Range]] = defaultdict(list)
    for state, source, first, end in con.execute(query).fetchall():
        found[state, source].append((first, end))
    return dict(found)


def _replace(
    con: duckdb.DuckDBPyConnection, key: Key, old: Sequence[Range], new: Sequence[Range]
) -> None:
    gone, come = set(old).difference(new), sorted(set(new).difference(old))
    for first, _ in sorted(gone):
        con.execute(
            "delete from lake.source_hours where state = ? and source = ? and first_hour = ?",
            [*key, first],
        )
    if come:
        con.executemany(
            "insert into lake.source_hours values (?, ?, ?, ?)", [(*key, *each) for each in come]
        )
