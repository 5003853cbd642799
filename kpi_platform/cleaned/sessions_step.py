"""Brings `session_parts` and `sessions` up to date for changed hours, at the cost of the change.

Belongs here: which sessions a changed hour touches, and the order of commits that survives a
crash. Does not: how parts fold into sessions, which is `sessions.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from kpi_platform.cleaned.sessions import (
    SESSION,
    overlapping_keys,
    rebuild_sessions,
    session_parts,
)
from kpi_platform.schemas.diff import diff_rows
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.history_queue import enqueue
from kpi_platform.storage.hour_fingerprints import read_consumed
from kpi_platform.storage.hour_steps import Done
from kpi_platform.storage.lake import Lake, hours_expression, hours_of
from kpi_platform.storage.locks import lake_lock

VERSION = "1"
FOLD_LOCK = "fold"
_KEYS = TABLES["sessions"].keys
_OWNERSHIP = ["player_id", "device", "ended_at"]


class SessionsStep:
    """The hourly work of `sessions`."""

    table = "sessions"

    def __init__(self, lake: Lake, players: PlayerIdRules, silence: timedelta) -> None:
        self._lake = lake
        self._players = players
        self._silence = silence
        self._rows: dict[datetime, int] = {}

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """The content of `cleaned_events` and the settings that decide about sessions."""
        consumed = read_consumed(self._lake, "cleaned_events", hours)
        self._rows = {hour: item.rows for hour, item in consumed.items()}
        return {
            hour: fingerprint(VERSION, repr(self._players), str(self._silence), item.content)
            for hour, item in consumed.items()
        }

    def weight(self, hour: datetime) -> int:
        """Events of the hour."""
        return self._rows[hour]

    def fail(self, hour: datetime, error: str) -> None:
        """Nothing to record: the fingerprint that is not written says it."""

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' parts and every session that they touch.

        Sessions are committed before the parts they come from: after a crash in between, the
        same work still knows the old parts, and so which sessions may have vanished.
        """
        events = self._lake.read_hours("cleaned_events", hours)
        new = session_parts(
            events,
            self._players.attributes,
            self._silence,
            self._players.local_sources,
        )
        with lake_lock(self._lake.uri, FOLD_LOCK):
            touched = _spans([self._lake.read_hours("session_parts", hours), new])
            changed = self._replace_sessions(hours, new, touched) if touched.height else 0
            self._lake.replace_hours("session_parts", new, hours)
        return {
            hour: Done(content_fingerprint(part), part.height, {"sessions_changed": changed})
            for hour, part in hours_of(new, hours).items()
        }

    def _replace_sessions(
        self, hours: Sequence[datetime], new: pl.DataFrame, touched: pl.DataFrame
    ) -> int:
        parts, old = self._connected(hours, new, touched)
        rebuilt = rebuild_sessions(
            parts,
            self._events_of(overlapping_keys(parts, self._silence), hours),
            self._players.attributes,
            self._silence,
            self._players.local_sources,
        ).select(old.columns)
        upserts, deletes = diff_rows(old, rebuilt, _KEYS)
        enqueue(self._lake, _players_touched(old, upserts, deletes))
        return self._lake.apply_changes("sessions", upserts, deletes)

    def _connected(
        self, hours: Sequence[datetime], new: pl.DataFrame, touched: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """All parts and old sessions that the touched spans may reach.

        A session may start long before the hour that touches it, so the spans are widened by
        the sessions and parts they meet until they meet no more.
        """
        stored = self._lake.scan("session_parts").filter(~hours_expression(hours))
        sessions = self._lake.scan("sessions").with_columns(
            first_at=pl.col("started_at"), last_at=pl.col("ended_at")
        )
        spans = touched
        while True:
            reach = spans.with_columns(
                _from=pl.col("first_at") - self._silence,
                _to=pl.col("last_at") + self._silence,
            ).drop("first_at", "last_at")
            old = _meeting(sessions, reach)
            parts = pl.concat([_meeting(stored, reach), new])
            wider = _spans([spans, old, parts])
            if wider.equals(spans):
                return parts, old.drop("first_at", "last_at")
            spans = wider

    def _events_of(self, keys: pl.DataFrame, hours: Sequence[datetime]) -> pl.DataFrame:
        """The events of overlapping sessions, from the hours that hold them."""
        if keys.is_empty():
            return pl.DataFrame(schema=TABLES["cleaned_events"].polars_schema)
        wanted = [
            datetime(day.year, day.month, day.day, hour, tzinfo=hours[0].tzinfo)
            for day, hour in keys.select("p_ingest_date_utc", "p_ingest_hour_utc")
            .unique()
            .iter_rows()
        ]
        return (
            self._lake.scan("cleaned_events")
            .filter(hours_expression(wanted))
            .join(keys.select(SESSION).unique().lazy(), on=SESSION, how="semi")
            .collect()
        )


def _spans(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Per session id, from its first to its last event in any of the frames."""
    columns = [*SESSION, "first_at", "last_at"]
    return (
        pl.concat([frame.select(columns) for frame in frames])
        .group_by(SESSION)
        .agg(pl.col("first_at").min(), pl.col("last_at").max())
        .sort(SESSION)
    )


def _meeting(rows: pl.LazyFrame, reach: pl.DataFrame) -> pl.DataFrame:
    """The rows whose span meets the reach of their session id."""
    first, last = reach["_from"].min(), reach["_to"].max()
    columns = rows.collect_schema().names()
    return (
        # The two plain bounds let whole files be skipped by their statistics.
        rows.filter(pl.col("last_at") >= first, pl.col("first_at") <= last)
        .join(reach.lazy(), on=SESSION, how="inner")
        .filter(pl.col("last_at") >= pl.col("_from"), pl.col("first_at") <= pl.col("_to"))
        .select(columns)
        .collect()
    )


def _players_touched(old: pl.DataFrame, upserts: pl.DataFrame, deletes: pl.DataFrame) -> list[str]:
    """Players who gain, lose or keep a session whose owner, device or span changed."""
    gone = old.join(deletes, on=_KEYS, how="semi")
    before = old.select(*_KEYS, *_OWNERSHIP)
    moved = upserts.join(before, on=[*_KEYS, *_OWNERSHIP], how="anti", nulls_equal=True)
    replaced = old.join(moved, on=_KEYS, how="semi")
    players = pl.concat([frame["player_id"] for frame in (gone, moved, replaced)])
    return sorted(players.drop_nulls().unique().to_list())
