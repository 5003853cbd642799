"""A double of a studio's warehouse: tables in memory, and trouble on demand.

Belongs here: what the interface promises, no more. Does not: any database; those are tested as
they are in test_real_warehouses.py.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa

from kpi_platform.arrivals.studios.text_rows import text_columns
from kpi_platform.schemas.sources_file.mapped_values import instant_of
from kpi_platform.storage.studio_databases import (
    CATALOG,
    SchemaTraits,
    TerminalWarehouseError,
    Window,
)


@dataclass
class MemoryWarehouse:
    """Tables by name. `errors`: raised by the next reads, one each; `breaks_after` batches."""

    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)
    is_down: Exception | None = None
    reads: int = 0

    def open(self, *_: object) -> "MemoryWarehouse":
        if self.is_down is not None:
            raise self.is_down
        return self

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def schemas(self) -> list[str]:
        return ["game"]

    def discover(self, schema: str) -> pl.DataFrame:
        rows = [
            (table, "table", column, position, _type(dtype), True, False, True)
            for table, frame in self.tables.items()
            for position, (column, dtype) in enumerate(frame.schema.items())
        ]
        return pl.DataFrame(rows, CATALOG, orient="row")

    def sample(self, schema: str, table: str, rows: int = 200) -> pl.DataFrame:
        return self.tables[table].head(rows)

    def read_window(
        self, schema: str, table: str, columns: Sequence[str], window: Window | None
    ) -> Iterator[pa.RecordBatch]:
        self.reads += 1
        if table not in self.tables:
            raise TerminalWarehouseError(f"no table {table}")
        batches = self._rows(table, columns, window).to_arrow().to_batches(max_chunksize=2)
        for number, batch in enumerate(batches):
            if self.errors and number == len(batches) // 2:
                raise self.errors.pop(0)
            yield batch

    def _rows(self, table: str, columns: Sequence[str], window: Window | None) -> pl.DataFrame:
        rows = self.tables[table].select(columns)
        if window is not None:
            at = text_columns(rows, {window.watermark.column}).select(instant_of(window.watermark))
            is_in = at.to_series() < (window.end or datetime.max.replace(tzinfo=UTC))
            if window.start is None:
                is_in = is_in.fill_null(value=True)
            else:
                is_in &= at.to_series() >= window.start
            rows = rows.filter(is_in)
        return rows

    def traits(self, schema: str) -> SchemaTraits:
        return SchemaTraits()

    def repeats(self, schema: str, table: str, columns: Sequence[str]) -> bool:
        return bool(self.tables[table].select(columns).is_duplicated().any())

    def count(
        self, schema: str, table: str, window: Window | None, seconds: float | None = None
    ) -> int:
        return self._rows(table, self.tables[table].columns, window).height

    def close(self) -> None:
        """Nothing to end."""


def _type(dtype: pl.DataType) -> str:
    """The type as DuckDB names it."""
    if isinstance(dtype, pl.Datetime):
        return "TIMESTAMP WITH TIME ZONE"
    return {pl.Int64: "BIGINT", pl.Float64: "DOUBLE", pl.Boolean: "BOOLEAN"}.get(
        type(dtype), "VARCHAR"
    )
