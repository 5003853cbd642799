"""Batches as every implementation hands them out: one schema, plain Arrow types, calendar times.

Belongs here: what is done to each batch on its way out. Does not: where batches come from.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from kpi_platform.storage.studio_databases.errors import TerminalWarehouseError

# Databases know times that calendars do not: infinity, years before 1 and after 9999.
_FIRST = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())
_LAST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_CELLS, _MOST_ROWS, _FEWEST_ROWS = 1_000_000, 50_000, 500


class Reader(Protocol):
    """What a driver reads with: the schema is known before the first batch."""

    schema: pa.Schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches."""


def rows_at_a_time(columns: int) -> int:
    """How many rows of so many columns are held at once."""
    return max(_FEWEST_ROWS, min(_MOST_ROWS, _CELLS // max(columns, 1)))


def plain(reader: Reader, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Record batches with plain types and one schema; at least one, if only empty.

    Times beyond the years 1 to 9999 become
    null. Raises TerminalWarehouseError if a column's type changes between two batches.
    """
    first = None
    for batch in reader:
        done = _with_plain_types(batch, columns)
        first = done.schema if first is None else first
        if not first.equals(done.schema):
            changed = [n for n in columns if first.field(n).type != done.schema.field(n).type]
            raise TerminalWarehouseError(
                f"table {table}: {', '.join(changed)} changed its type while it was read"
            )
        yield done
    if first is None:
        nothing = [pa.array([], field.type) for field in reader.schema]
        yield _with_plain_types(pa.RecordBatch.from_arrays(nothing, list(columns)), columns)


def _with_plain_types(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    values = [_plain(batch.column(i)) for i in range(len(columns))]
    return pa.RecordBatch.from_arrays(values, list(columns))


def _plain(values: pa.Array) -> pa.Array:
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    kind = values.type
    if pa.types.is_dictionary(kind):
        return values.dictionary_decode()
    if pa.types.is_timestamp(kind):
        return _times(values)
    if pa.types.is_date32(kind):
        return _within(values, pa.scalar(date.min, kind), pa.scalar(date.max, kind))
    return values


def _times(values: pa.Array) -> pa.Array:
    unit, zone = values.type.unit, values.type.tz
    if unit != "ns":  # Whose 64 bits end long before the year 9999.
        low, high = (pa.scalar(at * _PER_SECOND[unit], values.type) for at in (_FIRST, _LAST))
        values = _within(values, low, high)
    # What is finer than a microsecond is cut off.
    return values if unit == "us" else values.cast(pa.timestamp("us", zone), safe=False)


def _within(values: pa.Array, low: pa.Scalar, high: pa.Scalar) -> pa.Array:
    found = pc.min_max(values)
    if not found["min"].is_valid or (
        pc.greater_equal(found["min"], low).as_py() and pc.less_equal(found["max"], high).as_py()
    ):
        return values
    inside = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    return pc.if_else(inside, values, pa.scalar(None, values.type))
