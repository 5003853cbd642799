"""The interface of a studio's warehouse.

Belongs here: what every implementation promises. Does not: any of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

import polars as pl
import pyarrow as pa

from kpi_platform.schemas.sources_file.source_values import Time

# One row per column of a table or view, in the order of table and position. `type` is the
# database's own name of the type; `kind` is `table`, `view`, `late_binding_view` or `external`;
# `is_readable` is false where permission is missing.
CATALOG = pl.Schema(
    {
        "table": pl.String,
        "kind": pl.String,
        "column": pl.String,
        "position": pl.Int32,
        "type": pl.String,
        "is_nullable": pl.Boolean,
        "is_key": pl.Boolean,
        "is_readable": pl.Boolean,
    }
)


# A sample that takes longer is done without: it is one of hundreds, and only helps a proposal.
SAMPLE_SECONDS = 5.0


@dataclass(frozen=True)
class SchemaTraits:
    """What the catalog says of a schema's tables beside their columns.

    `writable`: the tables that the `role` we connect as may change. `hidden`: those of which
    row-level security shows the role `some` or `none` of the rows. `parents`: what a view or an
    inheriting table shows the rows of, as (schema, table).
    """

    role: str = ""
    writable: tuple[str, ...] = ()
    hidden: Mapping[str, Literal["some", "none"]] = field(default_factory=dict)
    parents: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """Rows whose watermark lies in `[start, end)`, UTC, full seconds.

    Without `start` everything older belongs to it, rows without a watermark's value included;
    without `end` everything newer.
    Local times are compared as local: the hour that the clock shows twice is read once, with its
    second half; a watermark that is only a date is read with every hour of its day.
    """

    watermark: Time
    start: datetime | None
    end: datetime | None


class StudioWarehouse(Protocol):
    """A studio's warehouse. Every method raises TransientWarehouseError or Terminal...; transient
    errors have been retried with back-off before, except in the middle of a read."""

    def held(self) -> AbstractContextManager[None]:
        """Within it what is opened for one use may stay open for the next."""

    def schemas(self) -> list[str]:
        """Names of the schemas that can be seen, sorted."""

    def discover(self, schema: str) -> pl.DataFrame:
        """The catalog of a schema as `CATALOG`; empty if nothing is in it or it is not there."""

    def traits(self, schema: str) -> SchemaTraits:
        """What the tables of a schema are to each other and to the role we connect as."""

    def sample(self, schema: str, table: str, rows: int = 200) -> pl.DataFrame:
        """Some rows of a table, whichever come first, the readable columns as text.

        Raises TerminalWarehouseError, without trying again, after SAMPLE_SECONDS.
        """

    def repeats(self, schema: str, table: str, columns: Sequence[str]) -> bool:
        """Whether two rows of the whole table have the same values in these columns.

        Raises TerminalWarehouseError, without trying again, after SAMPLE_SECONDS.
        """

    def read_window(
        self, schema: str, table: str, columns: Sequence[str], window: Window | None
    ) -> Iterator[pa.RecordBatch]:
        """The window's rows, or (without one) all rows, in batches of bounded memory.

        All batches have one schema, with `columns` in order; at least one comes, if only empty.
        Types that Arrow does not know come as text, exact decimals as text too.
        """

    def count(
        self, schema: str, table: str, window: Window | None, seconds: float | None = None
    ) -> int:
        """How many rows the window has now; with `seconds`, TerminalWarehouseError after those."""

    def close(self) -> None:
        """End the connection; a warehouse closed twice is closed."""
