"""Published tables beside the marts that they are copies of: comparing them, and copying anew.

Belongs here: both, under the warehouse's lock. Does not: lake tables.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import duckdb
import polars as pl
import psycopg2
from deltalake.exceptions import DeltaError

from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.build import lake_tables
from kpi_platform.kpis.loading.load import differing_partitions
from kpi_platform.published.left_tables import note_left
from kpi_platform.published.publish import (
    PUBLICATIONS,
    PUBLICATIONS_SCHEMA,
    Publication,
    marts_to_publish,
    publication_rows,
    publish,
)
from kpi_platform.published.restatements import KPI_RESTATEMENTS, RESTATEMENTS_SCHEMA
from kpi_platform.storage.kpi_database.embedded import (
    EVERY_TABLE,
    affected_periods_to_publish,
    connect,
    pending,
)
from kpi_platform.storage.kpi_database.kept_project import manifest_in_force
from kpi_platform.storage.kpi_database.marts import Marts
from kpi_platform.storage.lake.damage import LOG, Damage, damaged_files
from kpi_platform.storage.lake.delta.lake_files import files_of
from kpi_platform.storage.lake.lake import Lake, LakeError
from kpi_platform.storage.lake.locks import file_lock, warehouse_lock
from kpi_platform.verification.compare import TableComparison, compare
from kpi_platform.verification.mend import Mended
from kpi_platform.verification.verify import Verification

_BOOKS = {PUBLICATIONS: PUBLICATIONS_SCHEMA, KPI_RESTATEMENTS: RESTATEMENTS_SCHEMA}
_PREFIX = "published/"
_UNREADABLE = (LakeError, OSError, DeltaError, pl.exceptions.PolarsError)
_FLOATS = (pl.Float32, pl.Float64)


def published_tables() -> dict[str, Publication | None]:
    """Every table below `published/` by name; None for the books, which are no copy of a mart."""
    marts: dict[str, Publication | None] = {
        item.table: item for item in marts_to_publish(manifest_in_force())
    }
    return marts | dict.fromkeys(_BOOKS)


def compare_published(
    platform: Platform, limit: int
) -> tuple[list[TableComparison], list[Damage], list[str]]:
    """Published tables beside their marts: what was compared, what cannot be read, and in words
    what was not compared and why. At most `limit` differences are kept per table."""
    lake, tables = platform.lake, published_tables()
    damages = {name: damaged_files(lake, _PREFIX + name) for name in tables}
    unreadable = [item for each in damages.values() for item in each]
    if not platform.settings.warehouse_file.exists():
        return [], unreadable, ["published tables (there is no warehouse yet)"]
    left = ["the books " + " and ".join(_PREFIX + name for name in _BOOKS)]
    left.append("the marts with a build from scratch")
    comparisons = []
    with _marts(platform) as (con, marts, waits):
        if waits:
            return [], unreadable, ["published tables (a run has not published its changes yet)"]
        left += _not_loaded(platform, con)
        for name, publication in tables.items():
            if publication is None or damages[name]:
                continue
            if lake.open(_PREFIX + name) is None:
                left.append(f"{_PREFIX}{name} (it was never published)")
                continue
            comparison = _compared(lake, marts, name, limit)
            if comparison is None:
                left.append(f"{_PREFIX}{name} (its mart is not there or has other columns)")
            else:
                comparisons.append(comparison)
    return comparisons, unreadable, left


def add_published(found: Verification, platform: Platform, limit: int) -> None:
    """Add to a verification what `compare_published` finds."""
    tables, unreadable, not_compared = compare_published(platform, limit)
    found.tables += tables
    found.unreadable += unreadable
    found.not_compared += not_compared


def _compared(lake: Lake, marts: Marts, name: str, limit: int) -> TableComparison | None:
    live = lake.published(name)
    if live is None:
        return None
    try:
        mart = marts.read(name, "", None).lazy()
    except (duckdb.Error, psycopg2.Error):
        return None
    found = TableComparison(_PREFIX + name)
    schema = mart.collect_schema()
    columns = sorted(schema.names())
    if columns != sorted(live.collect_schema().names()):
        # Another release's: the next run publishes it whole.
        return None
    keys = [column for column in columns if schema[column] not in _FLOATS]
    typed = live.select(pl.col(column).cast(schema[column]) for column in columns)
    compare(found, typed, mart.select(columns), keys, limit)
    return found


def _not_loaded(platform: Platform, con: duckdb.DuckDBPyConnection) -> list[str]:
    """In words, if the marts were made from another state of the lake than it is in now."""
    try:
        tables = lake_tables(platform)
    except _UNREADABLE:
        # What is damaged is named by whoever looks into every file.
        return []
    attributes = platform.settings.player_id_attributes
    sources = platform.sources
    differing = differing_partitions(
        con, tables, sources.frame(), attributes, sources.platform_names
    )
    if not differing:
        return []
    what = "partitions differ" if differing > 1 else "partition differs"
    return [
        f"the marts with the lake as it is now (the KPI database was made from another state of it,"
        f" {differing:,} {what}: the next run of any hour follows it)"
    ]


@contextmanager
def _marts(platform: Platform) -> Iterator[tuple[duckdb.DuckDBPyConnection, Marts, bool]]:
    """The KPI database, the marts, and whether they hold changes still to be published."""
    path = platform.settings.warehouse_file
    with file_lock(warehouse_lock(path)), connect(path) as con:
        waits = pending(con) or bool(affected_periods_to_publish(con))
        yield con, platform.marts(con), waits


def rebuild_published(platform: Platform, name: str) -> Mended:
    """Copy a mart to its published table anew; of books, keep what can be read of them.

    Raises LakeError if the marts are being built.
    """
    lake, table = platform.lake, _PREFIX + name
    publication = published_tables()[name]
    done = Mended(table, damaged_files(lake, table))
    if publication is None:
        rows = _readable(lake, name, done.damaged)
        _set_aside(lake, done)
        lake.publish(name, rows, None)
        return done
    with _marts(platform) as (con, marts, waits):
        if waits:
            raise LakeError(f"{table}: a run has changes to publish: run it, then rebuild")
        _set_aside(lake, done)
        copied = publish(lake, marts, [publication], {EVERY_TABLE: []})
        lake.add_published(PUBLICATIONS, publication_rows(copied, datetime.now(UTC)))
        note_left(con, lake, [name])
    return done


def _set_aside(lake: Lake, done: Mended) -> None:
    if any(item.file == LOG for item in done.damaged):
        done.aside.append(lake.set_aside(done.table))


def _readable(lake: Lake, name: str, damages: list[Damage]) -> pl.DataFrame:
    snapshot = None
    if not any(item.file == LOG for item in damages):
        snapshot = lake.open(_PREFIX + name)
    if snapshot is None:
        return _BOOKS[name].to_frame()
    files = files_of(snapshot).filter(~pl.col("path").is_in([item.file for item in damages]))
    paths = [f"{lake.path(_PREFIX + name)}/{path}" for path in files["path"]]
    parts = [pl.read_parquet(path, glob=False) for path in paths]
    return pl.concat([_BOOKS[name].to_frame(), *parts], how="vertical_relaxed")
