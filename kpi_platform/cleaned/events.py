"""Readable lines of an hour -> its distinct events, and the lines whose body is of no use.

Belongs here: identity, deduplication and order of events. Does not: the decoding of bodies, and
reading or writing tables.
"""

from dataclasses import dataclass

import polars as pl
import polars_hash as plh

from kpi_platform.cleaned.bodies import decode_bodies
from kpi_platform.schemas.tables import CleanedEvents, QuarantinedEvents

EVENT_ORDER = ("source", "service_name", "session_id", "event_at", "transaction_id", "event_id")
UNASSIGNED = "unassigned"
KEPT_BYTES = 64 * 1024
_BLANKS = " \t\r\n\x0b\x0c"
_HEX = pl.Series([f"{word:04x}" for word in range(1 << 16)])


@dataclass(frozen=True)
class CleanedHour:
    """What became of the readable lines of an hour: every one is in exactly one of the three.

    `events`: columns of `cleaned_events`, sorted by `EVENT_ORDER`. `quarantined`: columns of
    `quarantined_events`, stage `decode`. `duplicates`: `source`, `duplicates` (copies beyond the
    first), one row per source that has lines.
    """

    events: pl.DataFrame
    quarantined: pl.DataFrame
    duplicates: pl.DataFrame


def clean_events(raw: pl.DataFrame, sources: pl.DataFrame) -> CleanedHour:
    """Decode, identify and deduplicate the lines of one ingest hour.

    `raw` has the columns of `raw_telemetry`; `sources` has `source`, `studio`, `game`, one row
    per source. A source that is not listed is its own game, its studio `unassigned`. The result
    does not depend on the order of lines or files.
    """
    decoded = raw.with_columns(decode_bodies(raw["body_message"]))
    good = decoded.filter(pl.col("reason").is_null())
    bad = decoded.filter(pl.col("reason").is_not_null())
    identified = good.with_columns(event_id=event_id())
    distinct = identified.unique("event_id", keep="any")
    return CleanedHour(
        events=_events(distinct, sources),
        quarantined=_quarantined(bad),
        duplicates=_duplicates(raw["source"], identified["source"], distinct["source"]),
    )


def event_id() -> pl.Expr:
    """Return the expression of an event's id: 32 hexadecimal digits, a hash of what makes two
    lines the same event (columns of `raw_telemetry`, `event_name` as decoded).

    Every text but the last is written with its length, so that no two identities share a text.
    """
    parts: list[pl.Expr] = []
    for column in ("source", "service_name", "title_session_id", "event_name"):
        parts += [pl.col(column).str.len_bytes().cast(pl.String), pl.lit(":"), pl.col(column)]
    for number in ("title_transaction_id", "event_timestamp_utc"):
        parts += [pl.lit(";"), pl.col(number).to_physical().cast(pl.String)]
    text = pl.concat_str(*parts, pl.lit(";"), pl.col("body_message").str.strip_chars(_BLANKS))
    return _hexadecimal(plh.NonCryptographicHashingNameSpace(text).xxh3_128())


def _hexadecimal(number: pl.Expr) -> pl.Expr:
    """Write a UInt128 as 32 digits: eight words looked up, as Polars formats no hexadecimal."""
    words = [
        pl.lit(_HEX).gather(((number // pl.lit(1 << shift, pl.UInt128)) % (1 << 16)).cast(pl.UInt32))
        for shift in range(112, -1, -16)
    ]
    return pl.concat_str(words)


def _duplicates(lines: pl.Series, good: pl.Series, distinct: pl.Series) -> pl.DataFrame:
    def count(sources: pl.Series, name: str) -> pl.DataFrame:
        return sources.to_frame().group_by("source").agg(pl.len().cast(pl.Int64).alias(name))

    counts = (
        lines.unique()
        .sort()
        .to_frame()
        .join(count(good, "good"), on="source", how="left", maintain_order="left")
        .join(count(distinct, "distinct"), on="source", how="left", maintain_order="left")
    )
    return counts.select("source", duplicates=(pl.col("good") - pl.col("distinct")).fill_null(0))


def _events(distinct: pl.DataFrame, sources: pl.DataFrame) -> pl.DataFrame:
    named = distinct.rename(
        {
            "title_session_id": "session_id",
            "title_transaction_id": "transaction_id",
            "event_timestamp_utc": "event_at",
        }
    ).join(sources.select("source", "studio", "game"), on="source", how="left")
    complete = named.with_columns(
        pl.col("studio").fill_null(UNASSIGNED), pl.col("game").fill_null(pl.col("source"))
    )
    schema = CleanedEvents.to_polars_schema()
    return complete.select([pl.col(n).cast(t) for n, t in schema.items()]).sort(EVENT_ORDER)


def _quarantined(bad: pl.DataFrame) -> pl.DataFrame:
    """The line is written anew from its fields: tabs between them, the time in UTC."""
    at = pl.col("event_timestamp_utc")
    whole_ms = at.dt.microsecond() % 1000 == 0
    line = pl.concat_str(
        "category",
        pl.when(whole_ms)
        .then(at.dt.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000"))
        .otherwise(at.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+0000")),
        "service_name",
        "title_session_id",
        pl.col("title_transaction_id").cast(pl.String),
        "body_message",
        separator="\t",
    )
    kept = bad.with_columns(raw_line=line, p_stage=pl.lit("decode"))
    return kept.select(list(QuarantinedEvents.to_polars_schema())).sort("file_name", "line_number")
