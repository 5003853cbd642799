"""Timestamps of telemetry lines -> UTC microseconds.

Belongs here: reading the text of a timestamp. Does not: judging whether the time is plausible.
"""

import polars as pl

UTC = pl.Datetime("us", "UTC")

_DATE_TIME = (
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
)
_MILLISECONDS_UTC = rf"^{_DATE_TIME}\.[0-9]{{3}}(?:\+0000|Z)$"
_OFFSET = r"(?:Z|z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
_ANY = rf"^{_DATE_TIME.replace('T(', '[Tt ](')}(?:\.[0-9]{{1,9}})?{_OFFSET}$"


def parse_milliseconds(texts: pl.Expr) -> pl.Expr:
    """Return the UTC time of texts in the one form nearly all clients send, else null:
    `2021-12-24T11:31:19.459+0000`, or with `Z`. Agrees with `parse_timestamps` wherever not null.
    """
    time = texts.str.head(23).str.strptime(
        pl.Datetime("us"), "%Y-%m-%dT%H:%M:%S.%3f", strict=False, exact=True, cache=False
    )
    # The parser is lenient (signs, blanks); only the pattern makes it exact.
    return pl.when(texts.str.contains(_MILLISECONDS_UTC)).then(time.dt.replace_time_zone("UTC"))


def parse_timestamps(texts: pl.Expr) -> pl.Expr:
    """Return the UTC time of ISO 8601 texts with an offset (`Z`, `+hh`, `+hhmm`, `+hh:mm`), else
    null: no offset, or a date or time of day that does not exist.

    Between date and time stands `T` or one blank; the fraction has up to 9 digits, those after
    the sixth are cut off. Blanks around the text are ignored.
    """
    text = texts.str.strip_chars(" ")
    seconds = pl.concat_str(text.str.head(10), pl.lit("T"), text.str.slice(11, 8)).str.strptime(
        pl.Datetime("us"), "%Y-%m-%dT%H:%M:%S", strict=False, exact=True, cache=False
    )
    digits = text.str.extract(r"\.([0-9]+)").fill_null("")
    microseconds = digits.str.head(6).str.pad_end(6, "0").cast(pl.Int64)
    utc = seconds + pl.duration(microseconds=microseconds, seconds=-_offset_seconds(text))
    return pl.when(text.str.contains(_ANY)).then(utc.dt.replace_time_zone("UTC"))


def _offset_seconds(text: pl.Expr) -> pl.Expr:
    parts = text.str.slice(19).str.extract_groups(r"([+-])([0-9]{2}):?([0-9]{2})?$").struct
    hours = parts.field("2").cast(pl.Int64)
    minutes = parts.field("3").cast(pl.Int64).fill_null(0)
    sign = pl.when(parts.field("1") == "-").then(-1).otherwise(1)
    return (sign * (hours * 3600 + minutes * 60)).fill_null(0)
