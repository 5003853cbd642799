"""Which version was in effect for a player at a time: for one player, or for many events.

Belongs here: questions to finished intervals. Does not: how intervals come about.
"""

from datetime import datetime

import polars as pl

TRACK = ["player_id", "service_name", "device"]
FEW_INTERVALS = 16
"""Up to so many per track, pairing an event with all of its track's is quicker than sorting."""
_ANSWER = ["version", "valid_from", "valid_to"]


def version_at(
    intervals: pl.DataFrame,
    player_id: str,
    at: datetime,
    service: str | None = None,
    device: str | None = None,
) -> pl.DataFrame:
    """Return the intervals of a player in effect at the instant `at`: valid_from <= at < valid_to.

    Versions are in effect per service and device, so without `service` or `device` there may be
    several: one row each, sorted by service and device. Before the first sighting there is none.
    Raises ValueError if `at` has no time zone: its instant would depend on who reads it.
    """
    if at.tzinfo is None:
        raise ValueError(f"the time {at.isoformat()} needs an offset or time zone")
    wanted = pl.col("player_id") == player_id
    if service is not None:
        wanted &= pl.col("service_name") == service
    if device is not None:
        wanted &= pl.col("device") == device
    return intervals.filter(wanted & _in_effect(pl.lit(at))).sort("service_name", "device")


def versions_as_of(events: pl.DataFrame, intervals: pl.DataFrame) -> pl.DataFrame:
    """Return `events` with the version in effect at each event's `at` (UTC), in their order.

    `events` has `player_id` and `at`, and may have `service_name` and `device`. Where it has
    both, each event comes back exactly once. Where one is missing, an event comes back once per
    service and device of the player on which a version was in effect. An event before the first
    sighting, or of an unknown player, comes back once with `version`, `valid_from`, `valid_to`
    (and what was missing) null. Adds the columns that were missing, then those three.
    """
    given = [name for name in TRACK if name in events.columns]
    missing = [name for name in TRACK if name not in events.columns]
    numbered = events.with_row_index("_event")
    asked = numbered.select("_event", "at", *given)
    if missing:
        asked = asked.join(intervals.select(TRACK).unique(), on=given)
    found = _found(asked, intervals).select("_event", *missing, *_ANSWER)
    answered = numbered.lazy().join(found.lazy(), on="_event", how="left")
    return answered.collect(engine="streaming").sort("_event", *missing).drop("_event")


def _found(asked: pl.DataFrame, intervals: pl.DataFrame) -> pl.DataFrame:
    """The rows of `asked` in whose track a version was in effect, with its interval."""
    answers = intervals.select(*TRACK, *_ANSWER)
    # Of each track exactly one interval is open.
    if intervals.height <= FEW_INTERVALS * intervals["valid_to"].null_count():
        pairs = asked.lazy().join(answers.lazy(), on=TRACK)
        return pairs.filter(_in_effect(pl.col("at"))).collect(engine="streaming")
    # Intervals of a track do not overlap: the last one begun is the only candidate.
    begun = asked.sort("at").join_asof(
        answers.sort("valid_from"),
        left_on="at",
        right_on="valid_from",
        by=TRACK,
        strategy="backward",
        check_sortedness=False,
    )
    return begun.filter(_in_effect(pl.col("at")))


def _in_effect(at: pl.Expr) -> pl.Expr:
    ends = pl.col("valid_to")
    return (pl.col("valid_from") <= at) & (ends.is_null() | (at < ends))
