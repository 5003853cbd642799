"""Rows of a stream platform -> a game's figures per hour, as they were stated.

Belongs here: reading figures, however written, and why a row is of no use. Does not: which of
several statements counts, reading or writing tables.
"""

from datetime import timedelta

import polars as pl

from kpi_platform.schemas.sources_file.mapped_values import (
    EARLIEST,
    decode_rows,
    field,
    holds,
    instant_of,
    origin_of,
    value_of,
)
from kpi_platform.schemas.sources_file.source_tables import StreamFeed
from kpi_platform.schemas.sources_file.source_values import Value
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.schemas.texts.numbers import Measure, NumberForm
from kpi_platform.schemas.texts.row_faults import NOT_MAPPED, judge_apart, kept_row

_RAW = TABLES["raw_stream_feed"].polars_schema
FIGURES = ("average_viewers", "peak_viewers", "channels", "hours_streamed")
_MEASURES: dict[str, Measure] = {
    "average_viewers": "viewers",
    "peak_viewers": "viewers",
    "channels": "channels",
    "hours_streamed": "hours",
}
_BAD = ("reason", "raw_line", "line_number", "file_name", "source", *INGEST_HOUR)


def stream_rows(
    rows: pl.DataFrame, feed: StreamFeed, studio: str, game: str, future_limit: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows (`row`, JSON of texts; `source`, `file_name`, `line_number`, ingest hour) as rows of
    `raw_stream_feed`, and those of no use with `reason`, `raw_line`, `line_number`, `file_name`,
    `source` and the ingest hour.
    """
    parts, failed = judge_apart(
        rows, lambda some: _stream_rows(some, feed, studio, game, future_limit)
    )
    bad = failed.select(
        pl.lit(NOT_MAPPED).alias("reason"), pl.col("row").alias("raw_line"), *_BAD[2:]
    )
    return (
        pl.concat([_RAW.to_frame(), *(good for good, _ in parts)]),
        pl.concat([bad, *(useless for _, useless in parts)]),
    )


def _stream_rows(
    rows: pl.DataFrame, feed: StreamFeed, studio: str, game: str, future_limit: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame]:
    values = {name: value for name in FIGURES if (value := getattr(feed, name)) is not None}
    wanted = set().union(*(value.columns() for value in values.values()), {feed.hour.column})
    fields = decode_rows(rows["row"], wanted)
    figures = {name: _figure(name, values.get(name), feed) for name in FIGURES}
    is_bad = [
        (figures[name] < 0).fill_null(value=False) | _is_no_number(value, figures[name])
        for name, value in values.items()
    ]
    found = fields.select(
        pl.int_range(pl.len()).alias("place"),
        instant_of(feed.hour, field(feed.hour.column)).dt.truncate("1h").alias("hour"),
        pl.any_horizontal(pl.lit(value=False), *is_bad).alias("is_bad"),
        **figures,
    )
    judged = rows.hstack(found.drop("place")).with_columns(reason=_reason(future_limit))
    good = judged.filter(pl.col("reason").is_null()).with_columns(
        studio=pl.lit(studio), game=pl.lit(game)
    )
    bad = judged.filter(pl.col("reason").is_not_null())
    bad = bad.with_columns(raw_line=kept_row(pl.col("row"))).select(_BAD)
    return good.select(pl.col(name).cast(dtype) for name, dtype in _RAW.items()), bad


def captured_stream_rows(
    rows: pl.DataFrame, feed: StreamFeed, studio: str, game: str, future_limit: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """As `stream_rows`, and the rows that the feed's `only` leaves to others."""
    is_of_source = pl.repeat(value=True, n=rows.height, eager=True)
    if feed.only is not None and rows.height:
        is_of_source = (
            decode_rows(rows["row"], {feed.only.column}).select(holds(feed.only)).to_series()
        )
    good, bad = stream_rows(rows.filter(is_of_source), feed, studio, game, future_limit)
    return good, bad, rows.filter(~is_of_source)


def _figure(name: str, value: Value | None, feed: StreamFeed) -> pl.Expr:
    if value is None:
        return pl.lit(None, pl.Float64)
    return value_of(value, NumberForm(_MEASURES[name], feed.decimal)).cast(pl.Float64)


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
        .when(pl.col("hour") < EARLIEST)
        .then(pl.lit("implausible_timestamp"))
        .when(pl.col("hour") >= hour + future_limit)
        .then(pl.lit("future_timestamp"))
    )
