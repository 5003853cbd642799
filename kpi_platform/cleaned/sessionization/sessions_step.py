"""Brings `session_parts` and `sessions` up to date for changed hours, at the cost of the change.

Belongs here: the order of commits that survives a crash, and neighbours that changed meanwhile.
Does not: how parts fold into sessions (`sessions.py`), and how far a change reaches
(`session_reach.py`).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self

import polars as pl

from kpi_platform.cleaned.sessionization.session_parts import SESSION_OF_HOUR, session_parts
from kpi_platform.cleaned.sessionization.session_reach import PartsChange, connected, read_change
from kpi_platform.cleaned.sessionization.sessions import StalePartsError, rebuild_sessions
from kpi_platform.engine.books.history_queue import enqueue, settled_sessions
from kpi_platform.engine.books.hour_fingerprints import (
    Consumed,
    forget_consumed,
    read_consumed,
)
from kpi_platform.engine.books.hour_ledger import mark_failed
from kpi_platform.engine.books.kept_days import closed_days, emptied_hours, unless_closed
from kpi_platform.engine.hour_steps import Done
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.diff import diff_rows
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.tables import SESSION, TABLES
from kpi_platform.storage.lake.lake import Lake, LakeError, hours_in, hours_of, hours_predicate
from kpi_platform.storage.lake.locks import FOLD_LOCK, lake_lock

VERSION = "1"
_KEYS = TABLES["sessions"].row_keys
_OWNERSHIP = ["player_id", "device", "ended_at"]


class SessionsStep:
    """The hourly work of `sessions`."""

    table = "sessions"
    hours_stand_alone = False

    def __init__(self, lake: Lake, players: PlayerIdRules, silence: timedelta) -> None:
        self._lake = lake
        self._players = players
        self._silence = silence
        self._rows: dict[datetime, int] = {}

    @classmethod
    def of(cls, platform: Platform, lake: Lake | None = None) -> Self:
        """The step as the settings have it, in the platform's lake or another."""
        silence = platform.settings.session_silence
        return cls(lake or platform.lake, platform.player_id_rules, silence)

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """The content of `cleaned_events` and the settings that decide about sessions.

        Raises LakeError if a longer silence would join sessions of days that are kept to others.
        """
        closed = closed_days(self._lake)
        if closed is not None and self._silence > closed.silence:
            most = closed.silence // timedelta(hours=1)
            raise LakeError(
                f"KPI_SESSION_SILENCE_HOURS: must be at most {most}, as days"
                f" up to {closed.through} are kept (KPI_KEEP_EVENTS_DAYS)"
            )
        consumed = read_consumed(self._lake, "cleaned_events", hours)
        self._rows = {hour: item.rows for hour, item in consumed.items()}
        return unless_closed(self._lake, self.table, self._inputs_of(consumed))

    def weight(self, hour: datetime) -> int:
        """Events of the hour."""
        return self._rows[hour]

    def fail(self, hour: datetime, error: str) -> None:
        """Mark the hour as failed in the ledger."""
        mark_failed(self._lake, hour, error, [])

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' parts and every session that they touch."""
        with lake_lock(self._lake.uri, FOLD_LOCK):
            # Read under the lock, so that of two runs of an hour the later one has the last word.
            emptied = emptied_hours(self._lake, hours)
            made = [hour for hour in hours if hour not in emptied]
            new = self._parts_of(self._lake.read_hours("cleaned_events", made))
            changed = self._replace(made, new) if made else 0
            # Of events that are gone the parts tell.
            stored = self._lake.read_hours("session_parts", emptied) if emptied else new.clear()
        return {
            hour: Done(content_fingerprint(part), part.height, {"sessions_changed": changed})
            for rows, of in ((new, made), (stored.select(new.columns), sorted(emptied)))
            for hour, part in hours_of(rows, of).items()
        }

    def _inputs_of(self, consumed: Mapping[datetime, Consumed]) -> dict[datetime, str]:
        return {
            hour: fingerprint(VERSION, repr(self._players), str(self._silence), item.content)
            for hour, item in consumed.items()
        }

    def _replace(self, hours: Sequence[datetime], new: pl.DataFrame) -> int:
        """Commit the parts, then the sessions; returns how many of them changed.

        What goes stays among the parts as a part without events until the sessions are committed.
        So a run that is killed in between leaves behind which sessions may have vanished, whatever
        the hour contains when it is run again.
        """
        change = read_change(self._lake, hours, new)
        if change.stored.is_empty() and change.new.is_empty():
            return 0
        change, old, rebuilt, asked = self._rebuilt(change)
        self._forget_others(asked.difference(hours))
        upserts, deletes = diff_rows(old, rebuilt.select(old.columns), _KEYS)
        change.commit(self._lake)
        if upserts.height or deletes.height:
            # Even if the hours become again what the history knows of them, it has to be folded.
            forget_consumed(self._lake, "user_version_history", hours)
            settled = settled_sessions(self._lake, change.hours)
            enqueue(self._lake, _players_touched(old, upserts, deletes, settled))
        changed = self._lake.apply_changes("sessions", upserts, deletes)
        if change.emptied.height:
            self._lake.delete(
                "session_parts", f"event_count = 0 AND ({hours_predicate(change.hours)})"
            )
        return changed

    def _forget_others(self, hours: Collection[datetime]) -> None:
        """Forget the hours whose events are others than their own runs made sessions of: should
        they become again what they were, their sessions are no longer so."""
        made_of = read_consumed(self._lake, "sessions", hours)
        events = read_consumed(self._lake, "cleaned_events", made_of)
        are = unless_closed(self._lake, self.table, self._inputs_of(events))
        others = [hour for hour, item in made_of.items() if item.input != are.get(hour)]
        forget_consumed(self._lake, "sessions", others)

    def _rebuilt(
        self, change: PartsChange
    ) -> tuple[PartsChange, pl.DataFrame, pl.DataFrame, set[datetime]]:
        """The change, the sessions that it may reach as they are, and as they are to be; and the
        hours whose events were asked for.

        The events of another hour may have changed since its parts were made: its own run then
        failed, was killed, or is about to come. The sessions shared with it are brought up to
        date with it, and only those, so that its run finds them done.
        """
        asked: set[datetime] = set()

        def events_of(keys: pl.DataFrame) -> pl.DataFrame:
            asked.update(hours_in(keys))
            return self._events_of(keys)

        while True:
            parts, old = connected(self._lake, change, self._silence)
            try:
                rebuilt = rebuild_sessions(
                    parts,
                    events_of,
                    self._players.attributes,
                    self._silence,
                    self._players.local_sources,
                )
            except StalePartsError as error:
                made = self._parts_of(self._events_of(error.keys))
                change = change.refreshed(self._lake, error.keys, made)
            else:
                return change, old, rebuilt, asked

    def _parts_of(self, events: pl.DataFrame) -> pl.DataFrame:
        return session_parts(
            events, self._players.attributes, self._silence, self._players.local_sources
        )

    def _events_of(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The events of sessions in hours (`SESSION_OF_HOUR`), beside the other columns of each.

        Raises LakeError if they are gone.
        """
        if gone := sorted(emptied_hours(self._lake, hours_in(keys))):
            hour = f"{gone[0]:%Y-%m-%d-%H:%M}"
            raise LakeError(f"sessions of {hour} cannot be made again: its events are gone")
        events = self._lake.scan_hours("cleaned_events", hours_in(keys))
        return events.join(keys.lazy(), on=SESSION_OF_HOUR).collect()


def _players_touched(
    old: pl.DataFrame, upserts: pl.DataFrame, deletes: pl.DataFrame, settled: pl.DataFrame
) -> pl.DataFrame:
    """Players whose sightings so far may now be another's, or lie in another session.

    One row per player, with `changed_from` and `changed_to`: from the start of the first to the
    end of the last of these sessions, as they were and as they are to be.

    That a session began or went on touches nobody's: what is sighted in it is yet to come, unless
    the history holds it already (`settled`), or another session of this id lost what it gained.
    """
    gone = old.join(deletes, on=_KEYS, how="semi")
    before = old.select(*_KEYS, *_OWNERSHIP)
    moved = upserts.join(before, on=[*_KEYS, *_OWNERSHIP], how="anti", nulls_equal=True)
    went_on = moved.join(before, on=_KEYS, how="left", suffix="_before", nulls_equal=True).filter(
        pl.col("ended_at_before").is_null()
        | (
            (pl.col("ended_at") > pl.col("ended_at_before"))
            & pl.col("player_id").eq_missing(pl.col("player_id_before"))
            & (pl.col("device") == pl.col("device_before"))
        )
    )
    others = moved.join(went_on, on=_KEYS, how="anti")
    old_ids = pl.concat([frame.select(SESSION) for frame in (settled, gone, others)])
    harmless = went_on.join(old_ids, on=SESSION, how="anti")
    moved = moved.join(harmless, on=_KEYS, how="anti")
    replaced = old.join(moved, on=_KEYS, how="semi")
    columns = ["player_id", "started_at", "ended_at"]
    return (
        pl.concat([frame.select(columns) for frame in (gone, moved, replaced)])
        .filter(pl.col("player_id").is_not_null())
        .group_by("player_id")
        .agg(changed_from=pl.col("started_at").min(), changed_to=pl.col("ended_at").max())
        .sort("player_id")
    )
