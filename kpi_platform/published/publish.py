"""Copies the marts to `published/<table>` as Delta, replacing only the periods that changed.

Belongs here: which rows of which mart are written, and the books of publications. Does not: what
a mart contains, and when this runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import polars as pl
from deltalake.exceptions import DeltaError

from kpi_platform.published.restatements import (
    KPI_RESTATEMENTS,
    RESTATEMENTS_SCHEMA,
    restatements,
)
from kpi_platform.storage.kpi_database.embedded import EVERY_TABLE
from kpi_platform.storage.kpi_database.marts import Marts
from kpi_platform.storage.lake.lake import Lake

PUBLICATIONS = "publications"
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
        Publication(name, meta["period"], meta.get("column", ""), tuple(meta.get("follows", ())))
        for name, meta in sorted(models.items())
    ]


def publish(
    lake: Lake,
    marts: Marts,
    publications: Sequence[Publication],
    changed: Mapping[str, Sequence[datetime]],
) -> list[Published]:
    """Publish every mart that changed; `changed` has the starts of its changed periods.

    A mart never published, or all of them if `changed` has the key `*`, is published whole.
    """
    done = []
    for publication in publications:
        is_new = lake.published(publication.table) is None
        starts = changed_periods(publication, changed)
        if is_new or starts is None:
            done.append(_publish(lake, marts, publication, None))
        elif starts:
            try:
                done.append(_publish(lake, marts, publication, starts))
            except (DeltaError, OSError):
                # To replace periods, files are read: if one is damaged, the copy is made anew.
                done.append(_publish(lake, marts, publication, None))
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
) -> int:
    """Enter the values that `publish` is about to change in the books of restatements.

    `values` is the publication of `kpi_values`; the columns written are `RESTATEMENTS_SCHEMA`. What
    an interrupted run entered is entered anew. Returns how many rows were.
    """
    published, books = lake.published(values.table), lake.published(KPI_RESTATEMENTS)
    starts = changed_periods(values, changed)
    rows = RESTATEMENTS_SCHEMA.to_frame()
    if published is not None and starts != []:
        if starts is not None:
            published = published.filter(pl.col(values.column).is_in([s.date() for s in starts]))
        new = marts.read(values.table, values.column, starts)
        rows = restatements(published.collect(), new, changed_hours, at)
    if books is None:
        lake.publish(KPI_RESTATEMENTS, rows, None)
    elif rows.height:
        last = _last_published(lake, values.table)
        lake.publish(KPI_RESTATEMENTS, rows, f"restated_at > '{last:%Y-%m-%dT%H:%M:%S.%fZ}'")
    return rows.height


def _last_published(lake: Lake, table: str) -> datetime:
    books = lake.published(PUBLICATIONS)
    if books is None:
        return datetime(1970, 1, 1, tzinfo=UTC)
    last = books.filter(pl.col("table") == table).select(pl.col("published_at").max()).collect()
    found: datetime = last.item() or datetime(1970, 1, 1, tzinfo=UTC)
    return found


def _publish(
    lake: Lake, marts: Marts, publication: Publication, starts: Sequence[datetime] | None
) -> Published:
    rows = marts.read(publication.table, publication.column, starts)
    predicate = None if starts is None else _predicate(publication, starts)
    version = lake.publish(publication.table, rows, predicate)
    return Published(publication.table, version, rows.height, _complete_through(marts, publication))


def _predicate(publication: Publication, starts: Sequence[datetime]) -> str:
    if publication.period in {"date", "month"}:
        values = [f"'{start.date()}'" for start in starts]
    else:
        values = [f"'{start:%Y-%m-%dT%H:%M:%S}Z'" for start in starts]
    return f"{publication.column} IN ({', '.join(values)})"


def _complete_through(marts: Marts, publication: Publication) -> datetime | None:
    if publication.period == "all":
        return None
    last = marts.last_complete(publication.table, publication.column)
    if last is None:
        return None
    if isinstance(last, date) and not isinstance(last, datetime):
        last = datetime(last.year, last.month, last.day)  # noqa: DTZ001 (the warehouse is naive)
    return _end(last.replace(tzinfo=UTC), publication.period)


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
