"""Brings the copies of another warehouse up to date with those of the embedded one.

Belongs here: which partitions are copied, and the order of copies and books. Does not: how a
warehouse takes rows (storage), and what is loaded into the embedded one (load.py).
"""

import duckdb
import polars as pl

from kpi_platform.kpis.loading.event_rows import PURCHASES
from kpi_platform.kpis.loading.load import EVENTS, LOADED
from kpi_platform.storage.kpi_database.copies import Partition, WarehouseCopy
from kpi_platform.storage.kpi_database.embedded import NOTES, insert_frame, transaction

# What the models read besides the copies: small, and replaced whole.
_BOOKS = (
    *(
        "sources",
        "services",
        "source_hours",
        "waits",
        "loads",
        "affected_hours",
        "affected_dates",
        "affected_players",
    ),
    *("affected_sessions", "affected_versions"),
)


# What the warehouse has of each lake table. Of events only what refunds ask for: which hours hold
# what is asked here alone, and the events themselves come and go with each run.
_COPIED = {
    EVENTS: PURCHASES,
    **{name: copies[0] for name, copies in LOADED.items() if name != EVENTS},
}
_COPIES = {copy.name: copy for copy in _COPIED.values()}
# Of them those that only an update reads, and that are large where everything is new.
_OF_UPDATES = ("affected_sessions",)


def ship(con: duckdb.DuckDBPyConnection, copy: WarehouseCopy, *, full_refresh: bool = False) -> int:
    """Copy every partition that differs, then the books; returns how many partitions it copied.

    Interrupted, it goes on where it stopped when called again.
    """
    here, there = _partitions(con), copy.partitions()
    if _numbers_differ(here, there):
        # The embedded warehouse was made anew, and its numbers mean other partitions now.
        copy.clear()
        there = []
    known = set(there)
    left_out = _OF_UPDATES if full_refresh else ()
    gone = {(each.table, each.key) for each in there} - {(each.table, each.key) for each in here}
    for partition in (each for each in here if each not in known):
        copy.replace(partition, _rows(con, partition))
    for each in (each for each in there if (each.table, each.key) in gone):
        nothing = pl.DataFrame()
        copy.replace(Partition(each.table, each.key, each.number, None), nothing)
    books = {name: _table(con, name, 0 if name in left_out else None) for name in _BOOKS}
    copy.replace_tables(books)
    return len([each for each in here if each not in known]) + len(gone)


def fetch_changes(con: duckdb.DuckDBPyConnection, copy: WarehouseCopy) -> None:
    """Enter what the models there noted as changed in the embedded warehouse's books."""
    changes = copy.take_changes(NOTES)
    if changes.height:
        with transaction(con):
            insert_frame(con, "lake.changed_periods", changes)


def _partitions(con: duckdb.DuckDBPyConnection) -> list[Partition]:
    rows = con.execute(
        "select table_name, partition_key, partition_id, signature from lake.loaded_partitions"
        " order by all"
    ).fetchall()
    # Of the ledger only its books are copied.
    return [Partition(_COPIED[name].name, *row) for name, *row in rows if name in _COPIED]


def _numbers_differ(here: list[Partition], there: list[Partition]) -> bool:
    numbers = {(each.table, each.key): each.number for each in here}
    return any(numbers.get((each.table, each.key), each.number) != each.number for each in there)


def _rows(con: duckdb.DuckDBPyConnection, partition: Partition) -> pl.DataFrame:
    columns = ", ".join(("partition_id", *_COPIES[partition.table].columns))
    return pl.DataFrame(
        con.sql(
            f"select {columns} from lake.{partition.table} where partition_id = {partition.number}"
        ).to_arrow_table()
    )


def _table(con: duckdb.DuckDBPyConnection, name: str, most: int | None) -> pl.DataFrame:
    limit = "" if most is None else f" limit {most}"
    return pl.DataFrame(con.sql(f"select * from lake.{name}{limit}").to_arrow_table())
