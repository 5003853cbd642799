"""Copies the marts to `published/<table>` as Delta, replacing only the periods that changed.

Belongs here: which rows of which mart are written, and the books of publications. Does not: what
a mart contains, and when this runs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import polars as pl
from deltalake.exceptions import DeltaError
from polars.exceptions import PolarsError

from kpi_platform.published.restatements import (
    KPI_RESTATEMENTS,
    RESTATEMENTS_SCHEMA,
    restatements,
)
from kpi_platform.published.value_books import (
    KPI_VALUE_BOOKS,
    VALUE_BOOKS_SCHEMA,
    value_entries,
)
from kpi_platform.storage.kpi_database.embedded import EVERY_TABLE
from kpi_platform.storage.kpi_database.marts import Marts
from kpi_platform.storage.lake.lake import Lake

PUBLICATIONS = "publications"
VALUES = "kpi_values"
# Delta's app transactions of the commits of `kpi_values`.
BOOKS_STAMP, LOADS_STAMP = "kpi_books_moment", "kpi_database_load"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PUBLICATIONS_SCHEMA = pl.Schema(
    [
        ("table", pl.String()),
        ("delta_version", pl.Int64()),
        ("complete_through", pl.Datetime("us", "UTC")),
        ("published_at", pl.Datetime("us", "UTC")),
    ]
)


@dataclass(frozen=True)
class Publication:
    """How a mart is published: by period (a column holds its start) or whole."""

    table: str
    period: Literal["hour", "date", "month", "all"]
    column: str = ""
    # A view has no changes of its own: its periods change with those of these tables.
    follows: tuple[str, ...] = ()
    # What delivers to it, if that is one kind of source alone: other kinds are not waited for.
    kind: str = ""


@dataclass(frozen=True)
class Published:
    """What was published of a table: the Delta version, rows written, and how far complete.

    `complete_through` is the end (UTC) of the last period up to which every row is complete;
    None if the mart has no periods or none is complete yet.
    """

    table: str
    delta_version: int
    rows: int
    complete_through: datetime | None


def marts_to_publish(manifest: Mapping[str, Any]) -> list[Publication]:
    """The marts whose dbt model says how it is published (`meta: publish`), by name."""
    models = {
        node["name"]: node["config"]["meta"]["publish"]
        for node in manifest["nodes"].values()
        if "publish" in node["config"].get("meta", {})
    }
    return [
        Publication(
            name,
            meta["period"],
            meta.get("column", ""),
            tuple(meta.get("follows", ())),
            meta.get("kind", ""),
        )
        for name, meta in sorted(models.items())
    ]


def publish(
    lake: Lake,
    marts: Marts,
    publications: Sequence[Publication],
    changed: Mapping[str, Sequence[datetime]],
    awaited: Mapping[str, datetime] | None = None,
    stamps: Mapping[str, int] | None = None,
    whole: Collection[str] = (),
) -> list[Published]:
    """Publish every mart that changed; `changed` has the starts of its changed periods.

    A mart never published, one that `whole` names, or all of them if `changed` has the key `*`, is
    published whole.
    `awaited`: per kind of source the first hour that figures wait for, beyond which no table is
    complete. `stamps`: as `stamps_of` gives them.
    """
    more = (awaited or {}, stamps or {})
    done = []
    for publication in publications:
        is_new = lake.published(publication.table) is None
        starts = changed_periods(publication, changed)
        if is_new or starts is None or publication.table in whole:
            done.append(_publish(lake, marts, publication, None, *more))
        elif starts:
            try:
                done.append(_publish(lake, marts, publication, starts, *more))
            except (DeltaError, PolarsError, OSError):
                # To replace periods, files are read: if one is damaged, the copy is made anew.
                done.append(_publish(lake, marts, publication, None, *more))
    return done


def changed_periods(
    publication: Publication, changed: Mapping[str, Sequence[datetime]]
) -> list[datetime] | None:
    """The starts of a mart's changed periods; None if it is to be published whole."""
    tables = [name for name in publication.follows or (publication.table,) if name in changed]
    if EVERY_TABLE in changed or (tables and publication.period == "all"):
        return None
    return sorted({start for table in tables for start in changed[table]})


def restate(
    lake: Lake,
    marts: Marts,
    values: Publication,
    changed: Mapping[str, Sequence[datetime]],
    changed_hours: pl.DataFrame,
    at: datetime,
    whole: Collection[str] = (),
) -> int:
    """Enter the values that `publish` is about to change in the books of restatements and values.

    `changed` and `whole` are what `publish` gets. `values` is the publication of `kpi_values`;
    the columns written are `RESTATEMENTS_SCHEMA` and `VALUE_BOOKS_SCHEMA`. Entries hold from the
    commit of `kpi_values` on that names their moment: what a run entered that was killed before it
    is entered anew, what one entered that was killed after it stays. Returns how many rows of
    restatements were entered.
    """
    published = lake.published(values.table)
    # What is published first is published whole.
    is_whole = published is None or values.table in whole
    starts = None if is_whole else changed_periods(values, changed)
    old = new = None
    if starts != []:
        new = marts.read(values.table, values.column, starts)
        old = new.clear() if published is None else _published(published, values, starts)
    restated = RESTATEMENTS_SCHEMA.to_frame()
    entries = VALUE_BOOKS_SCHEMA.to_frame()
    if old is not None and new is not None:
        restated = restatements(old, new, changed_hours, at, is_whole=starts is None)
        # What was complete before there were books is known since now.
        known = old if lake.published(KPI_VALUE_BOOKS) is not None else old.clear()
        entries = value_entries(known, new, at)
    _enter(lake, KPI_RESTATEMENTS, restated, "restated_at", values)
    _enter(lake, KPI_VALUE_BOOKS, entries, "known_since", values)
    return restated.height


def _published(
    published: pl.LazyFrame, values: Publication, starts: Sequence[datetime] | None
) -> pl.DataFrame:
    if starts is not None:
        published = published.filter(pl.col(values.column).is_in([s.date() for s in starts]))
    return published.collect()


def _enter(lake: Lake, table: str, rows: pl.DataFrame, moment: str, values: Publication) -> None:
    """Add rows to a book in place of those that were entered for a publication that never was."""
    books = lake.published(table)
    if books is None:
        lake.publish(table, rows, None)
        return
    last = books_hold_through(lake, values.table)
    if set(rows.columns) - set(books.collect_schema().names()):
        # A book of an earlier release has fewer columns.
        kept = books.filter(pl.col(moment) <= last).collect()
        lake.publish(table, pl.concat([kept, rows], how="diagonal_relaxed"), None)
    elif rows.height or books.filter(pl.col(moment) > last).head(1).collect().height:
        lake.publish(table, rows, f"{moment} > '{last:%Y-%m-%dT%H:%M:%S.%fZ}'")


def books_hold_through(lake: Lake, table: str) -> datetime:
    """The moment of the newest entries in the books that readers of `table` could see come true."""
    stamp = lake.published_stamp(table, BOOKS_STAMP)
    if stamp is not None:
        return _EPOCH + timedelta(microseconds=stamp)
    books = lake.published(PUBLICATIONS)
    if books is None:
        return _EPOCH
    # A lake of an earlier release: its books are as far as its publications.
    last = books.filter(pl.col("table") == table).select(pl.col("published_at").max()).collect()
    found: datetime = last.item() or _EPOCH
    return found


def moment_of_entries(lake: Lake, table: str, now: datetime) -> datetime:
    """The moment that new entries get: now, and later than all that hold, whatever the clock."""
    return max(now, books_hold_through(lake, table) + timedelta(microseconds=1))


def stamps_of(at: datetime, load_id: int) -> dict[str, int]:
    """What the commit of `kpi_values` says of itself: the moment of its entries in the books, and
    the newest load of the KPI database that is in it."""
    return {BOOKS_STAMP: (at - _EPOCH) // timedelta(microseconds=1), LOADS_STAMP: load_id}


def _publish(
    lake: Lake,
    marts: Marts,
    publication: Publication,
    starts: Sequence[datetime] | None,
    awaited: Mapping[str, datetime],
    stamps: Mapping[str, int],
) -> Published:
    stamped = stamps if publication.table == VALUES else {}
    rows = marts.read(publication.table, publication.column, starts)
    if publication.period == "all":
        version = lake.publish(publication.table, rows, None, stamped)
    else:
        column = publication.column
        version = lake.publish_periods(publication.table, column, rows, starts, stamped)
    through = _complete_through(marts, publication, awaited)
    return Published(publication.table, version, rows.height, through)


def _complete_through(
    marts: Marts, publication: Publication, awaited: Mapping[str, datetime]
) -> datetime | None:
    if publication.period == "all":
        return None
    of_kind = [hour for kind, hour in awaited.items() if publication.kind in {"", kind}]
    # A period without rows, as of hours that never ran, has no flag that says so.
    before = min(of_kind, default=None)
    if before is not None:
        before = _start(before, publication.period)
    last = marts.last_complete(publication.table, publication.column, before)
    if last is None:
        return None
    if isinstance(last, date) and not isinstance(last, datetime):
        last = datetime(last.year, last.month, last.day)  # noqa: DTZ001 (the warehouse is naive)
    return _end(last.replace(tzinfo=UTC), publication.period)


def _start(hour: datetime, period: str) -> datetime:
    if period == "hour":
        return hour
    midnight = hour.replace(hour=0)
    return midnight.replace(day=1) if period == "month" else midnight


def _end(start: datetime, period: str) -> datetime:
    if period == "month":
        return (start + timedelta(days=31)).replace(day=1)
    return start + (timedelta(hours=1) if period == "hour" else timedelta(days=1))


def publication_rows(published: Sequence[Published], at: datetime) -> pl.DataFrame:
    """The rows that the books of publications get: columns `PUBLICATIONS_SCHEMA`."""
    return pl.DataFrame(
        [(item.table, item.delta_version, item.complete_through, at) for item in published],
        schema=PUBLICATIONS_SCHEMA,
        orient="row",
    )
