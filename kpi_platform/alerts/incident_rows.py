"""Incidents as rows of the table `incidents`, and back; their hours as text.

Belongs here: the form. Does not: reading and writing the table (`alert_pass.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from kpi_platform.alerts.incident_words import affects, mend, studios_of
from kpi_platform.alerts.incidents import Incident, Key
from kpi_platform.schemas.hours.hour_ranges import HOUR, Range, named_range
from kpi_platform.schemas.tables import TABLES

TABLE = "incidents"
_KEY = "%Y-%m-%d-%H:%M"


def hours_text(ranges: Iterable[Range], most: int | None = None) -> str:
    """Ranges of hours as keys and `A...B`, in order; beyond `most` it says how many more."""
    names = [_name(*span) for span in ranges]
    if most is None or len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def hours_in_text(text: str) -> tuple[Range, ...]:
    """The ranges of such a text, written without `most`."""
    return tuple(_range(name) for name in text.split(", ") if name)


def frame_of(incidents: Sequence[Incident], studios: dict[str, str]) -> pl.DataFrame:
    """Rows of `incidents`. `studios`: the studio of each source."""
    rows = [_row(incident, studios) for incident in incidents]
    return pl.DataFrame(rows, schema=TABLES[TABLE].polars_schema, orient="row")


def incidents_of(rows: pl.DataFrame) -> list[Incident]:
    """The incidents of such rows, the oldest first."""
    return [_incident(row) for row in rows.sort("opened_at", "incident_id").iter_rows(named=True)]


def _row(incident: Incident, studios: dict[str, str]) -> dict[str, object]:
    key, hours = incident.key, incident.hours
    return {
        "incident_id": incident.incident_id,
        **key._asdict(),
        "severity": incident.severity,
        "first_hour": hours[0][0] if hours else None,
        "last_hour": hours[-1][1] - HOUR if hours else None,
        "hours": hours_text(hours),
        "open_hours": hours_text(incident.open_hours),
        "is_whole": incident.is_whole,
        "studios": studios_of(key, studios),
        "cause": incident.cause,
        "affects": affects(key),
        "mend": mend(incident),
        "opened_at": incident.opened_at,
        "last_seen_at": incident.last_seen_at,
        "grown_at": incident.grown_at,
        "acknowledged_at": incident.acknowledged_at,
        "resolved_at": incident.resolved_at,
        "closed_by": incident.closed_by,
    }


def _incident(row: dict[str, object]) -> Incident:
    as_they_are = (
        *("incident_id", "cause", "closed_by", "is_whole"),
        *("opened_at", "last_seen_at", "grown_at", "acknowledged_at", "resolved_at"),
    )
    values: dict[str, Any] = {name: row[name] for name in as_they_are}
    incident = Incident(
        **values,
        mend="",
        key=Key(*(str(row[name]) for name in Key._fields)),
        severity="error" if row["severity"] == "error" else "warn",
        hours=hours_in_text(str(row["hours"])),
        open_hours=hours_in_text(str(row["open_hours"])),
    )
    # Only what a finding said itself is its own; the command of its kind is made anew.
    said_mend = "" if mend(incident) == row["mend"] else str(row["mend"])
    return replace(incident, mend=said_mend)


def _name(first: datetime, end: datetime) -> str:
    return named_range(f"{first:{_KEY}}", f"{end - HOUR:{_KEY}}")


def _range(name: str) -> Range:
    first, _, last = name.partition("...")
    return _hour(first), _hour(last or first) + HOUR


def _hour(text: str) -> datetime:
    return datetime.strptime(text, _KEY).replace(tzinfo=UTC)
