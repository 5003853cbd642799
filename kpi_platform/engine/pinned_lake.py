"""A lake that stands still: every table as it was at one moment, whatever is written meanwhile.

Belongs here: reading at pinned versions. Does not: writing, which a pinned lake refuses.
"""

from collections.abc import Collection, Iterable, Mapping

import polars as pl
from deltalake import DeltaTable

from kpi_platform.engine.books.hour_fingerprints import TABLE as FINGERPRINTS
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.damage import LOG
from kpi_platform.storage.lake.lake import Lake, LakeError

_TRIES = 20


class PinnedLake(Lake):
    """Reads every table at the version it had when first pinned."""

    def __init__(
        self,
        uri: str,
        tables: Iterable[str],
        left_out: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """`left_out`: files of tables that are not read; a table whose log is among them is
        empty. Raises LakeError if the lake cannot be read."""
        super().__init__(uri)
        self._left_out = left_out or {}
        self._pinned: dict[str, DeltaTable | None] = {}
        for table in tables:
            has_log = LOG not in self._left_out.get(table, ())
            self._pinned[table] = super().open(table) if has_log else None

    def open(self, table: str) -> DeltaTable | None:
        """The pinned snapshot, or None if the table was not there."""
        return self._pinned[table]

    def scan(self, table: str) -> pl.LazyFrame:
        """As of a lake, without the files that are left out."""
        if table not in self._left_out:
            return super().scan(table)
        return self._scan_some(table, lambda _: pl.lit(value=True))

    def _readable(self, table: str, files: pl.DataFrame) -> pl.DataFrame:
        return files.filter(~pl.col("path").is_in(list(self._left_out.get(table, ()))))

    def _create(self, table: str) -> DeltaTable:
        raise LakeError(f"{table}: a pinned lake is only read")


def pin(lake: Lake, left_out: Mapping[str, Collection[str]] | None = None) -> PinnedLake:
    """Every table of the lake at one moment at which the fingerprints tell the truth about them.

    An hour's fingerprints are forgotten before it is worked on and recorded last, so tables and
    fingerprints agree if no fingerprint was written while they were opened. A lake too busy for
    that is pinned all the same: hours worked on meanwhile may then look different. Raises
    LakeError if the lake cannot be read.
    """
    for _ in range(_TRIES):
        tables = [FINGERPRINTS, *(t for t in TABLES if t != FINGERPRINTS)]
        pinned = PinnedLake(lake.uri, tables, left_out)
        if pinned.open(FINGERPRINTS) is None:
            break
        if lake.version(FINGERPRINTS) == pinned.version(FINGERPRINTS):
            break
    return pinned
