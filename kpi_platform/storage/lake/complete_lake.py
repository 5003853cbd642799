"""The lake as it was last complete: every published table at its last complete publication.

Belongs here: which version and which rows of a table that is. Does not: what complete means, which
the books of publications and the tables' own `is_complete` say.
"""

from functools import cached_property

import polars as pl
from deltalake import DeltaTable

from kpi_platform.storage.lake.lake import Lake


class CompleteLake(Lake):
    """A lake without provisional figures; tables that have none are as they are now."""

    @cached_property
    def _pins(self) -> pl.DataFrame:
        """A row for each table: its last publication that was complete through some period."""
        books = self.published("publications")
        if books is None:
            return pl.DataFrame(schema={"table": pl.String})
        known = books.filter(pl.col("complete_through").is_not_null()).sort("published_at")
        return known.collect().unique("table", keep="last", maintain_order=True)

    def _pin(self, table: str) -> pl.DataFrame:
        return self._pins.filter("published/" + pl.col("table") == table)

    def open(self, table: str) -> DeltaTable | None:
        """The table's snapshot at its last complete publication, else its current one."""
        snapshot, pin = super().open(table), self._pin(table)
        if snapshot is not None and pin.height:
            snapshot.load_as_version(pin["delta_version"].item())
        return snapshot

    def condition(self, table: str) -> str:
        """SQL that holds for the rows of the table that are complete; blank if all may be read."""
        snapshot = super().open(table)
        columns = [field.name for field in snapshot.schema().fields] if snapshot else []
        if not table.startswith("published/") or "is_complete" not in columns:
            return ""
        return "is_complete" if self._pin(table).height else "false"
