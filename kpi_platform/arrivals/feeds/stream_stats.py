"""A stream platform's statements -> one row per game and hour, over all platforms.

Belongs here: which of several statements counts. Does not: reading figures, reading tables.
"""

import polars as pl

from kpi_platform.schemas.stream_figures import FIGURES
from kpi_platform.schemas.tables import TABLES

_STATS = TABLES["stream_stats"].polars_schema
_KEY = ["studio", "game", "hour"]


def stream_stats(rows: pl.DataFrame) -> pl.DataFrame:
    """Fold rows of `raw_stream_feed`, all there are of some hours, to rows of `stream_stats`.

    Of several statements of one source about one game and hour the latest ingest hour's counts,
    within it the greatest figures: neither depends on which arrived first.
    """
    order = ["source", *_KEY, "p_ingest_date_utc", "p_ingest_hour_utc", *FIGURES]
    valid = rows.sort(order, nulls_last=False).unique(
        ["source", *_KEY], keep="last", maintain_order=True
    )
    sums = [
        pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name) for name in FIGURES
    ]
    folded = valid.group_by(_KEY, maintain_order=True).agg(sums)
    return folded.with_columns(p_date_utc=pl.col("hour").dt.date()).select(
        pl.col(name).cast(dtype) for name, dtype in _STATS.items()
    )
