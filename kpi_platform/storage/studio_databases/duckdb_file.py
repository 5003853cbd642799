"""A studio's warehouse in a DuckDB file, opened read-only for each use, or some at once.

Belongs here: DuckDB's catalog, its types, its errors. Does not: what other databases do.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import polars as pl
import pyarrow as pa

from kpi_platform.schemas.sources_file.column_types import column_type
from kpi_platform.schemas.sources_file.source_connections import DuckDBConnection
from kpi_platform.storage.studio_databases import sql
from kpi_platform.storage.studio_databases.batches import plain, rows_at_a_time
from kpi_platform.storage.studio_databases.errors import (
    StudioWarehouseError,
    TerminalWarehouseError,
    TransientWarehouseError,
    one_line,
)
from kpi_platform.storage.studio_databases.interface import (
    CATALOG,
    SAMPLE_SECONDS,
    SchemaTraits,
    Window,
)
from kpi_platform.storage.studio_databases.retrying import retried
from kpi_platform.storage.studio_databases.watchdog import Waiting, limited

T = TypeVar("T")
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "512MB",
    "threads": 2,
    "enable_external_access": False,
}
# For so long a file stays open for the next use: to open it costs more than most questions.
_HELD_SECONDS = 1.0
_NATIVE = {"boolean", "integer", "float", "text", "timestamp", "timestamptz", "date"}
_CATALOG = """
SELECT c.table_name AS "table",
       CASE WHEN v.view_oid IS NULL THEN 'table' ELSE 'view' END AS kind,
       c.column_name AS "column", c.column_index::INTEGER AS position, c.data_type AS type,
       c.is_nullable, coalesce(list_contains(k.columns, c.column_name), false) AS is_key,
       true AS is_readable
FROM duckdb_columns() c
LEFT JOIN duckdb_views() v
  ON v.database_name = c.database_name AND v.schema_name = c.schema_name
 AND v.view_name = c.table_name
LEFT JOIN (
  SELECT database_name, schema_name, table_name, constraint_column_names AS columns
  FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'
) k ON k.database_name = c.database_name AND k.schema_name = c.schema_name
   AND k.table_name = c.table_name
WHERE c.database_name = current_database() AND c.schema_name = $schema
  AND ($table IS NULL OR c.table_name = $table)
ORDER BY c.table_name, c.column_index
"""


_SCHEMAS = """
SELECT DISTINCT schema_name FROM duckdb_columns()
WHERE database_name = current_database() AND NOT internal ORDER BY 1
"""


_TABLES = """
SELECT DISTINCT schema_name, table_name FROM duckdb_columns()
WHERE database_name = current_database() AND NOT internal
"""
_VIEWS = """
SELECT view_name, sql FROM duckdb_views()
WHERE database_name = current_database() AND schema_name = $schema AND NOT internal
"""


@dataclass(frozen=True)
class _Opened:
    """A connection, how its file looked, and when it was opened."""

    con: duckdb.DuckDBPyConnection
    look: tuple[int, int] | None
    at: float = field(default_factory=time.monotonic)

    @property
    def is_old(self) -> bool:
        return time.monotonic() - self.at >= _HELD_SECONDS


class DuckDBWarehouse:
    """The file is held only while it is read: a studio that writes it is not kept out for long."""

    def __init__(self, connection: DuckDBConnection, base: Path) -> None:
        self._path = base / connection.path
        self._attempts = connection.attempts
        self._silence = connection.timeout_seconds
        self._is_held = False
        self._idle: _Opened | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Leave the file open from one use to the next, a second at most."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            self.close()

    def schemas(self) -> list[str]:
        """Names of the schemas that hold something, sorted."""
        return retried(lambda: self._answer(lambda con: _column(con, _SCHEMAS)), self._attempts)

    def discover(self, schema: str) -> pl.DataFrame:
        """The catalog of a schema."""
        return retried(lambda: self._answer(lambda con: _catalog(con, schema)), self._attempts)

    def traits(self, schema: str) -> SchemaTraits:
        """What the views of a schema show; who may open the file may read all of it."""

        def ask(con: duckdb.DuckDBPyConnection) -> SchemaTraits:
            tables = con.execute(_TABLES).fetchall()
            views = con.execute(_VIEWS, {"schema": schema}).fetchall()
            # Only the statement's text tells: what it names is taken for what it shows.
            return SchemaTraits(
                parents={
                    view: frozenset(
                        (of, table)
                        for of, table in tables
                        if table in _named_in(text) and (of, table) != (schema, view)
                    )
                    for view, text in views
                }
            )

        return retried(lambda: self._answer(ask), self._attempts)

    def sample(self, schema: str, table: str, rows: int = 200) -> pl.DataFrame:
        """Some rows of a table as text."""

        def ask(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
            types = _types(con, schema, table)
            texts = (f"{_read_as(sql.quoted(c), t)}::VARCHAR" for c, t in types.items())
            source = sql.place(schema, table, _database(con))
            query = f"SELECT {', '.join(texts)} FROM {source} LIMIT {int(rows)}"
            found = con.execute(query).fetchall()
            return pl.DataFrame(found, schema=dict.fromkeys(types, pl.String), orient="row")

        return self._within(SAMPLE_SECONDS, table, ask)

    def repeats(self, schema: str, table: str, columns: Sequence[str]) -> bool:
        """Whether two rows of the table have the same values in these columns."""

        def ask(con: duckdb.DuckDBPyConnection) -> bool:
            query = sql.repeats(sql.place(schema, table, _database(con)), columns)
            return len(con.execute(query).fetchall()) > 0

        return self._within(SAMPLE_SECONDS, table, ask)

    def count(
        self, schema: str, table: str, window: Window | None, seconds: float | None = None
    ) -> int:
        """How many rows the window has now."""

        def ask(con: duckdb.DuckDBPyConnection) -> int:
            query = sql.count(
                schema, table, _types(con, schema, table), window, database=_database(con)
            )
            return int(_column(con, query)[0])

        if seconds is not None:
            return self._within(seconds, table, ask)
        return retried(lambda: self._answer(ask), self._attempts)

    def read_window(
        self, schema: str, table: str, columns: Sequence[str], window: Window | None
    ) -> Iterator[pa.RecordBatch]:
        """The window's rows, streamed."""
        with self._opened(retried(self._take, self._attempts)) as con:
            with _translated():
                types = _types(con, schema, table)
                query = sql.select(
                    schema, table, columns, types, window, _read_as, database=_database(con)
                )
                with limited(self._silence, con.interrupt):
                    reader = con.sql(query).to_arrow_reader(rows_at_a_time(len(columns)))
            waiting = Waiting(reader, self._silence, con.interrupt, _translated)
            yield from plain(waiting, table, columns)

    def close(self) -> None:
        """Close the file, if it was left open for the next use."""
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.con.close()

    def _within(
        self, seconds: float, table: str, ask: Callable[[duckdb.DuckDBPyConnection], T]
    ) -> T:
        """What must not take long, and is not tried again."""
        began = time.monotonic()
        try:
            return self._answer(ask, seconds)
        except TransientWarehouseError:
            if time.monotonic() - began < seconds:
                raise
            said = f"table {table}: no answer within {seconds:g} s"
            raise TerminalWarehouseError(said) from None

    def _answer(
        self, ask: Callable[[duckdb.DuckDBPyConnection], T], seconds: float | None = None
    ) -> T:
        with (
            self._opened(self._take()) as con,
            _translated(),
            limited(seconds or self._silence, con.interrupt),
        ):
            return ask(con)

    def _take(self) -> _Opened:
        idle, self._idle = self._idle, None
        if idle is not None and (idle.is_old or idle.look != self._look()):
            # Somebody may wait to write it, or has put another in its place.
            idle.con.close()
            idle = None
        return idle or _Opened(self._open(), self._look())

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    @contextmanager
    def _opened(self, opened: _Opened) -> Iterator[duckdb.DuckDBPyConnection]:
        """Close the file after its use, or leave it open for the next if this one went well."""
        is_left = False
        try:
            yield opened.con
            is_left = self._is_held and not opened.is_old
        finally:
            if is_left:
                self._idle = opened
            else:
                opened.con.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        if not self._path.is_file():
            raise TerminalWarehouseError(f"{self._path}: no such DuckDB file")
        with _translated():
            con = duckdb.connect(str(self._path), read_only=True, config=_CONFIG)
            con.execute("SET TimeZone = 'UTC'")
            return con


def _catalog(con: duckdb.DuckDBPyConnection, schema: str, table: str | None = None) -> pl.DataFrame:
    rows = con.execute(_CATALOG, {"schema": schema, "table": table}).fetchall()
    return pl.DataFrame(rows, schema=CATALOG, orient="row")


def _named_in(statement: str) -> set[str]:
    """The names that a statement holds, be they of tables or not."""
    words = re.findall(r'"(?:[^"]|"")*"|\w+', statement)
    return {w[1:-1].replace('""', '"') if w.startswith('"') else w for w in words}


def _types(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, str]:
    """The type of every column. Raises TerminalWarehouseError if there is no such table."""
    catalog = _catalog(con, schema, table)
    if catalog.is_empty():
        raise TerminalWarehouseError(f"table {table} is not in schema {schema}")
    return dict(catalog.select("column", "type").iter_rows())


def _database(con: duckdb.DuckDBPyConnection) -> str:
    """The file's own name, which one of its schemas may have too."""
    return str(_column(con, "SELECT current_database()")[0])


def _column(con: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    return [row[0] for row in con.execute(query).fetchall()]


@contextmanager
def _translated() -> Iterator[None]:
    """DuckDB's errors as ours; a file that somebody writes is free again soon."""
    try:
        yield
    except StudioWarehouseError:
        raise
    except (duckdb.Error, OSError) as error:
        said = one_line(error)
        if isinstance(error, duckdb.IOException) and "lock" in said.lower():
            raise TransientWarehouseError(said) from None
        raise TerminalWarehouseError(said) from None


def _read_as(column: str, type_name: str) -> str:
    """Types that Arrow and Delta know as they are, nested ones as JSON, all else as text."""
    family = column_type(type_name).family
    if family == "integer" and column_type(type_name).size > 64:
        return f"{column}::VARCHAR"
    if family == "nested":
        return f"to_json({column})::VARCHAR"
    is_native = family in _NATIVE and not type_name.upper().startswith("ENUM")
    return column if is_native else f"{column}::VARCHAR"
