"""Rows that a studio's table holds twice: kept once, however many rows were read between them.

Belongs here: looking for copies in bounded memory. Does not: what a version is.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.schemas.row_versions import VERSION
from kpi_platform.storage.lake.lake import Lake

_HASHES_AT_A_TIME = 16_000_000
_ROWS_AT_A_TIME = 250_000


def drop_copies(lake: Lake, table: str, hours: Sequence[datetime]) -> None:
    """Rewrite the hours of these in which a version lies more than once, in one commit."""
    for hour in hours:
        hashes = lake.scan_hours(table, [hour]).select("content_hash")
        rows = int(hashes.select(pl.len()).collect().item())
        shares = _shares(hashes, rows // _HASHES_AT_A_TIME + 1)
        if any(share.n_unique() < share.height for share in shares):
            _rewrite(lake, table, hour, rows // _ROWS_AT_A_TIME + 1)


def _shares(rows: pl.LazyFrame, count: int) -> Iterator[pl.DataFrame]:
    """The rows in shares of about one size; equal contents are in the same share."""
    for number in range(count):
        yield rows.filter(pl.col("content_hash").mod(count) == number).collect()


def _rewrite(lake: Lake, table: str, hour: datetime, count: int) -> None:
    rows = lake.scan_hours(table, [hour])
    lake.stream_hours(
        table, lambda: (share.unique(VERSION) for share in _shares(rows, count)), [hour]
    )
