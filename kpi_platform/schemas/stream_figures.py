"""Rows of a stream platform -> a game's figures per hour, as they were stated.

Belongs here: reading figures, however written, and why a row is of no use. Does not: which of
several statements counts, reading or writing tables.
"""

from datetime import timedelta

import polars as pl

from kpi_platform.schemas.mapped_values import decode_rows, holds, instant_of, origin_of, value_of
from kpi_platform.schemas.source_tables import StreamFeed
from kpi_platform.schemas.source_values import Value
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES

_RAW = TABLES["raw_stream_feed"].polars_schema
FIGURES = ("average_viewers", "peak_viewers", "channels", "hours_streamed")


def stream_rows(
    rows: pl.DataFrame, feed: StreamFeed, studio: str, game: str, future_limit: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows (`row`, JSON of texts; `source`, `file_name`, `line_number`, ingest hour) as rows of
    `raw_stream_feed`, and those of no use with `reason`, `raw_line`, `line_number`, `file_name`,
    `source` and the ingest hour.
    """
    values = {name: getattr(feed, name) for name in FIGURES}
    named = [value for value in values.values() if value is not None]
    wanted = set().union(*(value.columns() for value in named), {feed.hour.column})
    fields = decode_rows(rows["row"], wanted)
    figures = {name: _figure(value, feed.decimal) for name, value in values.items()}
    found = fields.with_row_index("place").select(
        "place",
        hour=instant_of(feed.hour).dt.truncate("1h"),
        **figures,
        is_bad=pl.any_horizontal(
            pl.col("place").is_null(),
            *(
                (figures[name] < 0).fill_null(value=False) | _is_no_number(value, figures[name])
                for name, value in values.items()
                if value is not None
            ),
        ),
    )
    judged = rows.hstack(found.drop("place")).with_columns(reason=_reason(future_limit))
    good = judged.filter(pl.col("reason").is_null()).with_columns(
        studio=pl.lit(studio), game=pl.lit(game)
    )
    bad = judged.filter(pl.col("reason").is_not_null()).select(
        "reason",
        pl.col("row").alias("raw_line"),
        "line_number",
        "file_name",
        "source",
        *INGEST_HOUR,
    )
    return good.select(pl.col(name).cast(dtype) for name, dtype in _RAW.items()), bad


def captured_stream_rows(
    rows: pl.DataFrame, feed: StreamFeed, studio: str, game: str, future_limit: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """As `stream_rows`, and the rows that the feed's `only` leaves to others."""
    mine = pl.repeat(value=True, n=rows.height, eager=True)
    if feed.only is not None and rows.height:
        mine = decode_rows(rows["row"], {feed.only.column}).select(holds(feed.only)).to_series()
    good, bad = stream_rows(rows.filter(mine), feed, studio, game, future_limit)
    return good, bad, rows.filter(~mine)


def _figure(value: Value | None, decimal: str) -> pl.Expr:
    if value is None:
        return pl.lit(None, pl.Float64)
    return value_of(value, is_number=True, decimal=decimal).cast(pl.Float64)


def _is_no_number(value: Value, figure: pl.Expr) -> pl.Expr:
    given = origin_of(value).str.strip_chars()
    return (given.fill_null("") != "") & figure.is_null()


def _reason(future_limit: timedelta) -> pl.Expr:
    hour = pl.col("p_ingest_date_utc").cast(pl.Datetime("us", "UTC")) + pl.duration(
        hours=pl.col("p_ingest_hour_utc") + 1
    )
    return (
        pl.when(pl.col("hour").is_null())
        .then(pl.lit("bad_timestamp"))
        .when(pl.col("is_bad") | pl.col("average_viewers").is_null())
        .then(pl.lit("bad_number"))
        .when(pl.col("hour") >= hour + future_limit)
        .then(pl.lit("future_timestamp"))
    )
