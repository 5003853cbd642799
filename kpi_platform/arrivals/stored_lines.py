"""The lines of an hour's files as they stand in the tables.

Belongs here: reading them back, file by file. Does not: which files are read back, and why.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.lake import Lake, hours_in

LINES_AT_A_TIME = 100_000
BAD = "quarantined_events"


@dataclass
class StoredLines:
    """The lines of files of an hour as a raw table, and the quarantine of its stage, hold them.

    The tables are opened at once: rows are often asked for while Delta writes others, and then it
    cannot open a table.
    """

    lake: Lake
    hour: datetime
    table: str = "raw_telemetry"
    stage: str = "read"

    def __post_init__(self) -> None:
        """Open the tables."""
        self._rows = self.lake.scan_hours(self.table, [self.hour])
        self._bad = self.lake.scan_hours(BAD, [self.hour]).filter(pl.col("p_stage") == self.stage)

    def rows(self, paths: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Rows of the raw table, some at a time."""
        chosen = self._rows.filter(pl.col("file_name").is_in(paths))
        yield from chosen.collect_batches(chunk_size=LINES_AT_A_TIME, maintain_order=False)

    def quarantined(self, paths: Sequence[str]) -> pl.DataFrame:
        """Rows of `quarantined_events` that were found when the files were read."""
        return self._bad.filter(pl.col("file_name").is_in(paths)).collect()

    def counts(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Per source and file: all lines, and those of them that are quarantined."""
        lines_of: dict[tuple[str, str], tuple[int, int]] = {}
        for table, rows in ((self.table, self._rows), (BAD, self._bad)):
            counted = rows.group_by("source", "file_name").agg(pl.len()).collect()
            for source, path, lines in counted.iter_rows():
                all_lines, bad = lines_of.get((source, path), (0, 0))
                lines_of[source, path] = all_lines + lines, bad + lines * (table == BAD)
        return lines_of


def with_rows(lake: Lake, table: str, hours: Sequence[datetime]) -> set[datetime]:
    """Those of the hours of which a raw table has rows."""
    if not hours:
        return set()
    return set(hours_in(lake.scan_hours(table, hours).select(INGEST_HOUR).unique().collect()))
