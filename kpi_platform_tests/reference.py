"""The slow, obvious reference: sessions and version history written straight from their meaning.

Belongs here: plain Python over lists of events, readable beside the definitions. Does not: any
code of the engine, and anything clever.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from unicodedata import category
from uuid import UUID

import polars as pl

Row = dict[str, Any]

PLAYER_ID_ATTRIBUTES = ("PlayerId", "UserId", "AccountId")
SILENCE = timedelta(hours=24)
NOBODY = {"null", "none", "undefined", "nan", "0", "-1", "[object object]", f"{UUID(int=0)}"}


@dataclass(frozen=True)
class Event:
    """One copy of an event, as it lies in one ingest hour (the start of that hour, UTC)."""

    session: str
    at: datetime
    name: str
    ingest_hour: datetime
    attributes: dict[str, Any] = field(default_factory=dict, hash=False)
    txn: int = 0
    source: str = "source"
    service: str = "service"

    @property
    def event_id(self) -> str:
        """Equal for copies of one event, whatever hour they lie in."""
        identity = [self.source, self.service, self.session, self.txn, str(self.at), self.name]
        return hashlib.md5(json.dumps([identity, self.attributes]).encode()).hexdigest()

    def attribute(self, name: str) -> str | None:
        """The attribute's text; None if it is missing, blank, or no scalar."""
        value = self.attributes.get(name)
        return value if isinstance(value, str) and value.strip() else None

    def version(self, name: str = "Version") -> str | None:
        """The version that the attribute tells, without what nobody sees around it."""
        text = list(self.attribute(name) or "")
        unseen = {"Cc", "Cf", "Zs", "Zl", "Zp"}
        while text and category(text[0]) in unseen:
            text.pop(0)
        while text and category(text[-1]) in unseen:
            text.pop()
        told = "".join(text)
        return None if told.lower() in NOBODY | {""} else told

    def player(self) -> str | None:
        """The player the event names, if any."""
        named = (self.attribute(name) for name in PLAYER_ID_ATTRIBUTES)
        return next((player for player in named if player is not None), None)


def cleaned_events(events: list[Event]) -> pl.DataFrame:
    """Return the events as the table `cleaned_events`: distinct within each ingest hour."""
    rows = {
        (event.event_id, event.ingest_hour): (
            event.event_id,
            event.source,
            "studio",
            event.source,
            event.service,
            event.session,
            event.txn,
            event.name,
            event.at,
            json.dumps(event.attributes, separators=(",", ":")),
            event.ingest_hour.date(),
            event.ingest_hour.hour,
        )
        for event in events
    }
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "event_id": pl.String,
        "source": pl.String,
        "studio": pl.String,
        "game": pl.String,
        "service_name": pl.String,
        "session_id": pl.String,
        "transaction_id": pl.Int64,
        "event_name": pl.String,
        "event_at": pl.Datetime("us", "UTC"),
        "attributes": pl.String,
        "p_ingest_date_utc": pl.Date,
        "p_ingest_hour_utc": pl.Int32,
    }
    return pl.DataFrame(list(rows.values()), schema=schema, orient="row")


def distinct(events: list[Event]) -> list[Event]:
    """Each event once, however many copies of it arrived."""
    return list({event.event_id: event for event in events}.values())


def session_groups(events: list[Event]) -> list[list[Event]]:
    """The events of each session, in the order (timestamp, transaction id, event id)."""
    by_id: dict[tuple[str, str, str], list[Event]] = {}
    for event in distinct(events):
        if event.session.strip():
            by_id.setdefault((event.source, event.service, event.session), []).append(event)
    groups = []
    for members in by_id.values():
        previous = None
        for event in sorted(members, key=lambda e: (e.at, e.txn, e.event_id)):
            if previous is None or event.at - previous.at > SILENCE:
                groups.append([event])
            else:
                groups[-1].append(event)
            previous = event
    return groups


def session_player(group: list[Event]) -> str | None:
    """The player named by the session's first identifying event."""
    named = [(event.at, event.txn, player) for event in group if (player := event.player())]
    return min(named)[2] if named else None


def first_attribute(group: list[Event], name: str) -> str:
    """The first value that any event of the session gives, else `unknown`."""
    return next((value for event in group if (value := event.attribute(name))), "unknown")


def duration_seconds(group: list[Event]) -> float:
    """That of the last SessionEnd with 0 to 24 h, else last minus first event."""
    seconds = (group[-1].at - group[0].at).total_seconds()
    for event in group:
        text = (event.attribute("DurationSeconds") or "").strip()
        is_number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII)
        if event.name == "SessionEnd" and is_number and 0 <= float(text) <= 24 * 3600:
            seconds = float(text)
    return seconds


def reference_sessions(events: list[Event]) -> list[Row]:
    """The table `sessions`, sorted by key."""
    rows = []
    for group in session_groups(events):
        names = [event.name for event in group]
        rows.append(
            {
                "source": group[0].source,
                "service_name": group[0].service,
                "session_id": group[0].session,
                "player_id": session_player(group),
                "platform": first_attribute(group, "Platform"),
                "device": first_attribute(group, "Device"),
                "country": first_attribute(group, "Country"),
                "started_at": group[0].at,
                "ended_at": group[-1].at,
                "ended_normally": "SessionEnd" in names,
                "duration_seconds": duration_seconds(group),
                "event_count": len(group),
                "crash_count": names.count("Crash"),
                "issue_count": names.count("Issue"),
                "purchase_count": names.count("Purchase"),
                "feature_used_count": names.count("FeatureUsed"),
                "notification_count": names.count("Notification"),
                "p_started_date_utc": group[0].at.date(),
            }
        )
    key = ("source", "service_name", "session_id", "started_at")
    return sorted(rows, key=lambda row: tuple(row[name] for name in key))


def sightings_by_track(events: list[Event]) -> dict[tuple[str, str, str], list[Event]]:
    """The sightings that count of each (player, service, device), in order of time."""
    owners: dict[str, tuple[str | None, str]] = {}
    for group in session_groups(events):
        player, device = session_player(group), first_attribute(group, "Device")
        owners.update({event.event_id: (player, device) for event in group})

    tracks: dict[tuple[str, str, str], list[Event]] = {}
    for event in distinct(events):
        if event.name != "SoftwareVersion" or event.version() is None:
            continue
        player, session_device = owners.get(event.event_id, (event.player(), "unknown"))
        if player is not None:
            device = event.attribute("Device") or session_device
            tracks.setdefault((player, event.service, device), []).append(event)

    for track, seen in tracks.items():
        seen.sort(key=lambda e: (e.at, e.txn, e.session, e.version() or ""))
        tracks[track] = list({event.at: event for event in seen}.values())
    return tracks


def reference_intervals(events: list[Event]) -> list[Row]:
    """The intervals with `last_seen_at` and `sightings`, sorted by key."""
    rows: list[Row] = []
    for (player, service, device), seen in sorted(sightings_by_track(events).items()):
        run: Row | None = None
        for event in seen:
            version = event.version()
            if run is None or run["version"] != version:
                if run is not None:
                    run["valid_to"] = event.at
                run = {
                    "player_id": player,
                    "service_name": service,
                    "device": device,
                    "version": version,
                    "valid_from": event.at,
                    "valid_to": None,
                    "last_seen_at": event.at,
                    "sightings": 0,
                }
                rows.append(run)
            run["last_seen_at"] = event.at
            run["sightings"] += 1
    return rows


def interval_partition(interval: Row) -> tuple[str, date]:
    """`p_state` and `p_month` of an interval."""
    end = interval["valid_to"]
    state, at = ("open", interval["valid_from"]) if end is None else ("closed", end)
    return state, at.date().replace(day=1)


def reference_history(events: list[Event]) -> list[Row]:
    """The table `user_version_history`, sorted by player."""
    tracks = sightings_by_track(events)
    timeline = reference_intervals(events)
    rows = []
    for player in sorted({track[0] for track in tracks}):
        seen = [
            (event.at, service, device, event.version())
            for (owner, service, device), events_ in tracks.items()
            if owner == player
            for event in events_
        ]
        last_seen_at, service, device, version = max(seen)
        rows.append(
            {
                "player_id": player,
                "current_version": version,
                "current_device": device,
                "current_service": service,
                "first_seen_at": min(seen)[0],
                "last_seen_at": last_seen_at,
                "version_count": len({version for _, _, _, version in seen}),
                "timeline": [
                    {name: value for name, value in row.items() if name != "player_id"}
                    for row in timeline
                    if row["player_id"] == player
                ],
                "p_last_seen_date": last_seen_at.date(),
            }
        )
    return rows
