"""A stream platform's statements -> one row per game and hour, over all platforms.

Belongs here: which of several statements counts, and what several rows of one make together. Does
not: reading figures, reading tables.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import get_args

import polars as pl

from kpi_platform.schemas.sources_file.source_tables import RowsAre, StreamFeed
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.schemas.sources_file.stream_figures import FIGURES
from kpi_platform.schemas.tables import TABLES

_STATS = TABLES["stream_stats"].polars_schema
_GAME_HOUR = ["studio", "game", "hour"]
_KEY = ["source", *_GAME_HOUR]


@dataclass(frozen=True)
class Statements:
    """What the rows of each source are, and the sources whose rows each have a key of their own:
    of these no later hour's rows take the place of an earlier one's."""

    rows_are: Mapping[str, RowsAre] = field(default_factory=dict)
    keyed: Collection[str] = ()

    @classmethod
    def of(cls, sources: Sources) -> "Statements":
        """As the stream feeds of the sources file say."""
        feeds = {s.key: s.feed for *_, s in sources.walk() if isinstance(s.feed, StreamFeed)}
        return cls(
            {key: feed.rows_are for key, feed in feeds.items()},
            [k for k, feed in feeds.items() if feed.table and feed.rows_are != "wholes"],
        )


def stream_stats(rows: pl.DataFrame, statements: Statements | None = None) -> pl.DataFrame:
    """Fold rows of `raw_stream_feed`, all there are of some hours, to rows of `stream_stats`.

    The rows of one source and ingest hour about one game and hour are one statement. Of several
    statements the latest ingest hour's counts. Where its rows are wholes and contradict each other
    it counts for nothing (`contradictions` names it). No result depends on which arrived first.
    """
    per_source = _counting(rows, statements or Statements())
    sums = [
        pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name) for name in FIGURES
    ]
    folded = per_source.group_by(_GAME_HOUR, maintain_order=True).agg(sums)
    return folded.with_columns(p_date_utc=pl.col("hour").dt.date()).select(
        pl.col(name).cast(dtype) for name, dtype in _STATS.items()
    )


def contradictions(rows: pl.DataFrame, statements: Statements | None = None) -> pl.DataFrame:
    """The statements whose rows contradict each other: `source`, `studio`, `game`, `hour`, `rows`.

    `rows` as for `stream_stats`.
    """
    others = [key for key, use in (statements or Statements()).rows_are.items() if use != "wholes"]
    wholes = _latest(rows, ()).filter(~pl.col("source").is_in(others))
    different = wholes.unique([*_KEY, *FIGURES])
    return different.group_by(_KEY).agg(rows=pl.len()).filter(pl.col("rows") > 1).sort(_KEY)


def _counting(rows: pl.DataFrame, statements: Statements) -> pl.DataFrame:
    """One row per source, game and hour: what counts of it."""
    # In one order, so that sums of decimals do not depend on which file was read first.
    latest = _latest(rows, statements.keyed).sort(*_KEY, *FIGURES, nulls_last=False)
    rows_are = pl.col("source").replace_strict(
        dict(statements.rows_are), default="wholes", return_dtype=pl.String
    )
    by_use = {use: latest.filter(rows_are == use) for use in get_args(RowsAre)}
    single = by_use["wholes"].unique([*_KEY, *FIGURES], maintain_order=True)
    single = single.filter(pl.len().over(_KEY) == 1)
    added = [
        pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name) for name in FIGURES
    ]
    averaged = [
        pl.col(name).max() if name == "peak_viewers" else pl.col(name).mean() for name in FIGURES
    ]
    averaged[FIGURES.index("channels")] = pl.col("channels").mean().round()
    parts = by_use["parts"].group_by(_KEY, maintain_order=True).agg(added)
    samples = by_use["samples"].group_by(_KEY, maintain_order=True).agg(averaged)
    figures = [pl.col(name).cast(pl.Float64) for name in FIGURES]
    return pl.concat(part.select(*_KEY, *figures) for part in (single, parts, samples)).sort(_KEY)


def _latest(rows: pl.DataFrame, keyed: Collection[str]) -> pl.DataFrame:
    at = pl.col("p_ingest_date_utc").cast(pl.Int64) * 24 + pl.col("p_ingest_hour_utc")
    is_latest = at == at.max().over(_KEY)
    return rows.filter(is_latest | pl.col("source").is_in(list(keyed)))
