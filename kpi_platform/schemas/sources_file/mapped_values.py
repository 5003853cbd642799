"""Values, times and conditions of a mapping as expressions over rows whose columns are all text.

Belongs here: applying the grammar of `source_values`. Does not: the grammar, and what makes rows.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC as UTC_ZONE
from datetime import datetime
from typing import Literal

import polars as pl

from kpi_platform.schemas.sources_file.source_values import EPOCH_PER_SECOND, Time, Value, When
from kpi_platform.schemas.texts.json_text import text_at
from kpi_platform.schemas.texts.numbers import NumberForm, each_text, number_text, stated_currencies

UTC = pl.Datetime("us", "UTC")
_NAIVE = pl.Datetime("us")
# No console, stream platform or warehouse is older: earlier times are zeros and defaults.
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC_ZONE)
_NO = ("", "0", "f", "false", "n", "no", "0.0")
_OFFSET = r"^([+-])(0[0-9]|1[0-5]):?([0-5][0-9])?$"
# What means one offset wherever it is written; CST, IST and BST each mean several.
_ZONES = {
    **dict.fromkeys(("Z", "UTC", "GMT"), "+00:00"),
    **{"EST": "-05:00", "EDT": "-04:00", "MST": "-07:00", "MDT": "-06:00"},
    **{"PST": "-08:00", "PDT": "-07:00", "CET": "+01:00", "CEST": "+02:00"},
    **{"EET": "+02:00", "EEST": "+03:00", "JST": "+09:00", "KST": "+09:00"},
}
_MOMENT = (
    r"^(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:(?:[Tt]| +)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r"(?: *(?P<half>[AaPp])\.?[Mm]\.?)?"
    r"(?: *(?:(?P<offset>[+-][0-9]{2}(?::?[0-9]{2})?)|(?P<zone>[A-Za-z]{1,5})))?)?$"
)


def decode_rows(rows: pl.Series, wanted: Collection[str]) -> pl.DataFrame:
    """Decode JSON objects of texts into text columns; `wanted` columns that no row has are null.

    The columns are called `field_name` of what the source calls them.
    """
    decoded = rows.str.json_decode(infer_schema_length=None) if len(rows) else rows
    names = (
        [own.name for own in decoded.dtype.fields] if isinstance(decoded.dtype, pl.Struct) else []
    )
    frame = decoded.struct.unnest() if names else pl.DataFrame()
    frame.columns = [field_name(name) for name in names]
    missing = sorted(set(wanted).difference(names))
    nulls = pl.repeat(None, len(rows), dtype=pl.String, eager=True)
    return pl.DataFrame(
        [
            *(column.cast(pl.String) for column in frame.get_columns()),
            *(nulls.alias(field_name(name)) for name in missing),
        ]
    )


def field_name(name: str) -> str:
    """What we call a source's column: neither one of ours, nor `*` or `^…$`, which Polars takes
    for patterns."""
    return f"={name}"


def field(name: str) -> pl.Expr:
    """The column of `decode_rows` that the source calls `name`."""
    return pl.col(field_name(name))


def value_of(value: Value, form: NumberForm | None = None) -> pl.Expr:
    """The text of a mapped value; null if its column is null or, with a `form`, is no number.

    The mapping's own scale and sign are applied to `form`.
    """
    if value.column is None:
        return pl.lit(value.literal, pl.String)
    text = origin_of(value)
    if value.names:
        text = text.replace(value.names)
    if form is None and value.scale == 1 and value.negative_when is None:
        return text
    scaled = replace(form or NumberForm(), scale=value.scale)
    as_stated = each_text(text, number_text(scaled))
    if value.negative_when is None:
        return as_stated
    refund = each_text(text, number_text(replace(scaled, is_refund=True)))
    return pl.when(holds(value.negative_when)).then(refund).otherwise(as_stated)


def origin_of(value: Value) -> pl.Expr:
    """The text that a value is made from, before it is understood as a number."""
    if value.column is None:
        return pl.lit(value.literal, pl.String)
    return _at_path(field(value.column), value.path)


def states_another_currency(amount: Value, currency: pl.Expr) -> pl.Expr:
    """Whether the text of an amount states a currency that is not that of its row; never null.

    Then the number alone would mean something else (`4.99 EUR` beside USD).
    """
    text = origin_of(amount)
    stated = each_text(text, lambda written: ",".join(sorted(stated_currencies(written))))
    own = currency.str.strip_chars().str.to_uppercase().fill_null("")
    return (stated.fill_null("") != "") & ~stated.str.split(",").list.contains(own).fill_null(
        value=False
    )


def holds(when: When) -> pl.Expr:
    """Whether a condition holds; never null."""
    column = field(when.column)
    if when.equals:
        return column.is_in(list(when.equals)).fill_null(value=False)
    return (~column.str.strip_chars().str.to_lowercase().is_in(_NO)).fill_null(value=False)


def instant_of(time: Time, column: pl.Expr | None = None) -> pl.Expr:
    """The UTC instant of a mapped time, or null if the text is none.

    `column`: its text; unless given, the column that is called as the source calls it.
    A local time that the clock shows twice is the later of both, one that it skips is none.
    """
    own = pl.col(time.column) if column is None else column
    text = _at_path(own, time.path).str.strip_chars()
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
    return each_text(text, lambda whole: text_at(whole, path)) if path else text


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
    """ISO 8601: a date, with a time of day or without, with an offset of its own or without.

    Nothing else may stand behind it but `AM` or `PM` and a zone's unmistakable abbreviation.
    """

    def read(texts: pl.Series) -> pl.Series:
        # Taken apart once: each use of a struct's field would take it apart again.
        parts = texts.alias("text").str.extract_groups(_MOMENT).struct.unnest()
        return parts.select(_of_parts(zone)).to_series().alias(texts.name)

    return text.map_batches(read, return_dtype=UTC, is_elementwise=True)


def _of_parts(zone: str) -> pl.Expr:
    """The instant of the columns that `_MOMENT` names."""
    seconds = pl.concat_str(
        "day",
        pl.lit("T"),
        _hour_of_day(pl.col("hour"), pl.col("half")),
        pl.lit(":"),
        pl.col("minute").fill_null("00"),
        pl.lit(":"),
        pl.col("second").fill_null("00"),
    ).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, time_unit="us")
    digits = pl.col("fraction").fill_null("").str.head(6).str.pad_end(6, "0")
    naive = seconds + pl.duration(microseconds=digits.cast(pl.Int64))
    named = pl.col("zone").str.to_uppercase()
    offset = pl.coalesce(
        named.replace_strict(_ZONES, default=None, return_dtype=pl.String), pl.col("offset")
    )
    sign = offset.str.extract(_OFFSET, 1)
    hours, minutes = (offset.str.extract(_OFFSET, place).cast(pl.Int64) for place in (2, 3))
    away = (hours * 3600 + minutes.fill_null(0) * 60).fill_null(0)
    utc = naive - pl.duration(seconds=pl.when(sign == "-").then(-away).otherwise(away))
    return (
        pl.when(offset.is_not_null() & hours.is_not_null())
        .then(utc.dt.replace_time_zone("UTC"))
        .when(offset.is_null() & named.is_null())
        .then(_localised(naive, zone))
    )


def _hour_of_day(hour: pl.Expr, half: pl.Expr) -> pl.Expr:
    """Two digits; null where the hour is none of the clock that its `AM` or `PM` makes it."""
    number = hour.cast(pl.Int64, strict=False)
    afternoon = half.str.to_lowercase() == "p"
    twelve = pl.when(number.is_between(1, 12)).then(
        number % 12 + pl.when(afternoon).then(12).otherwise(0)
    )
    of_day = pl.when(half.is_null()).then(number.fill_null(0)).otherwise(twelve)
    return of_day.cast(pl.String).str.zfill(2)


def _localised(naive: pl.Expr, zone: str) -> pl.Expr:
    local = naive.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    return local.dt.convert_time_zone("UTC").cast(UTC)


# Attributes that are numbers, however a studio writes them, and what they measure.
NUMBERS: dict[str, Literal["amount", "seconds"]] = {
    "Amount": "amount",
    "DurationSeconds": "seconds",
}
