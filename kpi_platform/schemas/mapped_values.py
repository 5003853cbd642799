"""Values, times and conditions of a mapping as expressions over rows whose columns are all text.

Belongs here: applying the grammar of `source_values`. Does not: the grammar, and what makes rows.
"""

import json
from collections.abc import Collection, Sequence

import polars as pl

from kpi_platform.schemas.numbers import each_text, number_text
from kpi_platform.schemas.source_values import EPOCH_PER_SECOND, Time, Value, When

UTC = pl.Datetime("us", "UTC")
_NAIVE = pl.Datetime("us")
_NO = ("", "0", "f", "false", "n", "no", "0.0")
_CLOCK = r"^[Tt ]([0-2][0-9]:[0-5][0-9](?::[0-5][0-9])?)"
_OFFSET = r"(Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)$"


def decode_rows(rows: pl.Series, wanted: Collection[str]) -> pl.DataFrame:
    """Decode JSON objects of texts into text columns; `wanted` columns that no row has are null."""
    if not len(rows):
        return pl.DataFrame(schema=dict.fromkeys(sorted(wanted), pl.String))
    decoded = rows.str.json_decode(infer_schema_length=None)
    frame = decoded.struct.unnest() if decoded.dtype.fields else pl.DataFrame()  # type: ignore[attr-defined]
    missing = [name for name in sorted(wanted) if name not in frame.columns]
    height = pl.repeat(None, len(rows), dtype=pl.String, eager=True)
    return frame.cast(pl.String).with_columns(*(height.alias(name) for name in missing))


def value_of(value: Value, *, is_number: bool = False, decimal: str = ".") -> pl.Expr:
    """The text of a mapped value; null if its column is null or, for a number, is none."""
    if value.column is None:
        return pl.lit(value.literal, pl.String)
    text = _at_path(pl.col(value.column), value.path)
    if value.names:
        text = text.replace(value.names)
    if not (is_number or value.scale != 1 or value.negative_when):
        return text
    positive = each_text(text, number_text(value.scale, decimal))
    if value.negative_when is None:
        return positive
    negative = each_text(text, number_text(-value.scale, decimal))
    return pl.when(holds(value.negative_when)).then(negative).otherwise(positive)


def origin_of(value: Value) -> pl.Expr:
    """The text that a value is made from, before it is understood as a number."""
    if value.column is None:
        return pl.lit(value.literal, pl.String)
    return _at_path(pl.col(value.column), value.path)


def holds(when: When) -> pl.Expr:
    """Whether a condition holds; never null."""
    column = pl.col(when.column)
    if when.equals:
        return column.is_in(list(when.equals)).fill_null(value=False)
    return (~column.str.strip_chars().str.to_lowercase().is_in(_NO)).fill_null(value=False)


def instant_of(time: Time) -> pl.Expr:
    """The UTC instant of a mapped time, or null if the text is none.

    A local time that the clock shows twice is the later of both, one that it skips is none.
    """
    text = _at_path(pl.col(time.column), time.path).str.strip_chars()
    if time.unit in EPOCH_PER_SECOND:
        return _epoch(text, EPOCH_PER_SECOND[time.unit])
    if time.format is None:
        return _iso(text, time.zone)
    if "%z" in time.format:
        return text.str.to_datetime(time.format, strict=False, time_unit="us", time_zone="UTC")
    if any(part in time.format for part in ("%H", "%I", "%s")):
        return _localised(
            text.str.to_datetime(time.format, strict=False, time_unit="us"), time.zone
        )
    return _localised(text.str.to_date(time.format, strict=False).cast(_NAIVE), time.zone)


def _at_path(text: pl.Expr, path: Sequence[str]) -> pl.Expr:
    if not path:
        return text
    steps = "".join(f"[{json.dumps(step, ensure_ascii=False)}]" for step in path)
    return text.str.json_path_match(f"${steps}")


def _epoch(text: pl.Expr, per_second: int) -> pl.Expr:
    """Whole numbers exactly; of others the microsecond nearest."""
    micros = 10**6
    whole = text.cast(pl.Int64, strict=False)
    exact = whole * (micros // per_second) if per_second <= micros else whole // 1000
    rounded = text.cast(pl.Float64, strict=False) * (micros / per_second)
    in_range = rounded.is_between(-6.2e16, 2.5e17)
    return (
        pl.when(whole.is_not_null() & in_range)
        .then(exact)
        .when(in_range)
        .then(rounded.round().cast(pl.Int64, strict=False))
        .cast(UTC)
    )


def _iso(text: pl.Expr, zone: str) -> pl.Expr:
    """ISO 8601: a date, with a time of day or without, with an offset of its own or without."""
    rest = text.str.slice(10)
    clock = rest.str.extract(_CLOCK)
    has_seconds = clock.str.len_bytes() == 8
    whole = (
        pl.when(rest == "")
        .then(pl.lit("00:00:00"))
        .when(has_seconds)
        .then(clock)
        .otherwise(pl.concat_str(clock, pl.lit(":00")))
    )
    seconds = pl.concat_str(text.str.head(10), pl.lit("T"), whole).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S", strict=False, time_unit="us"
    )
    digits = rest.str.extract(r"[.,]([0-9]+)").fill_null("").str.head(6).str.pad_end(6, "0")
    naive = seconds + pl.duration(microseconds=digits.cast(pl.Int64))
    offset = rest.str.extract(_OFFSET)
    parts = offset.str.extract_groups(r"([+-])([0-9]{2}):?([0-9]{2})?$").struct
    hours, minutes = (parts.field(name).cast(pl.Int64) for name in ("2", "3"))
    away = (hours * 3600 + minutes.fill_null(0) * 60).fill_null(0)
    utc = naive - pl.duration(seconds=pl.when(parts.field("1") == "-").then(-away).otherwise(away))
    return (
        pl.when(offset.is_not_null())
        .then(utc.dt.replace_time_zone("UTC"))
        .otherwise(_localised(naive, zone))
    )


def _localised(naive: pl.Expr, zone: str) -> pl.Expr:
    local = naive.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    return local.dt.convert_time_zone("UTC").cast(UTC)


# Attributes that are numbers, however a studio writes them.
NUMBERS = ("Amount", "DurationSeconds")
