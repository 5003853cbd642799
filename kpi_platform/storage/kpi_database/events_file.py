"""The events of one run, in a file beside the embedded database, which never grows by them.

Belongs here: laying them down where dbt attaches them, and removing them. Does not: which events
those are (kpis/loading/window.py).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl

from kpi_platform.storage.kpi_database.embedded import insert_frame

# By this name the models know the file, whose own name ends so (dbt/profiles.yml).
DATABASE, _ENDING = "events_of_run", ".events"
_TABLE = f"{DATABASE}.lake.cleaned_events"


def lay_down(
    con: duckdb.DuckDBPyConnection, path: Path, frames: Iterable[pl.DataFrame] = ()
) -> None:
    """Put these rows, and no others, beside the embedded database at `path`, of which `con` is."""
    with attached(con, path):
        for frame in frames:
            insert_frame(con, _TABLE, frame)


@contextmanager
def attached(con: duckdb.DuckDBPyConnection, path: Path | None) -> Iterator[None]:
    """Have the table of a run's events, empty, in its place; in memory without a `path`."""
    databases = con.execute("select database_name from duckdb_databases()").fetchall()
    is_ours = (DATABASE,) not in databases
    if is_ours:
        if path is not None:
            remove(path)
        place = ":memory:" if path is None else str(_file(path)).replace("'", "''")
        con.execute(f"attach '{place}' as {DATABASE}")
    con.execute(f"create schema if not exists {DATABASE}.lake")
    con.execute(f"create or replace table {_TABLE} as from lake.cleaned_events limit 0")
    try:
        yield
    finally:
        if is_ours:
            con.execute(f"detach {DATABASE}")


def remove(path: Path) -> None:
    """Remove the events of a run that is over, or was killed."""
    file = _file(path)
    for each in (file, file.with_name(f"{file.name}.wal")):
        each.unlink(missing_ok=True)


def _file(path: Path) -> Path:
    return path.with_name(f"{path.name}{_ENDING}")
