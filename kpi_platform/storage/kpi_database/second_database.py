"""A second database file beside the embedded one, in which models are built while hours go on.

Belongs here: copying the file, and taking tables over from it. Does not: what is built there, and
when (kpis/dbt/rebuild.py).

It has the same name in a folder of its own: the names of tables have that of the file in them.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb

from kpi_platform.storage.kpi_database import events_file
from kpi_platform.storage.kpi_database.embedded import (
    EVERY_TABLE,
    WarehouseError,
    connect,
    pending,
    transaction,
)
from kpi_platform.storage.lake.locks import file_lock, warehouse_lock

_OTHER = "second"
_LOADED = "select table_name, partition_key, signature from {}lake.loaded_partitions"


class SecondDatabase:
    """The second file of a database, for building by the project of this fingerprint.

    `done` are the models and seeds that were built there, in the order in which they were.
    """

    def __init__(self, first: Path, fingerprint: str) -> None:
        self._first = first
        self._folder = first.with_name(f"{first.name}.rebuilt")
        self._fingerprint = fingerprint
        self.path = self._folder / first.name
        self._note, self._list = self._folder / "project.json", self._folder / "done"

    @property
    def is_there(self) -> bool:
        """Whether it was copied, for this project."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        return bool(note["fingerprint"] == self._fingerprint)

    @property
    def done(self) -> list[str]:
        """What is built there, each name once."""
        if not self._list.exists():
            return []
        # A kill may have cut the last line short, whose end is missing then.
        lines = self._list.read_text(encoding="utf-8").split("\n")[:-1]
        return list(dict.fromkeys(lines))

    def add_done(self, name: str) -> None:
        """Note that a model or seed is built there."""
        with self._list.open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")

    def make(self) -> bool:
        """Copy the database as it is now; False, and nothing is there, if a build of it is due.

        Raises WarehouseError, also where there is no room for it.
        """
        self.remove()
        try:
            return self._made()
        except OSError as error:
            said = f"KPI_WAREHOUSE_PATH: {self.path}: {error.strerror or error}"
            raise WarehouseError(f"{said}; it needs as much room as the database") from None

    def _made(self) -> bool:
        self._folder.mkdir(parents=True)
        with file_lock(warehouse_lock(self._first)):
            # Opening and closing it puts into the file what its log had.
            with connect(self._first) as con:
                if pending(con):
                    return False
            shutil.copyfile(self._first, self.path)
        self._note.write_text(json.dumps({"fingerprint": self._fingerprint}), encoding="utf-8")
        return True

    def remove(self) -> None:
        """Remove it, with all that was built there."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def take_over(self, mark: str) -> bool:
        """Take what is done there over into the first database, and mark that as built by it.

        False, and nothing is done, if the first has loaded something else since or is not built.
        """
        with file_lock(warehouse_lock(self._first)), connect(self._first) as con:
            con.execute(f"attach '{_quoted(self.path)}' as {_OTHER} (read_only)")
            if pending(con) or not _loaded_the_same(con):
                return False
            # A view is made only where there is what it reads.
            with events_file.attached(con, None), transaction(con):
                _replace(con, self.done)
                con.execute("delete from lake.built_project")
                con.execute("insert into lake.built_project values (?)", [mark])
                con.execute("insert into lake.changed_periods values (?, null)", [EVERY_TABLE])
            return True


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _loaded_the_same(con: duckdb.DuckDBPyConnection) -> bool:
    here, there = (
        set(con.execute(_LOADED.format(place)).fetchall()) for place in ("", f"{_OTHER}.")
    )
    return here == there


def _replace(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    """Make tables, then views over them in the order in which they were built there."""
    found = con.execute(
        "select schema_name, table_name, null from duckdb_tables()"
        " where database_name = $other and schema_name in ('marts', 'staging')"
        " union all select schema_name, view_name, sql from duckdb_views()"
        " where database_name = $other and schema_name in ('marts', 'staging')",
        {"other": _OTHER},
    ).fetchall()
    chosen = sorted(
        (row for row in found if row[1] in names),
        key=lambda row: (row[2] is not None, names.index(row[1])),
    )
    for schema, name, _ in chosen:
        _drop(con, schema, name)
    for schema, name, view in chosen:
        place = f'"{schema}"."{name}"'
        con.execute(f"create schema if not exists {schema}")
        con.execute(view or f"create table {place} as from {_OTHER}.{place}")


def _drop(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> None:
    kinds = con.execute(
        "select 'table' from duckdb_tables() where database_name = current_database()"
        " and schema_name = $schema and table_name = $name"
        " union all select 'view' from duckdb_views() where database_name = current_database()"
        " and schema_name = $schema and view_name = $name",
        {"schema": schema, "name": name},
    ).fetchall()
    for (kind,) in kinds:
        con.execute(f'drop {kind} "{schema}"."{name}"')
