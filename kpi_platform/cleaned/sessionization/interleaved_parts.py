"""Sessions whose parts overlap in time: what the parts tell all the same, and what only events do.

Belongs here: when parts of several ingest hours can be added up though their events interleave.
Does not: chaining and folding parts, and building sessions from events (`sessions.py`).

The files of a backfill rarely part by session: most sessions then lie in several hours at once.
"""

from collections.abc import Collection, Sequence

import polars as pl

from kpi_platform.cleaned.sessionization.session_parts import (
    SESSION_OF_HOUR,
    TRAITS,
    players_of,
    session_ends_of,
    traits_of,
)


def hours_of_chains(overlapping: pl.DataFrame) -> pl.DataFrame:
    """What these parts say of their events, per hour and chain: `SESSION_OF_HOUR`, `chain`, `_key`
    (a number of its own), `event_count`, `first_at`, `last_at`."""
    return (
        overlapping.group_by(*SESSION_OF_HOUR, "chain")
        .agg(pl.col("event_count").sum(), pl.col("first_at").min(), pl.col("last_at").max())
        .with_row_index("_key")
    )


def in_chains(events: pl.DataFrame) -> pl.DataFrame:
    """Of events beside the `hours_of_chains` that they may be of, those that are."""
    # Chains of a session id are apart: an event lies in one of them at most.
    return events.filter(pl.col("event_at").is_between("first_at", "last_at"))


def unclear_chains(hours: pl.DataFrame, known: pl.DataFrame) -> pl.Series:
    """The numbers of the chains that cannot be added up; `hours` of `hours_of_chains`, `known` of
    `in_chains`.

    Two hours may hold copies of an event, or the events may no longer be those of the parts.
    """
    # Copies are of one instant: few texts are compared.
    at_once = known.filter(pl.struct("chain", "event_at").is_duplicated())
    copies = at_once.filter(pl.col("event_id").is_duplicated())["chain"]
    at = pl.col("event_at")
    found = known.group_by("_key").agg(
        event_count=pl.len().cast(pl.Int64), first_at=at.min(), last_at=at.max()
    )
    others = hours.join(found, on=found.columns, how="anti")["chain"]
    return pl.concat([copies, others]).unique()


def settled(
    sessions: pl.DataFrame,
    overlapping: pl.DataFrame,
    known: pl.DataFrame,
    player_id_attributes: Sequence[str],
    local_sources: Collection[str],
) -> pl.DataFrame:
    """The sessions, with their `chain`, with what these parts disagree about; `known` of
    `in_chains`.

    Where all that tell a player, a trait or a duration tell the same, it does not matter which of
    them is the first or the last; where not, the events say.
    """
    said = pl.col("player_id", *TRAITS, "session_end_seconds")
    differing = overlapping.group_by("chain").agg((said.min() != said.max()).fill_null(value=False))

    def where(*columns: str) -> pl.Expr:
        """Whether an event is of a chain that disagrees in one of these columns."""
        chains = differing.filter(pl.any_horizontal(columns))["chain"]
        return pl.col("chain").is_in(chains.implode())

    events = known.lazy()
    players = events.filter(where("player_id"))
    traits = events.filter(where(*TRAITS))
    ends = events.filter(where("session_end_seconds"))
    column_groups = (
        players_of(players, ["chain"], player_id_attributes, local_sources),
        traits_of(traits, ["chain"]),
        session_ends_of(ends, ["chain"]).select("chain", duration_seconds="session_end_seconds"),
    )
    for columns in column_groups:
        if not columns.is_empty():
            sessions = sessions.update(columns, on="chain", how="left")
    return sessions
