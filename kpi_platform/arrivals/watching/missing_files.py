"""Notes which files that hours hold are gone, without a run of the hours.

Belongs here: comparing listings with the ledger, for every kind of file. Does not: what held
files mean (`engine/removals.py`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import polars as pl

from kpi_platform.arrivals.watching.watched_files import Feeds, Telemetry
from kpi_platform.engine.file_ledger import TABLE, FileKind
from kpi_platform.engine.hour_fingerprints import newest_hour
from kpi_platform.engine.platform import Platform
from kpi_platform.engine.removals import RAW_TABLES, note_missing
from kpi_platform.storage.lake.lake import hours_in
from kpi_platform.storage.landing.landing import LandingFile

HOURS_AT_A_TIME = 168
KINDS: tuple[FileKind, ...] = ("telemetry", "console", "stream")


def note_missing_files(platform: Platform, span: tuple[datetime, datetime]) -> None:
    """List the hours from the first to the last (both included) that hold files, and note those
    that are gone. Raises LandingError if a place cannot be listed."""
    rows = platform.lake.scan(TABLE).filter(
        pl.col("p_ingest_date_utc").is_between(span[0].date(), span[1].date())
    )
    hours = [hour for hour in hours_in(rows.collect()) if span[0] <= hour <= span[1]]
    for start in range(0, len(hours), HOURS_AT_A_TIME):
        some = hours[start : start + HOURS_AT_A_TIME]
        for what in (Telemetry(platform), Feeds(platform)):
            files: dict[datetime, list[LandingFile]] = {hour: [] for hour in some}
            for folder in what.folders:
                for hour, listed in what.landing.list_hours(folder, some).items():
                    files[hour] += listed
            note(platform, what, files)


def note(
    platform: Platform, what: Telemetry | Feeds, files: Mapping[datetime, Iterable[LandingFile]]
) -> None:
    """Note what is gone of these hours, all of whose files are given."""
    days = platform.settings.landing_kept_days
    overwriting = platform.sources.overwriting()
    for kind in (kind for kind in KINDS if kind in what.kinds):
        newest = newest_hour(platform.lake, RAW_TABLES[kind]) if days is not None else None
        oldest = None if newest is None else newest + timedelta(hours=1) - timedelta(days=days or 0)
        note_missing(
            platform.lake,
            kind,
            {hour: {f.path for f in listed} for hour, listed in files.items()},
            overwriting,
            lambda hour, oldest=oldest: oldest is not None and hour < oldest,
        )
