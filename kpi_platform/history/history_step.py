"""Brings `sightings`, `user_version_history` and `user_version_intervals` up to date.

Belongs here: whose history a changed hour touches, and the order of commits that survives a
crash. Does not: how sightings become a timeline, which is `timeline.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Self

import polars as pl

from kpi_platform.engine.books.history_queue import FOLDING, dequeue, enqueue, waiting
from kpi_platform.engine.books.hour_fingerprints import read_consumed
from kpi_platform.engine.books.hour_ledger import mark_failed
from kpi_platform.engine.books.kept_days import emptied_hours, unless_closed
from kpi_platform.engine.hour_steps import Done
from kpi_platform.engine.platform import Platform
from kpi_platform.history.sightings import attribute_sightings, sightings
from kpi_platform.history.sort_keys import add_sort_keys
from kpi_platform.history.spans import hull, reach, span_of, splice
from kpi_platform.history.stored import histories_of, intervals_of, sessions_of, sightings_within
from kpi_platform.history.timeline import (
    fold_history,
    grow,
    not_later,
    runs_of,
    user_version_intervals,
)
from kpi_platform.schemas.diff import diff_rows
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, hours_expression, hours_of
from kpi_platform.storage.lake.locks import FOLD_LOCK, lake_lock

VERSION = "3"
PLAYERS_AT_A_TIME = 20_000
Change = tuple[pl.DataFrame, pl.DataFrame]
"""Of a table, the rows to insert or update, and the keys to delete."""


class HistoryStep:
    """The hourly work of `user_version_history` and `user_version_intervals`."""

    table = "user_version_history"
    hours_stand_alone = False

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
        inputs = {hour: fingerprint(VERSION, item.input) for hour, item in consumed.items()}
        return unless_closed(self._lake, self.table, inputs)

    def weight(self, hour: datetime) -> int:
        """Session parts of the hour."""
        return self._rows[hour]

    def fail(self, hour: datetime, error: str) -> None:
        """Mark the hour as failed in the ledger."""
        mark_failed(self._lake, hour, error, [])

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' sightings, then the rows of every player whose sightings changed."""
        with lake_lock(self._lake.uri, FOLD_LOCK):
            # What cannot be opened is to be known before anything is written.
            for table in ("user_version_history", "user_version_intervals"):
                self._lake.open(table)
            add_sort_keys(self._lake)
            held, batch, lost, won = self._replace_sightings(hours)
            figures = self._fold_waiting(batch, lost, won)
        return {hour: Done(content, rows, figures) for hour, (content, rows) in held.items()}

    def fold_waiting(self) -> None:
        """Fold the players whom a killed run, or an hour that failed, left in the queue."""
        if waiting(self._lake).is_empty():
            return
        none = self._owned(pl.DataFrame(schema=TABLES["sightings"].polars_schema))
        with lake_lock(self._lake.uri, FOLD_LOCK):
            self._fold_waiting(None, none, none)

    def _replace_sightings(
        self, hours: Sequence[datetime]
    ) -> tuple[dict[datetime, tuple[str, int]], str | None, pl.DataFrame, pl.DataFrame]:
        """Queue whom the change of the hours' sightings touches, then commit it; the caller holds
        the lock, so that of two runs of an hour the later one has the last word.

        Returns per hour a hash and the number of its sightings, then what `_fold_waiting` takes.
        What is read here is given back before the fold, which needs the memory.
        """
        new = self._sightings_of(hours)
        gone, come = _difference(self._lake.read_hours("sightings", hours), new)
        lost, won = self._owned(gone), self._owned(come)
        players = pl.concat([lost.select("player_id"), won.select("player_id")])
        batch = enqueue(self._lake, players, is_folding=True)
        if gone.height or come.height:
            self._lake.replace_hours("sightings", new, hours)
        parts = hours_of(new, hours).items()
        held = {hour: (content_fingerprint(part), part.height) for hour, part in parts}
        return held, batch, lost, won

    def _sightings_of(self, hours: Sequence[datetime]) -> pl.DataFrame:
        events = (
            self._lake.scan_hours("cleaned_events", hours)
            .filter(pl.col("event_name") == "SoftwareVersion")
            .collect()
        )
        made = sightings(events, self._player_ids.attributes, self._player_ids.local_sources)
        emptied = emptied_hours(self._lake, hours)
        if not emptied:
            return made
        # Of events that are gone the sightings stay.
        stored = self._lake.read_hours("sightings", emptied).select(made.columns)
        return pl.concat([made.filter(~hours_expression(sorted(emptied))), stored])

    def _owned(self, seen: pl.DataFrame) -> pl.DataFrame:
        """The attributed among these sightings, by the sessions as they are now."""
        return attribute_sightings(seen, sessions_of(self._lake, seen))

    def _fold_waiting(
        self, own: str | None, lost: pl.DataFrame, won: pl.DataFrame
    ) -> dict[str, int]:
        """Bring every player in the queue up to date; the caller holds the lock.

        Of those in the batch `own` it is known what they lost and won. Who only won sightings
        later than all before grows by them; of everyone else the runs that the change may reach
        are made anew from their sightings.
        """
        queue = waiting(self._lake)
        players = queue["player_id"].unique().sort()
        if players.is_empty():
            return {"players_touched": 0, "players_folded_anew": 0, "rows_changed": 0}
        others = queue.filter(pl.col("batch_id") != (own or ""))
        killed = others.filter(pl.col("batch_id").str.starts_with(FOLDING))["player_id"].unique()
        marker = enqueue(self._lake, others.filter(~_is_one_of(killed)), is_folding=True)
        anew, changed, boundaries = 0, 0, []
        for some, old in histories_of(self._lake, players, PLAYERS_AT_A_TIME):
            is_touched = _is_one_of(some)
            count, changes, history = self._changes(
                old,
                others.filter(is_touched),
                lost.filter(is_touched),
                won.filter(is_touched),
                killed.filter(killed.is_in(some.implode())),
            )
            anew += count
            boundaries.append(changes)
            changed += self._lake.apply_changes("user_version_history", *history)
        # Boundaries are small, and a month of them is copied for the first as for the last.
        changed += self._lake.apply_changes(
            "user_version_intervals", *map(pl.concat, zip(*boundaries, strict=True))
        )
        dequeue(self._lake, {*queue["batch_id"], *([marker] if marker else [])})
        return {
            "players_touched": len(players),
            "players_folded_anew": anew,
            "rows_changed": changed,
        }

    def _changes(
        self,
        old: pl.DataFrame,
        others: pl.DataFrame,
        lost: pl.DataFrame,
        won: pl.DataFrame,
        killed: pl.Series,
    ) -> tuple[int, Change, Change]:
        """How many of some players were folded anew, and what is to become of their intervals and
        of their history, of which `old` are the rows."""
        runs = runs_of(old)
        anew = hull([others, span_of(lost), span_of(not_later(won, runs))])
        is_anew = _is_one_of(anew["player_id"])
        grown = grow(runs.filter(~is_anew), won.filter(~is_anew))
        # Of players folded anew, what they won counts like any other change.
        spans = hull([anew, span_of(won.filter(is_anew))])
        folded = self._folded(runs.filter(is_anew), spans) if anew.height else grown.clear()
        stored = user_version_intervals(runs.filter(~_is_one_of(killed)))
        # After a fold was killed, the intervals may not be what the timelines say.
        unsure = intervals_of(self._lake, killed).select(stored.columns)
        after = pl.concat([grown, folded])
        return (
            anew.height,
            _change("user_version_intervals", [stored, unsure], user_version_intervals(after)),
            _change("user_version_history", [old], fold_history(after)),
        )

    def _folded(self, runs: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
        """The intervals of the players in `spans`, of which `runs` are those before the change."""
        return splice(runs, sightings_within(self._lake, reach(runs, spans)), spans)


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
    return diff_rows(old, new.select(columns), contract.row_keys)


def _is_one_of(players: pl.Series) -> pl.Expr:
    return pl.col("player_id").is_in(players.implode())
