"""Brings `sightings`, `user_version_history` and `user_version_intervals` up to date.

Belongs here: whose history a changed hour touches, and the order of commits that survives a
crash. Does not: how sightings become a timeline, which is `timeline.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.history.sightings import SESSION, attribute_sightings, sightings
from kpi_platform.history.timeline import fold_history, intervals, user_version_intervals
from kpi_platform.schemas.diff import diff_rows
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.history_queue import dequeue, enqueue, waiting
from kpi_platform.storage.hour_fingerprints import read_consumed
from kpi_platform.storage.hour_ledger import mark_failed
from kpi_platform.storage.hour_steps import Done
from kpi_platform.storage.lake import Lake, hours_expression, hours_of
from kpi_platform.storage.locks import lake_lock

VERSION = "1"
FOLD_LOCK = "fold"


class HistoryStep:
    """The hourly work of `user_version_history` and `user_version_intervals`."""

    table = "user_version_history"

    def __init__(self, lake: Lake, players: PlayerIdRules) -> None:
        self._lake = lake
        self._player_ids = players
        self._rows: dict[datetime, int] = {}

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """The input that `sessions` consumed of the hour: the same events, already in sessions."""
        consumed = read_consumed(self._lake, "sessions", hours)
        self._rows = {hour: item.rows for hour, item in consumed.items()}
        return {hour: fingerprint(VERSION, item.input) for hour, item in consumed.items()}

    def weight(self, hour: datetime) -> int:
        """Session parts of the hour."""
        return self._rows[hour]

    def fail(self, hour: datetime, error: str) -> None:
        """Mark the hour as failed in the ledger."""
        mark_failed(self._lake, hour, error, [])

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' sightings, then the rows of every player whose sightings changed."""
        events = (
            self._lake.scan("cleaned_events")
            .filter(hours_expression(hours), pl.col("event_name") == "SoftwareVersion")
            .collect()
        )
        new = sightings(events, self._player_ids.attributes, self._player_ids.local_sources)
        with lake_lock(self._lake.uri, FOLD_LOCK):
            changed = _difference(self._lake.read_hours("sightings", hours), new)
            enqueue(self._lake, self._players_of(changed))
            if changed.height:
                self._lake.replace_hours("sightings", new, hours)
            players = self.fold_waiting()
        return {
            hour: Done(content_fingerprint(part), part.height, {"players_touched": players})
            for hour, part in hours_of(new, hours).items()
        }

    def fold_waiting(self) -> int:
        """Recompute every player in the queue; returns how many. The caller holds the lock."""
        batches, players = waiting(self._lake)
        if players:
            self._replace_players(players)
        dequeue(self._lake, batches)
        return len(players)

    def _players_of(self, changed: pl.DataFrame) -> list[str]:
        """The players whom these sightings belong to now."""
        keys = changed.select(SESSION).unique()
        sessions = self._lake.scan("sessions").join(keys.lazy(), on=SESSION, how="semi").collect()
        return sorted(attribute_sightings(changed, sessions)["player_id"].unique())

    def _replace_players(self, players: Sequence[str]) -> None:
        wanted = pl.LazyFrame({"player_id": players}, schema={"player_id": pl.String})
        runs = intervals(self._attributed(wanted))
        for table, rows in (
            ("user_version_intervals", user_version_intervals(runs)),
            ("user_version_history", fold_history(runs)),
        ):
            columns = TABLES[table].polars_schema.names()
            old = self._lake.scan(table).join(wanted, on="player_id", how="semi").collect()
            upserts, deletes = diff_rows(
                old.select(columns), rows.select(columns), TABLES[table].keys
            )
            self._lake.apply_changes(table, upserts, deletes)

    def _attributed(self, wanted: pl.LazyFrame) -> pl.DataFrame:
        """Every attributed sighting of the wanted players, of all hours."""
        sessions = self._lake.scan("sessions").join(wanted, on="player_id", how="semi").collect()
        seen = self._lake.scan("sightings")
        in_sessions = seen.join(sessions.lazy().select(SESSION), on=SESSION, how="semi")
        # Only sightings outside any session carry a player of their own.
        alone = seen.filter(pl.col("player_id").is_not_null()).join(
            wanted, on="player_id", how="semi"
        )
        found = pl.concat([in_sessions.collect(), alone.collect()])
        return attribute_sightings(found, sessions)


def _difference(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Sightings that only one side has, by all columns."""
    columns = old.columns
    gone = old.join(new, on=columns, how="anti", nulls_equal=True)
    come = new.select(columns).join(old, on=columns, how="anti", nulls_equal=True)
    return pl.concat([gone, come])
