"""From events to sessions: parts of one ingest hour, chained and folded across hours.

Belongs here: where a session starts and ends, whose it is, and what its columns say. Does not:
which sessions a changed hour touches, and reading or writing tables.

A session may be spread over many ingest hours, and an hour may hold copies of another's events.
Each hour therefore keeps its own compact parts; parts that lie strictly one after the other are
folded as they are, and only those that overlap in time are built again from their events.
"""

import json
from collections.abc import Collection, Sequence
from datetime import timedelta

import polars as pl

from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.players import player_id

SESSION = ["source", "service_name", "session_id"]
INGEST_HOUR = ["p_ingest_date_utc", "p_ingest_hour_utc"]
TRAITS = {"platform": "Platform", "device": "Device", "country": "Country"}
COUNTED = {
    "crash_count": "Crash",
    "issue_count": "Issue",
    "purchase_count": "Purchase",
    "feature_used_count": "FeatureUsed",
    "notification_count": "Notification",
}
COUNTS = ["event_count", *COUNTED]
LONGEST_SESSION_SECONDS = 86_400
_ID = [*SESSION, *INGEST_HOUR]
_PART = [*_ID, "_part"]
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def session_parts(
    events: pl.DataFrame,
    player_id_attributes: Sequence[str],
    silence: timedelta,
    local_sources: Collection[str] = (),
) -> pl.DataFrame:
    """Return one row per silence-free stretch of a session within one ingest hour.

    `events` are cleaned events of one ingest hour or several, distinct by event_id within each.
    A stretch ends where more than `silence` passes to the next event. Events with a blank
    session id are in no part. Player: the id on the first event that has one, in the order
    (timestamp, transaction id, player id). Platform, device, country: the first present on any
    event, in the order (timestamp, transaction id, event id). `session_end_seconds`: of the last
    `SessionEnd` whose DurationSeconds is a number from 0 to 86,400. Sorted by key.
    """
    in_sessions = events.filter(pl.col("session_id").str.strip_chars() != "").lazy()

    def summed(stretches: pl.LazyFrame) -> pl.DataFrame:
        return _sum_up(stretches, player_id_attributes, local_sources)

    parts = summed(in_sessions.with_columns(_part=pl.lit(0, pl.UInt32)))
    # Hardly any session id is heard for longer than the silence: only those pay for a sort.
    is_long = pl.col("last_at") - pl.col("first_at") > silence
    long = parts.filter(is_long)
    if not long.is_empty():
        split = summed(_stretches(in_sessions.join(long.lazy(), on=_ID, how="semi"), silence))
        parts = pl.concat([parts.filter(~is_long), split])
    return parts.sort(*_ID, "first_at")


def _stretches(events: pl.LazyFrame, silence: timedelta) -> pl.LazyFrame:
    """Number the silence-free stretches of each session id and hour in `_part`."""
    starts = (pl.col("event_at").diff() > silence).fill_null(value=False)
    return events.sort("event_at").with_columns(_part=starts.cum_sum().over(_ID).cast(pl.UInt32))


def _sum_up(
    stretches: pl.LazyFrame, player_id_attributes: Sequence[str], local_sources: Collection[str]
) -> pl.DataFrame:
    """Return one row per session id, hour and `_part`, in the columns of `session_parts`."""
    return (
        _counts(stretches)
        .join(_players(stretches, player_id_attributes, local_sources), on=_PART, how="left")
        .join(_traits(stretches), on=_PART, how="left")
        .join(_session_ends(stretches), on=_PART, how="left")
        .select(
            *SESSION,
            "first_at",
            "last_at",
            "player_id",
            *TRAITS,
            pl.col("ended_normally").fill_null(value=False),
            "session_end_seconds",
            *COUNTS,
            *INGEST_HOUR,
        )
    )


def _counts(stretches: pl.LazyFrame) -> pl.DataFrame:
    counted = [
        (pl.col("event_name") == name).sum().cast(pl.Int64).alias(column)
        for column, name in COUNTED.items()
    ]
    grouped = stretches.group_by(_PART).agg(
        pl.col("event_at").min().alias("first_at"),
        pl.col("event_at").max().alias("last_at"),
        pl.len().cast(pl.Int64).alias("event_count"),
        *counted,
    )
    # Sums need no order, and the streaming engine groups by text several times faster.
    return grouped.collect(engine="streaming")


def _naming(stretches: pl.LazyFrame, names: Sequence[str]) -> pl.LazyFrame:
    """Keep the events whose attributes hold one of the keys, at whatever depth."""
    # A byte search is far cheaper than reading an attribute, and most events have none of them.
    keys = [f"{json.dumps(name, ensure_ascii=False)}:" for name in names]
    return stretches.filter(pl.col("attributes").str.contains_any(keys))


def _players(
    stretches: pl.LazyFrame, player_id_attributes: Sequence[str], local_sources: Collection[str]
) -> pl.DataFrame:
    """Return the player of the parts that have an identifying event."""
    return (
        _naming(stretches, player_id_attributes)
        .select(
            *_PART,
            "event_at",
            "transaction_id",
            player_id(player_id_attributes, local_sources).alias("player_id"),
        )
        .filter(pl.col("player_id").is_not_null())
        .sort("event_at", "transaction_id", "player_id")
        .group_by(_PART)
        .agg(pl.col("player_id").first())
        .collect()
    )


def _traits(stretches: pl.LazyFrame) -> pl.DataFrame:
    """Return platform, device and country of the parts in which an event gives one."""
    read = [attribute(name).alias(column) for column, name in TRAITS.items()]
    return (
        _naming(stretches, list(TRAITS.values()))
        .select(*_PART, "event_at", "transaction_id", "event_id", *read)
        .sort("event_at", "transaction_id", "event_id")
        .group_by(_PART)
        .agg(pl.col(*TRAITS).drop_nulls().first())
        .collect()
    )


def _session_ends(stretches: pl.LazyFrame) -> pl.DataFrame:
    """Return how the parts that have a `SessionEnd` ended."""
    text = attribute("DurationSeconds").str.strip_chars()
    seconds = pl.when(text.str.contains(_NUMBER)).then(text).cast(pl.Float64, strict=False)
    in_range = pl.col("_seconds").is_between(0, LONGEST_SESSION_SECONDS)
    return (
        stretches.filter(pl.col("event_name") == "SessionEnd")
        .select(*_PART, "event_at", "transaction_id", "event_id", seconds.alias("_seconds"))
        .sort("event_at", "transaction_id", "event_id")
        .group_by(_PART)
        .agg(
            pl.lit(value=True).alias("ended_normally"),
            pl.col("_seconds").filter(in_range).last().alias("session_end_seconds"),
        )
        .collect()
    )


def chain_parts(parts: pl.DataFrame, silence: timedelta) -> pl.DataFrame:
    """Return the parts with `chain` (number of their session) and `overlaps`, sorted by time.

    Parts of one session id belong to one session while the next starts not later than `silence`
    after the latest `last_at` so far. A chain `overlaps` if a part starts at or before that
    instant: its parts may then share copies of events or interleave, and cannot be folded.
    """
    heard = pl.col("last_at").cum_max().shift(1).over("_id")
    return (
        parts.sort(*SESSION, "first_at", "last_at")
        .with_columns(_id=pl.struct(SESSION).rle_id())
        .with_columns(_heard=heard)
        .with_columns(
            chain=(pl.col("_heard").is_null() | (pl.col("first_at") - pl.col("_heard") > silence))
            .cum_sum()
            .cast(pl.Int64)
        )
        .with_columns(
            overlaps=(pl.col("first_at") <= pl.col("_heard"))
            .fill_null(value=False)
            .any()
            .over("chain")
        )
        .drop("_id", "_heard")
    )


def overlapping_keys(parts: pl.DataFrame, silence: timedelta) -> pl.DataFrame:
    """Return which events `rebuild_sessions` needs beside `parts`.

    One row per (source, service_name, session_id, p_ingest_date_utc, p_ingest_hour_utc) of an
    overlapping chain.
    """
    return (
        chain_parts(parts, silence)
        .filter("overlaps")
        .select(*SESSION, *INGEST_HOUR)
        .unique()
        .sort(*SESSION, *INGEST_HOUR)
    )


def fold_sessions(parts: pl.DataFrame, silence: timedelta) -> pl.DataFrame:
    """Return one row per session, in the columns of the table `sessions`, sorted by key.

    `parts` are all parts of their session ids; chains must not overlap, else ValueError: counts
    and firsts of overlapping parts cannot be told from the parts. What no event says is
    `unknown`. Duration: that of the last `SessionEnd` that gives one, else last minus first
    event, in seconds.
    """
    chained = chain_parts(parts, silence)
    if chained["overlaps"].any():
        raise ValueError("sessions whose parts overlap in time must be rebuilt from their events")
    started, ended = pl.col("first_at").first(), pl.col("last_at").last()
    return (
        chained.group_by("chain", maintain_order=True)
        .agg(
            pl.col(SESSION).first(),
            pl.col("player_id").drop_nulls().first(),
            pl.col(*TRAITS).drop_nulls().first().fill_null("unknown"),
            started.alias("started_at"),
            ended.alias("ended_at"),
            pl.col("ended_normally").any(),
            pl.coalesce(
                pl.col("session_end_seconds").drop_nulls().last(),
                (ended - started).dt.total_microseconds() / 1_000_000,
            ).alias("duration_seconds"),
            pl.col(COUNTS).sum(),
        )
        .drop("chain")
        .with_columns(p_started_date_utc=pl.col("started_at").dt.date())
    )


def rebuild_sessions(
    parts: pl.DataFrame,
    events: pl.DataFrame,
    player_id_attributes: Sequence[str],
    silence: timedelta,
    local_sources: Collection[str] = (),
) -> pl.DataFrame:
    """Return the sessions (table `sessions`) of the session ids in `parts`.

    `parts` are all parts of these ids, of all ingest hours; `events` the cleaned events of
    `overlapping_keys(parts)`, copies included (more events do no harm). The result is what one
    pass over all events would give, however they and their copies lie in ingest hours. Raises
    ValueError if the events of an overlapping session are not those its parts were made of.
    """
    chained = chain_parts(parts, silence)
    overlapping = chained.filter("overlaps")
    spans = overlapping.group_by(*SESSION, "chain").agg(
        pl.col("first_at").min(), pl.col("last_at").max()
    )
    merged = _merged_hours(_within(events.join(overlapping, on=_ID, how="semi"), spans))
    rebuilt = session_parts(merged, player_id_attributes, silence, local_sources)
    rest = chained.filter(~pl.col("overlaps")).select(parts.columns)
    span = [*SESSION, "first_at", "last_at"]
    if not rebuilt.select(span).sort(span).equals(spans.select(span).sort(span)):
        raise ValueError("the events of overlapping sessions do not match their parts")
    return fold_sessions(pl.concat([rest, rebuilt.select(parts.columns)]), silence)


def _within(events: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Return the events between the ends of the spans, which are silent on both sides."""
    begun = spans.select(
        *SESSION, pl.col("first_at").alias("_from"), pl.col("last_at").alias("_to")
    )
    return (
        events.sort("event_at")
        .join_asof(
            begun.sort("_from"),
            left_on="event_at",
            right_on="_from",
            by=SESSION,
            strategy="backward",
            check_sortedness=False,
        )
        .filter(pl.col("event_at") <= pl.col("_to"))
        .select(events.columns)
    )


def _merged_hours(events: pl.DataFrame) -> pl.DataFrame:
    """Return each event once, all in one bucket, so that stretches run across the hours."""
    return events.unique("event_id", keep="any").with_columns(
        pl.col(column).min() for column in INGEST_HOUR
    )
