"""Which sessions and players the events of some hours belong to.

Belongs here: how far a window reaches into tables that are folded over all hours. Does not:
comparing them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kpi_platform.schemas.players import PlayerIdRules, player_id
from kpi_platform.schemas.tables import SESSION
from kpi_platform.storage.lake.lake import Lake


@dataclass(frozen=True)
class Touched:
    """Sessions (`SESSION`) and players (`player_id`) of some hours."""

    sessions: pl.DataFrame
    players: pl.DataFrame

    def rows(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Those rows of a folded table that are of these sessions or players."""
        of_players = rows.join(self.players.lazy(), on="player_id", how="semi")
        if not set(SESSION) <= set(rows.collect_schema()):
            return of_players
        others = rows.join(self.players.lazy(), on="player_id", how="anti")
        return pl.concat([of_players, others.join(self.sessions.lazy(), on=SESSION, how="semi")])

    def other_rows(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """All other rows of a folded table."""
        others = rows.join(self.players.lazy(), on="player_id", how="anti")
        if not set(SESSION) <= set(rows.collect_schema()):
            return others
        return others.join(self.sessions.lazy(), on=SESSION, how="anti")


def touched(lakes: Sequence[Lake], hours: Sequence[datetime], rules: PlayerIdRules) -> Touched:
    """The sessions that events of these hours lie in, and their players, in any of the lakes.

    A player waiting in the queue of one of the lakes counts too if `hours` is not empty: some of
    these hours is not finished.
    """
    parts = [_touched(lake, hours, rules) for lake in lakes]
    return Touched(
        pl.concat([part.sessions for part in parts]).unique(),
        pl.concat([part.players for part in parts]).unique(),
    )


def waiting_players(lake: Lake) -> pl.DataFrame:
    """The players whose history is still to be folded."""
    return lake.scan("history_queue").select("player_id").unique().collect()


def _touched(lake: Lake, hours: Sequence[datetime], rules: PlayerIdRules) -> Touched:
    is_alone = pl.col("session_id").str.strip_chars() == ""
    events = lake.scan_hours("cleaned_events", hours)
    keys = events.filter(~is_alone).select(SESSION).unique().collect(engine="streaming")
    own = events.filter(is_alone).select(
        player_id(rules.attributes, rules.local_sources).alias("player_id")
    )
    owners = lake.scan("sessions").join(keys.lazy(), on=SESSION, how="semi").select("player_id")
    players = pl.concat([own, owners]).drop_nulls().unique().collect(engine="streaming")
    return Touched(keys, players)
