"""Fields as text -> typed fields, or the one reason why the line cannot be used.

Belongs here: the reasons found when a line is read, in their order. Does not: splitting lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from kpi_platform.arrivals.telemetry.lines import MAX_LINE_BYTES
from kpi_platform.arrivals.telemetry.parsing.timestamps import (
    UTC,
    parse_milliseconds,
    parse_timestamps,
)
from kpi_platform.schemas.texts.file_names import Format

READ_REASONS = (
    "line_too_long",
    "not_utf8",
    "wrong_field_count",
    "bad_timestamp",
    "bad_transaction_id",
    "future_timestamp",
    "too_late",
)


@dataclass(frozen=True)
class Origin:
    """Where lines come from: their source, file, ingest hour (UTC), and the limits of event
    times: from `late_limit` before the hour to before `future_limit` after its end. `format`: what
    lines are written in, where the file's name does not say."""

    source: str
    file_name: str
    ingest_hour: datetime
    late_limit: timedelta = timedelta(days=30)
    future_limit: timedelta = timedelta(hours=24)
    format: Format = "auto"

    @property
    def earliest(self) -> datetime:
        """The first event time that is not too late."""
        return self.ingest_hour - self.late_limit

    @property
    def end(self) -> datetime:
        """The first event time that is in the future."""
        return self.ingest_hour + timedelta(hours=1) + self.future_limit


class Origins:
    """The origins of lines of several files; the column `file` of a frame is a place in them."""

    def __init__(self, origins: Sequence[Origin]) -> None:
        self._origins = origins
        self.earliest = self._each([origin.earliest for origin in origins], UTC)
        self.end = self._each([origin.end for origin in origins], UTC)

    def columns(self) -> list[pl.Expr]:
        """The columns that are the same for all lines of a file."""
        sources = self._each([origin.source for origin in self._origins], pl.String())
        names = self._each([origin.file_name for origin in self._origins], pl.String())
        days = self._each([origin.ingest_hour.date() for origin in self._origins], pl.Date())
        hours = self._each([origin.ingest_hour.hour for origin in self._origins], pl.Int32())
        return [
            sources.alias("source"),
            names.alias("file_name"),
            days.alias("p_ingest_date_utc"),
            hours.alias("p_ingest_hour_utc"),
        ]

    @staticmethod
    def _each(values: Sequence[object], dtype: pl.DataType) -> pl.Expr:
        if values.count(values[0]) == len(values):
            return pl.lit(values[0], dtype)
        return pl.lit(pl.Series(values, dtype=dtype)).gather(pl.col("file"))


def judge_usual(fields: pl.DataFrame, origins: Origins) -> pl.DataFrame:
    """Like `judge`, for lines of the usual form; the reason of all others is `unusual`, and they
    have to be judged again."""
    typed = fields.with_columns(
        at=parse_milliseconds(pl.col("Timestamp")),
        transaction_id=pl.col("TransactionId").cast(pl.Int64, strict=False),
    )
    at = pl.col("at")
    usual = (
        pl.col("transaction_id").is_not_null()
        & pl.col("BodyMessage").is_not_null()
        & (at >= origins.earliest)
        & (at < origins.end)
        & (pl.col("line").str.len_bytes() <= MAX_LINE_BYTES)
    )
    return typed.with_columns(reason=pl.when(~usual.fill_null(value=False)).then(pl.lit("unusual")))


def judge(fields: pl.DataFrame, origins: Origins) -> pl.DataFrame:
    """Add `at` (UTC), `transaction_id` and `reason`: the first of `READ_REASONS` that applies, or
    null. Takes `line`, `raw`, `file` and the six fields, which are null if their number is wrong.
    """
    typed = fields.with_columns(
        at=parse_timestamps(pl.col("Timestamp")),
        transaction_id=pl.col("TransactionId").str.strip_chars(" ").cast(pl.Int64, strict=False),
    )
    size = pl.coalesce(pl.col("raw").bin.size(), pl.col("line").str.len_bytes())
    applies = (
        size > MAX_LINE_BYTES,
        pl.col("raw").is_not_null(),
        pl.col("BodyMessage").is_null(),
        pl.col("at").is_null(),
        pl.col("transaction_id").is_null(),
        pl.col("at") >= origins.end,
        pl.col("at") < origins.earliest,
    )
    reasons = [
        pl.when(is_so).then(pl.lit(reason))
        for is_so, reason in zip(applies, READ_REASONS, strict=True)
    ]
    return typed.with_columns(reason=pl.coalesce(reasons))
