"""The captured rows of some hours that count: each the newest version of its row.

Belongs here: reading them, in bounded memory. Does not: what they mean, and adding versions.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kpi_platform.schemas.row_versions import ROW, VERSION, current_versions, may_hold
from kpi_platform.storage.lake.lake import Lake

TABLE = "raw_studio_events"


@dataclass(frozen=True)
class CurrentRows:
    """Of some ingest hours: `own`, all versions captured, and `current`, those that count; both
    as `VERSION`. Whoever decides by them holds the capture lock meanwhile."""

    lake: Lake
    hours: Sequence[datetime]
    own: pl.DataFrame
    current: pl.DataFrame

    def parts(self, rows_at_a_time: int) -> Iterator[pl.DataFrame]:
        """The rows that count, some at a time, with `file_name` and `line_number` as rows of files
        have them."""
        if self.own.is_empty():
            return
        place = pl.concat_str("table_name", pl.lit("#"), "row_key")
        for part in self.lake.read_hours_in_parts(TABLE, self.hours, rows_at_a_time):
            kept = part.join(self.current, on=VERSION, how="semi", nulls_equal=True)
            yield kept.with_columns(file_name=place, line_number=pl.lit(1, pl.Int64))


def current_rows(
    lake: Lake, hours: Sequence[datetime], sources: Collection[str] | None = None
) -> CurrentRows:
    """The captured rows of these hours, of all sources or of these."""
    is_wanted = pl.lit(value=True)
    if sources is not None:
        is_wanted = pl.col("source").is_in(sorted(sources))
    own = _versions(lake, hours, is_wanted).collect()
    if own.is_empty():
        return CurrentRows(lake, hours, own, own)
    keys = own.select(ROW).unique()
    there = lake.hours_that_may_hold(TABLE, "row_key", keys["row_key"])
    first, asked = min(hours), set(hours)
    after = [hour for hour in there if hour > first and hour not in asked]
    later = (
        _versions(lake, after, is_wanted & may_hold(keys))
        .join(keys.lazy(), on=ROW, how="semi")
        .collect()
    )
    return CurrentRows(lake, hours, own, current_versions(own, later))


def _versions(lake: Lake, hours: Sequence[datetime], where: pl.Expr) -> pl.LazyFrame:
    return lake.scan_hours(TABLE, hours).filter(where).select(VERSION)
