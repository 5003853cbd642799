"""One pass of finding incidents: look at everything, fold it into what was known, write it down.

Belongs here: the order of a pass and what is kept between passes. Does not: any look
(`found_in_*.py`), the fold (`incidents.py`), and telling anybody.

The clock is an argument. What Dagster and the lake hold counts as it is when the pass runs. Marks
are written after the incidents: a pass that is killed in between looks again at what it has seen,
which changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg
import polars as pl

from kpi_platform.alerts.finders.found_in_checks import look_at_checks
from kpi_platform.alerts.finders.found_in_hours import (
    freshness_text,
    look_at_failed_hours,
    look_at_freshness,
)
from kpi_platform.alerts.finders.found_in_restatements import look_at_restatements
from kpi_platform.alerts.finders.found_in_runs import look_at_runs
from kpi_platform.alerts.finders.found_in_ticks import look_at_backfills, look_at_ticks
from kpi_platform.alerts.incident_rows import TABLE, frame_of, incidents_of
from kpi_platform.alerts.incidents import Incident, Look, acknowledge, fold
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.restatement_limits import Limit
from kpi_platform.storage.lake.lake import Lake, named
from kpi_platform.storage.lake.locks import lake_lock

ALERTS_LOCK = "alerts"
_MARKS = "alert_marks"
# Facts that were closed: what they told is not told again within this time.
_REMEMBERED = timedelta(days=60)


@dataclass(frozen=True)
class Places:
    """What a pass looks at. `checks`: every check of the definitions, with its description;
    `groups`: the group of every asset."""

    parts: Platform
    instance: dg.DagsterInstance
    checks: Mapping[dg.AssetCheckKey, str]
    groups: Mapping[str, str]


class UnknownIncidentError(ValueError):
    """No incident has this id."""


def find_incidents(
    places: Places, at: datetime, limit: Limit, further: Sequence[Look] = ()
) -> list[Incident]:
    """Look at everything and write down the incidents that are new or changed, which are returned.

    `further`: looks that the caller made. To be called under `ALERTS_LOCK`.
    """
    lake = places.parts.lake
    marks = read_marks(lake)
    looks, new_marks = _look(places, marks, at, limit)
    changed = fold(read_incidents(lake, at - _REMEMBERED), [*looks, *further], at)
    write_incidents(places.parts, changed)
    write_marks(lake, {name: text for name, text in new_marks.items() if marks.get(name) != text})
    return changed


def _look(
    places: Places, marks: Mapping[str, str], at: datetime, limit: Limit
) -> tuple[list[Look], dict[str, str]]:
    lake, instance, parts = places.parts.lake, places.instance, places.parts
    runs = look_at_runs(instance, _time(marks.get("runs")))
    row = marks.get("checks")
    checks = look_at_checks(instance, places.checks, int(row) if row else None, runs.unfinished)
    fresh = freshness_text(lake, parts.sources, marks.get("freshness", ""))
    hours_limit = timedelta(hours=parts.settings.freshness_limit_hours)
    restated, restated_mark = look_at_restatements(lake, _time(marks.get("restated")), limit)
    looks = [
        *runs.looks,
        *checks.looks,
        *look_at_failed_hours(lake, runs.hours),
        *look_at_freshness(fresh, hours_limit, at),
        look_at_ticks(instance, at),
        look_at_backfills(instance, at),
        *restated,
    ]
    new = {
        "runs": runs.mark.isoformat() if runs.mark else "",
        "checks": str(checks.mark),
        "freshness": fresh,
        # Whatever is restated from the first look on is told, also if nothing ever was.
        "restated": (restated_mark or at).isoformat(),
    }
    return looks, {name: text for name, text in new.items() if text}


def read_incidents(lake: Lake, since: datetime) -> list[Incident]:
    """The incidents that are open, or were closed since `since`."""
    rows = lake.scan(TABLE).filter(
        pl.col("resolved_at").is_null() | (pl.col("resolved_at") >= since)
    )
    return incidents_of(rows.collect())


def write_incidents(parts: Platform, incidents: Sequence[Incident]) -> None:
    """Insert or replace these rows of `incidents`; without any, nothing is written."""
    if not incidents:
        return
    sources = parts.sources.frame()
    studios = dict(sources.select("source", "studio").iter_rows())
    rows = frame_of(incidents, studios)
    parts.lake.replace(TABLE, rows, named("incident_id", rows["incident_id"]))


def acknowledge_incident(parts: Platform, incident_id: str, at: datetime) -> Incident:
    """Note that somebody took note of an incident. Raises UnknownIncidentError."""
    with lake_lock(parts.lake.uri, ALERTS_LOCK):
        rows = parts.lake.scan(TABLE).filter(pl.col("incident_id") == incident_id).collect()
        if rows.is_empty():
            raise UnknownIncidentError(f"no incident has the id {incident_id!r}")
        after = acknowledge(incidents_of(rows)[0], at)
        write_incidents(parts, [after])
    return after


def read_marks(lake: Lake) -> dict[str, str]:
    """How far every look has come."""
    return dict(lake.scan(_MARKS).select("name", "value").collect().iter_rows())


def write_marks(lake: Lake, marks: Mapping[str, str]) -> None:
    """Keep these marks; without any, nothing is written."""
    if marks:
        schema = {"name": pl.String, "value": pl.String}
        rows = pl.DataFrame(list(marks.items()), schema=schema, orient="row")
        lake.replace(_MARKS, rows, named("name", marks))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
