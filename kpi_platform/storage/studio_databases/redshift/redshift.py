"""A studio's warehouse in Redshift: small reads by its own driver, large ones by UNLOAD.

Belongs here: choosing between the two, and the driver. Does not: UNLOAD, the catalog's statements.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from redshift_connector.error import Error as DriverError
from redshift_connector.error import InterfaceError

from kpi_platform.schemas.sources_file.column_types import column_type
from kpi_platform.schemas.sources_file.source_connections import RedshiftConnection
from kpi_platform.storage.studio_databases import sql
from kpi_platform.storage.studio_databases.batches import plain, rows_at_a_time
from kpi_platform.storage.studio_databases.errors import (
    TerminalWarehouseError,
    TransientWarehouseError,
    one_line,
)
from kpi_platform.storage.studio_databases.interface import (
    SAMPLE_SECONDS,
    SchemaTraits,
    Window,
)
from kpi_platform.storage.studio_databases.redshift.redshift_catalog import (
    SCHEMAS,
    read_catalog,
    read_traits,
)
from kpi_platform.storage.studio_databases.redshift.redshift_unload import BulkReader
from kpi_platform.storage.studio_databases.retrying import retried

T = TypeVar("T")
Connect = Callable[[], Any]
_ARROW = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}
_PASSING = ("08", "53", "57", "40", "58")


class RedshiftWarehouse:
    """One connection, opened when first needed; `bulk` is missing where UNLOAD is not set up."""

    def __init__(
        self, connection: RedshiftConnection, connect: Connect, bulk: BulkReader | None
    ) -> None:
        self._connect = connect
        self._bulk = bulk
        self._attempts = connection.attempts
        self._above_rows = connection.unload.above_rows if connection.unload else None
        self._open: Any = None

    def held(self) -> AbstractContextManager[None]:
        """Nothing more: the connection is held until it is closed."""
        return nullcontext()

    def schemas(self) -> list[str]:
        """Names of the schemas, sorted."""
        return [str(row[0]) for row in self._ask(SCHEMAS)]

    def discover(self, schema: str) -> pl.DataFrame:
        """The catalog of a schema."""
        return read_catalog(self._ask, schema)

    def traits(self, schema: str) -> SchemaTraits:
        """What the tables of a schema are to each other and to our role."""
        return read_traits(self._ask, schema)

    def sample(self, schema: str, table: str, rows: int = 200) -> pl.DataFrame:
        """Some rows of a table as text."""
        types = self._types(schema, table)
        texts = (f"{_read_as(sql.quoted(c), t)}::varchar(65535)" for c, t in types.items())
        source = sql.place(schema, table)
        query = f"SELECT {', '.join(texts)} FROM {source} LIMIT {int(rows)}"
        found = self._within(SAMPLE_SECONDS, table, query)
        return pl.DataFrame(
            [tuple(row) for row in found], schema=dict.fromkeys(types, pl.String), orient="row"
        )

    def repeats(self, schema: str, table: str, columns: Sequence[str]) -> bool:
        """Whether two rows of the table have the same values in these columns."""
        query = sql.repeats(sql.place(schema, table), columns)
        return bool(self._within(SAMPLE_SECONDS, table, query))

    def count(
        self, schema: str, table: str, window: Window | None, seconds: float | None = None
    ) -> int:
        """How many rows the window has now."""
        query = sql.count(schema, table, self._types(schema, table), window)
        found = self._ask(query) if seconds is None else self._within(seconds, table, query)
        return int(found[0][0])

    def read_window(
        self, schema: str, table: str, columns: Sequence[str], window: Window | None
    ) -> Iterator[pa.RecordBatch]:
        """The window's rows: by UNLOAD if it is set up and they are many, else fetched."""
        types = self._types(schema, table)
        query = sql.select(schema, table, columns, types, window, _read_as)
        shape = pa.schema([(c, _ARROW.get(_family(types[c]), pa.string())) for c in columns])
        is_large = (
            self._bulk is not None
            and self._above_rows is not None
            and self.count(schema, table, window) > self._above_rows
        )
        batches: Iterator[pa.RecordBatch]
        if is_large and self._bulk is not None:
            batches = (_cast(batch, shape) for batch in self._bulk.read(query))
        else:
            batches = self._fetched(query, shape)
        yield from plain(_Shaped(batches, shape), table, columns)

    def close(self) -> None:
        """End the connection."""
        if self._open is not None:
            connection, self._open = self._open, None
            try:
                connection.close()
            except (DriverError, OSError):
                return

    def _types(self, schema: str, table: str) -> dict[str, str]:
        catalog = self.discover(schema).filter(pl.col("table") == table)
        if catalog.is_empty():
            raise TerminalWarehouseError(f"table {table} is not in schema {schema}")
        return dict(catalog.select("column", "type").iter_rows())

    def _ask(self, query: str) -> list[Any]:
        def run() -> list[Any]:
            with self._cursor() as cursor:
                cursor.execute(query)
                return list(cursor.fetchall())

        return retried(run, self._attempts)

    def _within(self, seconds: float, table: str, query: str) -> list[Any]:
        """The rows of a statement that must not take long, and is not tried again."""
        began = time.monotonic()
        try:
            with self._cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout TO {int(seconds * 1000)}")
                cursor.execute(query)
                return list(cursor.fetchall())
        except TransientWarehouseError:
            if time.monotonic() - began < seconds:
                raise
            said = f"table {table}: no answer within {seconds:g} s"
            raise TerminalWarehouseError(said) from None

    def _fetched(self, query: str, shape: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Through a cursor of the server, a part at a time."""
        size = rows_at_a_time(len(shape))
        with self._cursor() as cursor:
            cursor.execute(f"DECLARE kpi_rows CURSOR FOR {query}")
            while True:
                cursor.execute(f"FETCH FORWARD {size} FROM kpi_rows")
                rows = cursor.fetchall()
                if not rows:
                    break
                arrays = [
                    pa.array([row[i] for row in rows], type=field.type)
                    for i, field in enumerate(shape)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=shape)
            cursor.execute("CLOSE kpi_rows")

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor in a transaction of its own that is read only."""
        try:
            if self._open is None:
                self._open = self._connect()
                # Else the driver begins a transaction itself, one that may write.
                self._open.autocommit = True
            with self._open.cursor() as cursor:
                cursor.execute("BEGIN READ ONLY")
                yield cursor
            self._open.rollback()
        except (DriverError, OSError) as error:
            self.close()
            raise _as_ours(error) from None


class _Shaped:
    """Batches with the schema they all have."""

    def __init__(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> None:
        self.schema = schema
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self._batches


def _family(type_name: str) -> str:
    return column_type(type_name).family


def _read_as(column: str, type_name: str) -> str:
    """Types that Arrow knows as they are, SUPER as JSON, all else as text."""
    family = _family(type_name)
    if family in ("json", "nested"):
        return f"JSON_SERIALIZE({column})"
    return column if family in _ARROW else f"{column}::varchar"


def _cast(batch: pa.RecordBatch, shape: pa.Schema) -> pa.RecordBatch:
    """Parquet's types as the connection's: UNLOAD writes UTC without saying so."""
    arrays = []
    for i, field in enumerate(shape):
        values = batch.column(i)
        if pa.types.is_timestamp(field.type) and field.type.tz and values.type.tz is None:
            values = pc.assume_timezone(values.cast(pa.timestamp("us")), "UTC")
        arrays.append(values.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=shape)


def _as_ours(error: BaseException) -> TransientWarehouseError | TerminalWarehouseError:
    """The driver's errors carry the server's fields: C is the SQLSTATE, M the message."""
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    said = one_line(RuntimeError(fields.get("M") or str(error)))
    state = str(fields.get("C") or "")
    is_lost = isinstance(error, OSError | InterfaceError)
    passes = state.startswith(_PASSING) if state else is_lost
    return (TransientWarehouseError if passes else TerminalWarehouseError)(said)
