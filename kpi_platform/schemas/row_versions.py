"""Which version of a captured row counts: of one source, table and key, the greatest of all hours.

Belongs here: comparing versions. Does not: reading them, and what a version's row means.

The order is (ingest hour, watermark, content hash). The ingest hour follows from the watermark,
so this is the order of watermarks; rows without one, which are the first hour's, come first.
"""

import polars as pl

from kpi_platform.schemas.tables import INGEST_HOUR

ROW = ("source", "table_name", "row_key")
VERSION = (*ROW, *INGEST_HOUR, "watermark_at", "content_hash")
_ORDER = (*INGEST_HOUR, "watermark_at", "content_hash")


def current_versions(own: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
    """The versions (`VERSION`) among `own` that no other version of their row exceeds.

    `own`: all versions of some hours; `later`: versions of the same rows in any later hours.
    """
    every = pl.concat(
        [
            own.select(*VERSION, is_own=pl.lit(value=True)),
            later.select(*VERSION, is_own=pl.lit(value=False)),
        ]
    )
    greatest = every.sort(_ORDER, nulls_last=False).unique(ROW, keep="last", maintain_order=True)
    return greatest.filter("is_own").select(VERSION)


def may_hold(keys: pl.DataFrame) -> pl.Expr:
    """True at least for the versions of these rows (`ROW`): their sources, tables and the range of
    their keys, by which a reader leaves out row groups without looking into them."""
    first, last = keys["row_key"].min(), keys["row_key"].max()
    return (
        pl.col("source").is_in(keys["source"].unique().to_list())
        & pl.col("table_name").is_in(keys["table_name"].unique().to_list())
        & pl.col("row_key").is_between(pl.lit(first, pl.String), pl.lit(last, pl.String))
    )


def superseded(own: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """Per ingest hour, `source` and `table_name`: `count` of versions in `own` not `current`."""
    return (
        own.join(current, on=VERSION, how="anti", nulls_equal=True)
        .group_by(*INGEST_HOUR, "source", "table_name")
        .agg(count=pl.len())
    )


def touched_hours(new: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The ingest hours in which a version stops being the current one because of `new` versions.

    `known`: stored versions of the same rows. A new version displaces the greatest one before it,
    unless a later one had displaced that already. Hours of `new` themselves may be among them.
    """
    every = pl.concat(
        [
            new.select(*VERSION, is_new=pl.lit(value=True)),
            known.select(*VERSION, is_new=pl.lit(value=False)),
        ]
    ).sort(_ORDER, nulls_last=False)
    before = every.with_columns(
        was_current=~pl.col("is_new")
        & (pl.col("is_new").cum_sum(reverse=True).over(ROW) > 0)
        & ((~pl.col("is_new")).cum_sum(reverse=True).over(ROW) == 1)
    )
    return before.filter("was_current").select(INGEST_HOUR).unique()
