"""A studio's warehouse in PostgreSQL, read through ADBC: binary COPY straight into Arrow.

Belongs here: PostgreSQL's catalog, its types, its connection. Does not: its errors' meaning.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing

import adbc_driver_postgresql.dbapi as adbc
import polars as pl
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError

from kpi_platform.schemas.column_types import column_type
from kpi_platform.schemas.source_connections import PostgresConnection
from kpi_platform.storage.studio_databases import sql
from kpi_platform.storage.studio_databases.batches import plain
from kpi_platform.storage.studio_databases.errors import (
    TerminalWarehouseError,
    TransientWarehouseError,
)
from kpi_platform.storage.studio_databases.interface import CATALOG, Window
from kpi_platform.storage.studio_databases.postgres_errors import translated
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
_CATALOG = """
SELECT c.relname::text AS "table", c.kind, a.attname::text AS "column", a.attnum::int AS position,
       format_type(a.atttypid, a.atttypmod) AS type,
       NOT a.attnotnull AS is_nullable,
       CASE WHEN c.key IS NULL THEN false ELSE a.attnum = ANY (c.key) END AS is_key,
       CASE WHEN c.readable THEN true
            ELSE has_column_privilege(c.oid, a.attnum, 'SELECT') END AS is_readable
FROM (
  SELECT p.oid, p.relname, k.indkey::int2[] AS key,
         has_table_privilege(p.oid, 'SELECT') AS readable,
         CASE WHEN p.relkind IN ('v', 'm') THEN 'view' WHEN p.relkind = 'f' THEN 'external'
              ELSE 'table' END AS kind
  FROM pg_class p LEFT JOIN pg_index k ON k.indrelid = p.oid AND k.indisprimary
  WHERE p.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema})
    AND p.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT p.relispartition {only}
  OFFSET 0
) c
CROSS JOIN LATERAL (
  SELECT * FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped OFFSET 0
) a
"""
_SCHEMAS = """
SELECT nspname::text FROM pg_namespace
WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY 1
"""


class PostgresWarehouse:
    """One connection, opened when first needed and anew after it broke; it can write nothing."""

    def __init__(self, connection: PostgresConnection, dsn: str) -> None:
        self._dsn = dsn
        self._attempts = connection.attempts
        self._silence = connection.timeout_seconds
        self._open: adbc.Connection | None = None

    def schemas(self) -> list[str]:
        """Names of the schemas, sorted."""
        return [str(name) for name in self._table(_SCHEMAS).column(0).to_pylist()]

    def discover(self, schema: str) -> pl.DataFrame:
        """The catalog of a schema, in one statement whatever its size."""
        return self._catalog(schema, "")

    def sample(self, schema: str, table: str, rows: int = 200) -> pl.DataFrame:
        """Some rows of a table as text."""
        names = list(self._types(schema, table))
        text = ", ".join(f"{sql.quoted(name)}::text AS {sql.quoted(name)}" for name in names)
        source = sql.place(schema, table)
        found = self._table(f"SELECT {text or '1'} FROM {source} LIMIT {int(rows)}")
        return pl.DataFrame({name: _texts(found.column(i)) for i, name in enumerate(names)})

    def count(self, schema: str, table: str, window: Window | None) -> int:
        """How many rows the window has now."""
        types = self._types(schema, table)
        query = sql.count(schema, table, types, window, _COLLATION)
        return int(self._table(query).column(0)[0].as_py())

    def read_window(
        self, schema: str, table: str, columns: Sequence[str], window: Window | None
    ) -> Iterator[pa.RecordBatch]:
        """The window's rows as of one moment, streamed by COPY."""
        types = self._types(schema, table)
        query = sql.select(schema, table, columns, types, window, _read_as, _COLLATION)
        cursor, reader = retried(lambda: self._started(query), self._attempts)
        try:
            yield from plain(self._waiting(cursor, reader), table, columns)
        except TransientWarehouseError:
            self.close()
            raise
        finally:
            _closed(cursor)

    def close(self) -> None:
        """End the connection."""
        if self._open is not None:
            connection, self._open = self._open, None
            _closed(connection)

    def _catalog(self, schema: str, only: str) -> pl.DataFrame:
        found = pl.DataFrame(self._table(_CATALOG.format(schema=sql.literal(schema), only=only)))
        if found.is_empty():
            return pl.DataFrame(schema=CATALOG)
        columns = (pl.col(name).cast(dtype) for name, dtype in CATALOG.items())
        return found.select(columns).sort("table", "position")

    def _types(self, schema: str, table: str) -> dict[str, str]:
        """The type of every column. Raises TerminalWarehouseError if there is no such table."""
        catalog = self._catalog(schema, f"AND relname = {sql.literal(table)}")
        if catalog.is_empty():
            raise TerminalWarehouseError(f"table {table} is not in schema {schema}")
        return dict(catalog.select("column", "type").iter_rows())

    def _table(self, query: str) -> pa.Table:
        """A small result, whole."""

        def run() -> pa.Table:
            cursor, reader = self._started(query)
            with closing(cursor):
                batches = list(self._waiting(cursor, reader))
                return pa.Table.from_batches(batches, reader.schema)

        return retried(run, self._attempts)

    def _started(self, query: str) -> tuple[adbc.Cursor, pa.RecordBatchReader]:
        """A cursor and the reader of its result; a connection that broke is let go."""
        try:
            with translated():
                cursor = self._connected().cursor()
                size = {"adbc.postgresql.batch_size_hint_bytes": str(_BYTES_AT_A_TIME)}
                cursor.adbc_statement.set_options(**size)
                with limited(self._silence, cursor.adbc_cancel):
                    cursor.execute(query)
                    return cursor, cursor.fetch_record_batch()
        except TransientWarehouseError:
            self.close()
            raise

    def _waiting(self, cursor: adbc.Cursor, reader: pa.RecordBatchReader) -> Waiting:
        return Waiting(reader, self._silence, cursor.adbc_cancel, translated)

    def _connected(self) -> adbc.Connection:
        if self._open is None:
            self._open = adbc.connect(self._dsn, db_kwargs=_BUILT_IN_TYPES, autocommit=True)
            with closing(self._open.cursor()) as cursor:
                # Whatever goes wrong here, a studio's data is not changed by it.
                cursor.execute("SET default_transaction_read_only = on")
        return self._open


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
