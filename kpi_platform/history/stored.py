"""Reads what the lake holds of some players and some sightings, without what it holds of others.

Belongs here: which files a look at a few rows has to open. Does not: what the rows mean.
"""

from collections.abc import Collection, Iterator

import polars as pl

from kpi_platform.history.sightings import OWNERSHIP, attribute_sightings
from kpi_platform.schemas.tables import SESSION, TABLES
from kpi_platform.storage.lake.lake import Lake

DATES_AT_A_TIME = 3


def sessions_of(lake: Lake, seen: pl.DataFrame) -> pl.DataFrame:
    """The sessions (columns of `sessions`) that may contain these sightings (of `sightings`)."""
    if seen.is_empty():
        return pl.DataFrame(schema=TABLES["sessions"].polars_schema)
    at = seen["event_at"]
    return (
        # Others contain none of them.
        lake.scan_span("sessions", ("started_at", "ended_at"), at, at)
        .join(seen.select(SESSION).unique().lazy(), on=SESSION, how="semi")
        .collect()
    )


def sightings_within(lake: Lake, spans: pl.DataFrame) -> pl.DataFrame:
    """Every attributed sighting of these players between `changed_from` and `changed_to`, of all
    hours; maybe some before or after, and of other players."""
    since, until = spans["changed_from"], spans["changed_to"]
    # Others contain none of them.
    sessions = (
        lake.scan_span("sessions", ("started_at", "ended_at"), since, until)
        .select(*SESSION, *OWNERSHIP)
        .join(spans.lazy(), on="player_id")
        .filter(
            pl.col("ended_at") >= pl.col("changed_from"),
            pl.col("started_at") <= pl.col("changed_to"),
        )
        .select(*SESSION, *OWNERSHIP)
        .collect()
    )
    seen = lake.scan_span("sightings", ("event_at", "event_at"), since, until)
    started, ended = sessions["started_at"].min(), sessions["ended_at"].max()
    in_sessions = seen.filter(pl.col("event_at").is_between(started, ended)).join(
        sessions.lazy().select(SESSION), on=SESSION, how="semi"
    )
    # Only sightings outside any session carry a player of their own; most files have none.
    alone = of_players(seen.filter(pl.col("player_id").is_not_null()), spans["player_id"])
    return attribute_sightings(pl.concat([in_sessions.collect(), alone.collect()]), sessions)


def history_of(lake: Lake, players: Collection[str]) -> pl.DataFrame:
    """The players' rows of `user_version_history`."""
    table = lake.scan("user_version_history")
    return _rows_of(table, _named(table, players))


def histories_of(
    lake: Lake, players: pl.Series, at_a_time: int
) -> Iterator[tuple[pl.Series, pl.DataFrame]]:
    """All these players, about so many at a time, each time with their rows of
    `user_version_history`: those last seen on one date together, who has no row with the last.

    The rows are those that there were at the start, whatever is written in between.
    """
    table = lake.scan("user_version_history")
    named = _named(table, players)
    date, count = pl.col("p_last_seen_date"), pl.col("len")
    turns = named.group_by(date).len().sort(date)
    turns = turns.select(date, _turn=(count.cum_sum() - count) // at_a_time)
    new = players.filter(~players.is_in(named["player_id"].implode()))
    *before, last = turns.partition_by("_turn", maintain_order=True) or [turns]
    for some in before:
        known = named.join(some, on="p_last_seen_date", how="semi")
        yield known["player_id"], _rows_of(table, known)
    # With those seen today, whose files are looked through, go those who come there.
    known = named.join(last, on="p_last_seen_date", how="semi")
    yield pl.concat([new, known["player_id"]]), _rows_of(table, known)


def _named(table: pl.LazyFrame, players: Collection[str] | pl.Series) -> pl.DataFrame:
    """The players that the history knows, and when each was last seen."""
    return of_players(table.select("player_id", "p_last_seen_date"), players).collect(
        engine="streaming"
    )


def _rows_of(table: pl.LazyFrame, named: pl.DataFrame) -> pl.DataFrame:
    """The rows of `_named` players.

    Timelines are read only of the dates on which any of the players was last seen, some after the
    other, so that memory does not hold those of all at once.
    """
    dates = named["p_last_seen_date"].unique().sort().to_frame()
    parts = [
        of_players(
            table.filter(pl.col("p_last_seen_date").is_in(some.to_series().implode())),
            named["player_id"],
        ).collect(engine="streaming")
        for some in dates.iter_slices(DATES_AT_A_TIME)
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=table.collect_schema())


def intervals_of(lake: Lake, players: Collection[str] | pl.Series) -> pl.DataFrame:
    """The players' rows of `user_version_intervals`; nothing is read if there are no players."""
    if not len(players):
        return pl.DataFrame(schema=TABLES["user_version_intervals"].polars_schema)
    return of_players(lake.scan("user_version_intervals"), players).collect()


def of_players(rows: pl.LazyFrame, players: Collection[str] | pl.Series) -> pl.LazyFrame:
    """The rows whose `player_id` is one of these."""
    names = players if isinstance(players, pl.Series) else sorted(players)
    wanted = pl.LazyFrame({"player_id": names}, schema={"player_id": pl.String})
    return rows.join(wanted, on="player_id", how="semi")
