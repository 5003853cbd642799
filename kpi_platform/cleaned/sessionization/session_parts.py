"""From events to session parts: what one ingest hour knows about each session.

Belongs here: the silence-free stretches of a session within an hour, and what they say. Does
not: sessions that go on in other hours, which is `sessions.py`, and reading or writing tables.
"""

import json
from collections.abc import Collection, Sequence
from datetime import timedelta

import polars as pl

from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.players import player_id
from kpi_platform.schemas.tables import SESSION

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
SESSION_OF_HOUR = [*SESSION, *INGEST_HOUR]
_PART = [*SESSION_OF_HOUR, "_part"]
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
    `SessionEnd` whose DurationSeconds is a number from 0 to 86,400. In any order.
    """
    in_sessions = events.filter(pl.col("session_id").str.strip_chars() != "").lazy()

    def summed(stretches: pl.LazyFrame) -> pl.DataFrame:
        return _sum_up(stretches, player_id_attributes, local_sources)

    parts = summed(in_sessions.with_columns(_part=pl.lit(0, pl.UInt32)))
    # Hardly any session id is heard for longer than the silence: only those pay for a sort.
    is_long = pl.col("last_at") - pl.col("first_at") > silence
    long = parts.filter(is_long)
    if not long.is_empty():
        split = summed(
            _stretches(in_sessions.join(long.lazy(), on=SESSION_OF_HOUR, how="semi"), silence)
        )
        parts = pl.concat([parts.filter(~is_long), split])
    return parts


def _stretches(events: pl.LazyFrame, silence: timedelta) -> pl.LazyFrame:
    """Number the silence-free stretches of each session id and hour in `_part`."""
    starts = (pl.col("event_at").diff() > silence).fill_null(value=False)
    return events.sort("event_at").with_columns(
        _part=starts.cum_sum().over(SESSION_OF_HOUR).cast(pl.UInt32)
    )


def _sum_up(
    stretches: pl.LazyFrame, player_id_attributes: Sequence[str], local_sources: Collection[str]
) -> pl.DataFrame:
    """Return one row per session id, hour and `_part`, in the columns of `session_parts`."""
    return (
        _counts(stretches)
        .join(players_of(stretches, _PART, player_id_attributes, local_sources), _PART, how="left")
        .join(traits_of(stretches, _PART), on=_PART, how="left")
        .join(session_ends_of(stretches, _PART), on=_PART, how="left")
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


def players_of(
    events: pl.LazyFrame,
    by: Sequence[str],
    player_id_attributes: Sequence[str],
    local_sources: Collection[str],
) -> pl.DataFrame:
    """Return `player_id` of each group of events (`by`) that has an identifying event."""
    return (
        _naming(events, player_id_attributes)
        .select(
            *by,
            "event_at",
            "transaction_id",
            player_id(player_id_attributes, local_sources).alias("player_id"),
        )
        .filter(pl.col("player_id").is_not_null())
        .sort("event_at", "transaction_id", "player_id")
        .group_by(by)
        .agg(pl.col("player_id").first())
        .collect()
    )


def traits_of(events: pl.LazyFrame, by: Sequence[str]) -> pl.DataFrame:
    """Return platform, device and country of each group of events (`by`) of which one gives any."""
    read = [attribute(name).alias(column) for column, name in TRAITS.items()]
    return (
        _naming(events, list(TRAITS.values()))
        .select(*by, "event_at", "transaction_id", "event_id", *read)
        .sort("event_at", "transaction_id", "event_id")
        .group_by(by)
        .agg(pl.col(*TRAITS).drop_nulls().first())
        .collect()
    )


def session_ends_of(events: pl.LazyFrame, by: Sequence[str]) -> pl.DataFrame:
    """Return `ended_normally` and `session_end_seconds` of each group of events (`by`) with a
    `SessionEnd`."""
    text = attribute("DurationSeconds").str.strip_chars()
    seconds = pl.when(text.str.contains(_NUMBER)).then(text).cast(pl.Float64, strict=False)
    in_range = pl.col("_seconds").is_between(0, LONGEST_SESSION_SECONDS)
    return (
        events.filter(pl.col("event_name") == "SessionEnd")
        .select(*by, "event_at", "transaction_id", "event_id", seconds.alias("_seconds"))
        .sort("event_at", "transaction_id", "event_id")
        .group_by(by)
        .agg(
            pl.lit(value=True).alias("ended_normally"),
            pl.col("_seconds").filter(in_range).last().alias("session_end_seconds"),
        )
        .collect()
    )
