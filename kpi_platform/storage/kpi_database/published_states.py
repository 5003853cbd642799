"""What the KPI database knows of the published tables: the state in which it left each of them.

Belongs here: reading and writing that book. Does not: what a state is (storage/lake), and what is
published.
"""

from collections.abc import Mapping

import duckdb

from kpi_platform.storage.kpi_database.embedded import count, transaction
from kpi_platform.storage.lake.delta.table_states import TableState


def has_marts(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the marts were ever built."""
    return bool(count(con, "select count(*) from lake.built_project"))


def published_states(con: duckdb.DuckDBPyConnection) -> dict[str, TableState]:
    """By published table the state in which this database left it."""
    rows = con.execute("select table_name, version, files from lake.published_states").fetchall()
    return {table: TableState(version, files) for table, version, files in rows}


def record_published(con: duckdb.DuckDBPyConnection, states: Mapping[str, TableState]) -> None:
    """Replace what is known of these tables."""
    if not states:
        return
    rows = [(table, state.version, state.files) for table, state in states.items()]
    with transaction(con):
        con.execute(
            "delete from lake.published_states where list_contains(?, table_name)", [list(states)]
        )
        con.executemany("insert into lake.published_states values (?, ?, ?)", rows)
