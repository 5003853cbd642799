"""A studio's warehouse in PostgreSQL, read through ADBC: binary COPY straight into Arrow.

Belongs here: PostgreSQL's catalog, its types, its connection. Does not: its errors' meaning.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass

import adbc_driver_postgresql.dbapi as adbc
import polars as pl
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError

from kpi_platform.schemas.sources_file.column_types import column_type
from kpi_platform.schemas.sources_file.source_connections import PostgresConnection
from kpi_platform.storage.studio_databases import sql
from kpi_platform.storage.studio_databases.batches import plain
from kpi_platform.storage.studio_databases.errors import (
    StudioWarehouseError,
    TerminalWarehouseError,
    TransientWarehouseError,
)
from kpi_platform.storage.studio_databases.interface import (
    CATALOG,
    SAMPLE_SECONDS,
    SchemaTraits,
    Window,
)
from kpi_platform.storage.studio_databases.postgres.postgres_errors import translated
from kpi_platform.storage.studio_databases.postgres.postgres_traits import read_traits
from kpi_platform.storage.studio_databases.retrying import retried
from kpi_platform.storage.studio_databases.watchdog import Waiting, limited

_NATIVE = {"boolean", "integer", "float", "text", "timestamp", "timestamptz", "date"}
# Aliases of text whose binary form is not text's, or that are padded with blanks.
_NOT_AS_IT_IS = ("character(", "bpchar", "citext", "name", "oid")
_BYTES_AT_A_TIME = 8 << 20
_COLLATION = ' COLLATE "C"'
# All others are read as text. Without this the driver fetches every column of every table in the
# database whenever it connects: 1.5 s where there are 5,000 tables.
_BUILT_IN_TYPES = {"adbc.postgresql.type_resolver_mode": "builtin"}
# Tables first, each judged once (OFFSET 0 keeps the planner from asking per column), then the
# columns of each by their index: a schema of five tables does not cost what its database costs.
# A domain is read as the type it is made of. A key is its constraint's: its index may INCLUDE more.
_CATALOG = """
WITH RECURSIVE domains (oid, base, typmod) AS (
  SELECT oid, typbasetype, typtypmod FROM pg_type WHERE typtype = 'd'
  UNION ALL
  SELECT d.oid, t.typbasetype, t.typtypmod
  FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype = 'd'
), bases AS (
  SELECT d.* FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype <> 'd'
)
SELECT c.relname::text AS "table", c.kind, a.attname::text AS "column", a.attnum::int AS position,
       CASE WHEN b.oid IS NULL THEN format_type(a.atttypid, a.atttypmod)
            ELSE format_type(b.base, b.typmod) END AS type,
       NOT a.attnotnull AS is_nullable,
       CASE WHEN c.key IS NULL THEN false ELSE a.attnum = ANY (c.key) END AS is_key,
       CASE WHEN c.readable THEN true
            ELSE has_column_privilege(c.oid, a.attnum, 'SELECT') END AS is_readable
FROM (
  SELECT p.oid, p.relname, k.conkey AS key,
         has_table_privilege(p.oid, 'SELECT') AS readable,
         CASE WHEN p.relkind IN ('v', 'm') THEN 'view' WHEN p.relkind = 'f' THEN 'external'
              ELSE 'table' END AS kind
  FROM pg_class p LEFT JOIN pg_constraint k ON k.conrelid = p.oid AND k.contype = 'p'
  WHERE p.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema})
    AND p.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT p.relispartition {only}
  OFFSET 0
) c
CROSS JOIN LATERAL (
  SELECT * FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped OFFSET 0
) a
LEFT JOIN bases b ON b.oid = a.atttypid
"""
_SCHEMAS = """
SELECT nspname::text FROM pg_namespace
WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY 1
"""


@dataclass(frozen=True)
class _Read:
    """One statement under way, in a transaction of its own that is read only."""

    connection: adbc.Connection
    cursor: adbc.Cursor
    reader: pa.RecordBatchReader


class PostgresWarehouse:
    """Connections opened when first needed and anew after one broke; none can write anything.

    Every statement has a transaction that is read only from its first word and is rolled back:
    what a view's function switches in the session is undone with it.
    """

    def __init__(self, connection: PostgresConnection, dsn: str) -> None:
        self._dsn = dsn
        self._attempts = connection.attempts
        self._silence = connection.timeout_seconds
        self._idle: list[adbc.Connection] = []
        self._closings = 0

    def held(self) -> AbstractContextManager[None]:
        """Nothing more: the connection is held until it is closed."""
        return nullcontext()

    def schemas(self) -> list[str]:
        """Names of the schemas, sorted."""
        return [str(name) for name in self._table(_SCHEMAS).column(0).to_pylist()]

    def discover(self, schema: str) -> pl.DataFrame:
        """The catalog of a schema, in one statement whatever its size."""
        return self._catalog(schema, "")

    def traits(self, schema: str) -> SchemaTraits:
        """What the tables of a schema are to each other and to our role."""
        return read_traits(lambda query: self._table(query).to_pylist(), schema)

    def sample(self, schema: str, table: str, rows: int = 200) -> pl.DataFrame:
        """Some rows of a table as text, of the columns that may be read."""
        catalog = self._one(schema, table)
        # Where none may be read the database says so best.
        readable = catalog.filter("is_readable") if catalog["is_readable"].any() else catalog
        names = readable["column"].to_list()
        text = ", ".join(f"{sql.quoted(name)}::text AS {sql.quoted(name)}" for name in names)
        query = f"SELECT {text or '1'} FROM {sql.place(schema, table)} LIMIT {int(rows)}"
        found = self._within(SAMPLE_SECONDS, table, query)
        return pl.DataFrame({name: _texts(found.column(i)) for i, name in enumerate(names)})

    def repeats(self, schema: str, table: str, columns: Sequence[str]) -> bool:
        """Whether two rows of the table have the same values in these columns."""
        query = sql.repeats(sql.place(schema, table), columns)
        return bool(self._within(SAMPLE_SECONDS, table, query).num_rows)

    def count(
        self, schema: str, table: str, window: Window | None, seconds: float | None = None
    ) -> int:
        """How many rows the window has now."""
        query = sql.count(schema, table, self._types(schema, table), window, _COLLATION)
        found = self._table(query) if seconds is None else self._within(seconds, table, query)
        return int(found.column(0)[0].as_py())

    def read_window(
        self, schema: str, table: str, columns: Sequence[str], window: Window | None
    ) -> Iterator[pa.RecordBatch]:
        """The window's rows as of one moment, streamed by COPY."""
        types = self._types(schema, table)
        query = sql.select(schema, table, columns, types, window, _read_as, _COLLATION)
        read = retried(lambda: self._started(query), self._attempts)
        is_whole = False
        try:
            yield from plain(self._waiting(read, self._silence), table, columns)
            is_whole = True
        finally:
            self._ended(read, is_whole)

    def close(self) -> None:
        """End the connections; those that are being read end with their read."""
        self._closings += 1
        while self._idle:
            _closed(self._idle.pop())

    def _catalog(self, schema: str, only: str) -> pl.DataFrame:
        found = pl.DataFrame(self._table(_CATALOG.format(schema=sql.literal(schema), only=only)))
        if found.is_empty():
            return pl.DataFrame(schema=CATALOG)
        columns = (pl.col(name).cast(dtype) for name, dtype in CATALOG.items())
        return found.select(columns).sort("table", "position")

    def _one(self, schema: str, table: str) -> pl.DataFrame:
        """The catalog of one table. Raises TerminalWarehouseError if there is none."""
        catalog = self._catalog(schema, f"AND relname = {sql.literal(table)}")
        if catalog.is_empty():
            raise TerminalWarehouseError(f"table {table} is not in schema {schema}")
        return catalog

    def _types(self, schema: str, table: str) -> dict[str, str]:
        return dict(self._one(schema, table).select("column", "type").iter_rows())

    def _table(self, query: str) -> pa.Table:
        """A small result, whole."""
        return retried(lambda: self._whole(query, self._silence), self._attempts)

    def _within(self, seconds: float, table: str, query: str) -> pa.Table:
        """The same of a statement that must not take long, and is not tried again.

        Raises TerminalWarehouseError that names the table if it takes longer.
        """
        began = time.monotonic()
        try:
            return self._whole(query, seconds)
        except TransientWarehouseError:
            if time.monotonic() - began < seconds:
                raise
            said = f"table {table}: no answer within {seconds:g} s"
            raise TerminalWarehouseError(said) from None

    def _whole(self, query: str, seconds: float) -> pa.Table:
        read = self._started(query, seconds)
        is_whole = False
        try:
            batches = list(self._waiting(read, seconds))
            is_whole = True
            return pa.Table.from_batches(batches, read.reader.schema)
        finally:
            self._ended(read, is_whole)

    def _started(self, query: str, seconds: float | None = None) -> _Read:
        """Begin to read; `seconds` bounds what the server does, else only its silence counts."""
        connection = self._idle.pop() if self._idle else self._connected()
        is_left = False
        try:
            with translated():
                _run(connection, "BEGIN TRANSACTION READ ONLY")
                if seconds is not None:
                    _run(connection, f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
                cursor = connection.cursor()
                size = {"adbc.postgresql.batch_size_hint_bytes": str(_BYTES_AT_A_TIME)}
                cursor.adbc_statement.set_options(**size)
                with limited(seconds or self._silence, cursor.adbc_cancel):
                    cursor.execute(query)
                    read = _Read(connection, cursor, cursor.fetch_record_batch())
                is_left = True
                return read
        finally:
            if not is_left:
                _closed(connection)

    def _ended(self, read: _Read, is_whole: bool) -> None:
        """Undo the transaction; a connection whose read did not end well is let go."""
        closings = self._closings
        _closed(read.cursor)
        if is_whole:
            try:
                with translated(), limited(self._silence, read.connection.adbc_cancel):
                    _run(read.connection, "ROLLBACK")
            except StudioWarehouseError:
                is_whole = False
        if is_whole and closings == self._closings and not self._idle:
            self._idle.append(read.connection)
        else:
            _closed(read.connection)

    def _waiting(self, read: _Read, seconds: float) -> Waiting:
        return Waiting(read.reader, seconds, read.cursor.adbc_cancel, translated)

    def _connected(self) -> adbc.Connection:
        with translated():
            return adbc.connect(self._dsn, db_kwargs=_BUILT_IN_TYPES, autocommit=True)


def _run(connection: adbc.Connection, statement: str) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement)


def _closed(resource: adbc.Connection | adbc.Cursor) -> None:
    """Close what may be broken already: there is nothing left to lose."""
    try:
        resource.close()
    except (AdbcError, OSError):
        return


def _read_as(column: str, type_name: str) -> str:
    """Types that Arrow knows as they are, arrays and rows as JSON, all else as text."""
    family = column_type(type_name).family
    if family == "nested":
        return f"to_jsonb({column})::text"
    is_native = family in _NATIVE and not type_name.startswith(_NOT_AS_IT_IS)
    return column if is_native else f"{column}::text"


def _texts(values: pa.ChunkedArray) -> pl.Series:
    return pl.Series(values.to_pylist(), dtype=pl.String)
