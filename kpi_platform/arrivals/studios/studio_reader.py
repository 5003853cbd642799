"""Reads the tables of one studio's warehouse, window by window, and keeps its trouble to itself.

Belongs here: opening, checking that what is mapped is there, and reading again after a connection
was lost in the middle. Does not: what is kept of the rows.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from kpi_platform.arrivals.drift.drift_step import StudioDrift, look_for_drift
from kpi_platform.arrivals.studios.captured_rows import CapturedTable
from kpi_platform.schemas.sources_file.sources import Source, Studio
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.studio_databases import (
    SAMPLE_SECONDS,
    StudioWarehouse,
    StudioWarehouseError,
    TerminalWarehouseError,
    TransientWarehouseError,
    Window,
    as_studio_error,
    read_ahead,
)

OpenWarehouse = Callable[[Studio], StudioWarehouse]
# Beyond the tries that the warehouse itself makes to connect and to begin.
_READ_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.5


@dataclass
class StudioReader:
    """A studio's warehouse while it is read. Once it cannot be reached it is not asked again."""

    studio: Studio
    open_warehouse: OpenWarehouse
    pause: Callable[[float], None] = time.sleep
    on_restart: Callable[[], None] = lambda: None
    down: str = ""
    _warehouse: StudioWarehouse | None = None
    _columns: dict[str, dict[str, dict[str, bool]]] = field(default_factory=dict)
    _hidden: frozenset[tuple[str, str]] = frozenset()

    def read(
        self, table: CapturedTable, window: tuple[datetime | None, datetime]
    ) -> Iterator[pl.DataFrame]:
        """The rows of a table whose watermark is in the window (`None`: everything older too), or
        all rows of a table without one. Rows come again if the read had to begin again.

        Raises StudioWarehouseError.
        """
        for attempt in range(_READ_TRIES):
            has_begun = False
            try:
                for rows in self._read_once(table, window):
                    has_begun = True
                    yield rows
            except TransientWarehouseError as error:
                self._close()
                # To begin was tried often enough, by the warehouse itself.
                if not has_begun or attempt == _READ_TRIES - 1:
                    self.down = str(error)
                    raise
                self.on_restart()
                self.pause(_FIRST_PAUSE_SECONDS * 2**attempt)
            else:
                return

    def look(self, lake: Lake, sources: Sequence[Source]) -> StudioDrift:
        """What changed in the warehouse since it was last found right.

        A change that stops the studio counts as its being down. Raises StudioWarehouseError.
        """
        try:
            drift = look_for_drift(lake, self.studio.key, sources, self._open())
        except StudioWarehouseError as error:
            self.down = str(error)
            raise
        self.down = drift.why_stopped
        self._hidden = drift.hidden
        for schema, catalog in drift.catalogs.items():
            self._columns[schema] = _columns_by_table(catalog)
        return drift

    @contextmanager
    def held(self) -> Iterator[None]:
        """Read several tables inside, one after the other, of a warehouse that stays open."""
        with ExitStack() as stack:
            # Why it cannot be opened is told by each table's own read.
            with suppress(StudioWarehouseError):
                stack.enter_context(self._open().held())
            yield

    def count_ahead(self, table: CapturedTable, limit: datetime) -> int | None:
        """How many rows have a watermark at `limit` or later; None if that takes too long."""
        watermark = table.mapping.watermark
        if watermark is None:
            return 0
        try:
            with as_studio_error():
                window = Window(watermark, limit, None)
                return self._open().count(table.schema, table.table, window, SAMPLE_SECONDS)
        except StudioWarehouseError:
            self._close()
            return None

    def close(self) -> None:
        """End the connection, if there is one."""
        self._close()

    def _read_once(
        self, table: CapturedTable, window: tuple[datetime | None, datetime]
    ) -> Iterator[pl.DataFrame]:
        watermark = table.mapping.watermark
        asked = None if watermark is None else Window(watermark, *window)
        with as_studio_error():
            columns = self._columns_of(table)
            batches = self._open().read_window(table.schema, table.table, columns, asked)
            with closing(read_ahead(batches)) as ahead:
                for batch in ahead:
                    yield pl.DataFrame(batch)

    def _columns_of(self, table: CapturedTable) -> list[str]:
        """The columns to read: all that may be read, without those the mapping ignores.

        Raises TerminalWarehouseError for a mapped table or column that is not there, or that may
        not be read.
        """
        found = self._catalog(table.schema).get(table.table)
        if found is None:
            raise TerminalWarehouseError(
                f"table {table.schema}.{table.table} is mapped but not there"
            )
        gone = sorted(table.needed.difference(found))
        if gone:
            raise TerminalWarehouseError(
                f"table {table.schema}.{table.table}: column {', '.join(gone)} is mapped but gone"
            )
        shut = sorted(name for name in table.needed if not found[name])
        if shut:
            raise TerminalWarehouseError(
                f"table {table.schema}.{table.table}: column {', '.join(shut)} is mapped but may "
                "not be read: permission is missing"
            )
        if (table.schema, table.table) in self._hidden:
            raise TerminalWarehouseError(
                f"table {table.schema}.{table.table}: row-level security shows none of its rows"
            )
        return [name for name, may_read in found.items() if may_read and name not in table.ignored]

    def _catalog(self, schema: str) -> dict[str, dict[str, bool]]:
        if schema not in self._columns:
            self._columns[schema] = _columns_by_table(self._open().discover(schema))
        return self._columns[schema]

    def _open(self) -> StudioWarehouse:
        if self.down:
            raise TerminalWarehouseError(self.down)
        if self._warehouse is None:
            try:
                with as_studio_error():
                    self._warehouse = self.open_warehouse(self.studio)
            except StudioWarehouseError as error:
                self.down = str(error)
                raise
        return self._warehouse

    def _close(self) -> None:
        if self._warehouse is not None:
            self._warehouse.close()
            self._warehouse = None
        self._columns.clear()


def _columns_by_table(catalog: pl.DataFrame) -> dict[str, dict[str, bool]]:
    """Per table its columns in order, and whether each may be read."""
    tables: dict[str, dict[str, bool]] = {}
    for name, column, may_read in catalog.select("table", "column", "is_readable").iter_rows():
        tables.setdefault(name, {})[column] = may_read
    return tables
