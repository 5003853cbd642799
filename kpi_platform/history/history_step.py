"""Brings `sightings`, `user_version_history` and `user_version_intervals` up to date.

Belongs here: whose history a changed hour touches, and the order of commits that survives a
crash. Does not: how sightings become a timeline, which is `timeline.py`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Self

import polars as pl

from kpi_platform.history.sightings import OWNERSHIP, attribute_sightings, sightings
from kpi_platform.history.stored import history_of, intervals_of, of_players, sessions_of
from kpi_platform.history.timeline import (
    fold_history,
    grow,
    intervals,
    not_later,
    runs_of,
    user_version_intervals,
)
from kpi_platform.schemas.diff import diff_rows
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.tables import SESSION, TABLES
from kpi_platform.storage.history_queue import FOLDING, dequeue, enqueue, waiting
from kpi_platform.storage.hour_fingerprints import read_consumed
from kpi_platform.storage.hour_ledger import mark_failed
from kpi_platform.storage.hour_steps import Done
from kpi_platform.storage.lake import Lake, hours_expression, hours_of
from kpi_platform.storage.locks import FOLD_LOCK, lake_lock
from kpi_platform.storage.platform import Platform

VERSION = "2"
Change = tuple[str, pl.DataFrame, pl.DataFrame]
"""A table, the rows to insert or update, and the keys to delete."""


class HistoryStep:
    """The hourly work of `user_version_history` and `user_version_intervals`."""

    table = "user_version_history"

    def __init__(self, lake: Lake, players: PlayerIdRules) -> None:
        self._lake = lake
        self._player_ids = players
        self._rows: dict[datetime, int] = {}

    @classmethod
    def of(cls, platform: Platform, lake: Lake | None = None) -> Self:
        """The step as the settings have it, in the platform's lake or another."""
        return cls(lake or platform.lake, platform.player_id_rules)

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
        with lake_lock(self._lake.uri, FOLD_LOCK):
            # Read under the lock, so that of two runs of an hour the later one has the last word.
            new = self._sightings_of(hours)
            stored = self._lake.read_hours("sightings", hours)
            gone, come = _difference(stored, new)
            lost, won = self._owned(gone), self._owned(come)
            players = pl.concat([lost["player_id"], won["player_id"]]).unique().sort()
            batch = enqueue(self._lake, players.to_list(), is_folding=True)
            if gone.height or come.height:
                self._lake.replace_hours("sightings", new, hours)
            figures = self._fold_waiting(batch, lost, won)
        return {
            hour: Done(content_fingerprint(part), part.height, figures)
            for hour, part in hours_of(new, hours).items()
        }

    def _sightings_of(self, hours: Sequence[datetime]) -> pl.DataFrame:
        events = (
            self._lake.scan("cleaned_events")
            .filter(hours_expression(hours), pl.col("event_name") == "SoftwareVersion")
            .collect()
        )
        return sightings(events, self._player_ids.attributes, self._player_ids.local_sources)

    def _owned(self, seen: pl.DataFrame) -> pl.DataFrame:
        """The attributed among these sightings, by the sessions as they are now."""
        return attribute_sightings(seen, sessions_of(self._lake, seen))

    def _fold_waiting(
        self, own: str | None, lost: pl.DataFrame, won: pl.DataFrame
    ) -> dict[str, int]:
        """Bring every player in the queue up to date; the caller holds the lock.

        Of those in the batch `own` it is known what they lost and won. Who only won sightings
        later than all before grows by them; everyone else is folded anew from all sightings.
        """
        batches = waiting(self._lake)
        others = {name for batch, names in batches.items() if batch != own for name in names}
        killed = {
            name
            for batch, names in batches.items()
            if batch.startswith(FOLDING) and batch != own
            for name in names
        }
        players = sorted(others.union(batches.get(own or "", [])))
        if not players:
            return {"players_touched": 0, "players_folded_anew": 0, "rows_changed": 0}
        marker = enqueue(self._lake, sorted(others - killed), is_folding=True)
        # Only the changes outlive the call: writing them needs memory of its own.
        anew, changes = self._changes(players, others, killed, lost, won)
        changed = sum(self._lake.apply_changes(*change) for change in changes)
        dequeue(self._lake, {*batches, *([marker] if marker else [])})
        return {
            "players_touched": len(players),
            "players_folded_anew": anew,
            "rows_changed": changed,
        }

    def _changes(
        self,
        players: Collection[str],
        others: Collection[str],
        killed: Collection[str],
        lost: pl.DataFrame,
        won: pl.DataFrame,
    ) -> tuple[int, list[Change]]:
        """How many players were folded anew, and what is to be written to bring all up to date."""
        old = history_of(self._lake, players)
        runs = runs_of(old)
        anew = sorted({*others, *lost["player_id"], *not_later(won, runs)["player_id"]})
        is_anew = _is_one_of(anew)
        grown = grow(runs.filter(~is_anew), won.filter(~is_anew))
        folded = intervals(self._attributed(anew)) if anew else grown.clear()
        stored = user_version_intervals(runs.filter(~_is_one_of(killed)))
        # After a fold was killed, the intervals may not be what the timelines say.
        unsure = intervals_of(self._lake, killed).select(stored.columns)
        after = pl.concat([grown, folded])
        return len(anew), [
            _change("user_version_intervals", [stored, unsure], user_version_intervals(after)),
            _change("user_version_history", [old], fold_history(after)),
        ]

    def _attributed(self, players: Sequence[str]) -> pl.DataFrame:
        """Every attributed sighting of these players, of all hours."""
        owned = self._lake.scan("sessions").select(*SESSION, *OWNERSHIP)
        sessions = of_players(owned, players).collect()
        seen = self._lake.scan("sightings")
        # Sightings of other times are in none of these sessions: their files are not read.
        first, last = sessions["started_at"].min(), sessions["ended_at"].max()
        in_sessions = seen.filter(pl.col("event_at").is_between(first, last)).join(
            sessions.lazy().select(SESSION), on=SESSION, how="semi"
        )
        # Only sightings outside any session carry a player of their own; most files have none.
        alone = of_players(seen.filter(pl.col("player_id").is_not_null()), players)
        found = pl.concat([in_sessions.collect(), alone.collect()])
        return attribute_sightings(found, sessions)


def _difference(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The sightings that only the old rows have, and those that only the new have."""
    columns = old.columns
    gone = old.join(new, on=columns, how="anti", nulls_equal=True)
    come = new.select(columns).join(old, on=columns, how="anti", nulls_equal=True)
    return gone, come


def _change(table: str, stored: Sequence[pl.DataFrame], new: pl.DataFrame) -> Change:
    """What turns the stored rows of a table into the new ones."""
    contract = TABLES[table]
    columns = contract.polars_schema.names()
    old = pl.concat([frame.select(columns) for frame in stored])
    return table, *diff_rows(old, new.select(columns), contract.row_keys)


def _is_one_of(players: Collection[str]) -> pl.Expr:
    return pl.col("player_id").is_in(pl.Series(sorted(players), dtype=pl.String).implode())
