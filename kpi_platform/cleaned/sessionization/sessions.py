"""From parts of ingest hours to sessions: chained over the hours, then folded or built again.

Belongs here: where a session starts and ends, and what its columns say. Does not: how parts are
made of events, which sessions a changed hour touches, and reading or writing tables.

A session may be spread over many ingest hours, and an hour may hold copies of another's events.
Each hour therefore keeps its own compact parts, which are folded as they are; only what parts that
overlap in time do not tell is taken from their events (`interleaved_parts.py`).
"""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

import polars as pl

from kpi_platform.cleaned.sessionization.interleaved_parts import (
    hours_of_chains,
    in_chains,
    settled,
    unclear_chains,
)
from kpi_platform.cleaned.sessionization.session_parts import (
    COUNTS,
    INGEST_HOUR,
    SESSION_OF_HOUR,
    TRAITS,
    session_parts,
)
from kpi_platform.schemas.tables import SESSION

__all__ = [
    "StalePartsError",
    "chain_parts",
    "fold_sessions",
    "rebuild_sessions",
    "session_parts",
]


class StalePartsError(ValueError):
    """Events are not those that the parts of their sessions were made of.

    `keys`: the sessions in hours (`SESSION_OF_HOUR`) among which such parts are.
    """

    def __init__(self, keys: pl.DataFrame) -> None:
        """Say that some of these are stale."""
        super().__init__("the events of overlapping sessions do not match their parts")
        self.keys = keys


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
    return _folded(chained).drop("chain")


def _folded(chained: pl.DataFrame) -> pl.DataFrame:
    started, ended = pl.col("first_at").first(), pl.col("last_at").max()
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
        .with_columns(p_started_date_utc=pl.col("started_at").dt.date())
    )


def rebuild_sessions(
    parts: pl.DataFrame,
    events_of: Callable[[pl.DataFrame], pl.DataFrame],
    player_id_attributes: Sequence[str],
    silence: timedelta,
    local_sources: Collection[str] = (),
) -> pl.DataFrame:
    """Return the sessions (table `sessions`) of the session ids in `parts`.

    `parts` are all parts of these ids, of all ingest hours; `events_of` gives the cleaned events,
    copies included, of the sessions in hours (`SESSION_OF_HOUR`) that it is asked for, each beside
    the other columns of what it was asked; it is asked for overlapping chains only. The result is
    what one pass over all events would give, however they and their copies lie in ingest hours.
    Raises StalePartsError if the events of a session that parts do not tell are not those of its
    parts.
    """
    chained = chain_parts(parts, silence)
    overlapping = chained.filter("overlaps")
    if overlapping.is_empty():
        return _folded(chained).drop("chain")
    hours = hours_of_chains(overlapping)
    known = in_chains(events_of(hours))
    is_unclear = pl.col("chain").is_in(unclear_chains(hours, known).implode())
    told = settled(
        _folded(chained.filter(~is_unclear)),
        overlapping.filter(~is_unclear),
        known,
        player_id_attributes,
        local_sources,
    ).drop("chain")
    unclear = overlapping.filter(is_unclear)
    if unclear.is_empty():
        return told
    keys = unclear.select(SESSION_OF_HOUR).unique()
    merged = _merged_hours(_within(events_of(keys), unclear))
    rebuilt = session_parts(merged, player_id_attributes, silence, local_sources)
    span = [*SESSION, "first_at", "last_at"]
    if not rebuilt.select(span).sort(span).equals(_spans(unclear).select(span).sort(span)):
        raise StalePartsError(keys)
    return pl.concat([told, fold_sessions(rebuilt, silence)]).sort(*SESSION, "started_at")


def _spans(chained: pl.DataFrame) -> pl.DataFrame:
    """Return from when to when each chain lasts."""
    return chained.group_by(*SESSION, "chain").agg(
        pl.col("first_at").min(), pl.col("last_at").max()
    )


def _within(events: pl.DataFrame, chained: pl.DataFrame) -> pl.DataFrame:
    """Return the events between the ends of the chains, which are silent on both sides."""
    begun = _spans(chained).select(
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
