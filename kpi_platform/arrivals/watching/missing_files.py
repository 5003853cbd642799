"""Notes which files that hours hold are gone, without a run of the hours.

Belongs here: comparing listings with the ledger, for every kind of file. Does not: what held
files mean (`engine/books/removals.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import polars as pl

from kpi_platform.arrivals.held_checks import check_held
from kpi_platform.arrivals.watching.watched_files import Feeds, Telemetry
from kpi_platform.engine.books.file_ledger import TABLE, FileKind, held_files
from kpi_platform.engine.books.hour_fingerprints import newest_hour
from kpi_platform.engine.books.removals import RAW_TABLES, note_missing
from kpi_platform.engine.platform import Platform
from kpi_platform.orchestration.partitions import HOUR
from kpi_platform.schemas.hours.hour_checks import HourCheck
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.lake import Lake, hours_in
from kpi_platform.storage.landing.landing import LandingFile

HOURS_AT_A_TIME = 168
KINDS: tuple[FileKind, ...] = ("telemetry", "console", "stream")


def note_missing_files(platform: Platform, span: tuple[datetime, datetime]) -> None:
    """Note the files that hours from the first to the last (both included) hold and that are gone.

    Raises LandingError if a place cannot be listed.
    """
    rows = platform.lake.scan(TABLE).filter(
        pl.col("p_ingest_date_utc").is_between(span[0].date(), span[1].date())
    )
    hours = [hour for hour in hours_in(rows.collect()) if span[0] <= hour <= span[1]]
    for what in (Telemetry(platform), Feeds(platform)):
        _note(platform, what, hours)


def note_missing_of_all(
    platform: Platform,
    what: Telemetry | Feeds,
    files: Mapping[datetime, Sequence[LandingFile]],
) -> None:
    """Note what is gone of all hours, given a listing of all files there are.

    Only hours that seem to have lost one are looked at again, so that what was read since the
    listing began is not taken for gone.
    """
    listed = pl.DataFrame(
        [(h.date(), h.hour, f.path) for h, found in files.items() for f in found],
        {INGEST_HOUR[0]: pl.Date, INGEST_HOUR[1]: pl.Int32, "path": pl.String},
        orient="row",
    )
    known = platform.lake.scan(TABLE).filter(
        pl.col("state") == "read", pl.col("kind").is_in(what.kinds)
    )
    gone = known.join(listed.lazy(), on=[*INGEST_HOUR, "path"], how="anti")
    _note(platform, what, hours_in(gone.select(INGEST_HOUR).collect()))


def held_hours(lake: Lake) -> Iterator[tuple[str, HourCheck]]:
    """The hours that hold files that are gone, as raw table and its check; not those all of whose
    lines are in other files there."""
    held = held_files(lake)
    for kind in KINDS:
        hours = hours_in(held.filter(pl.col("kind") == kind))
        for check in check_held(lake, RAW_TABLES[kind], kind, hours):
            if not check.passed:
                yield RAW_TABLES[kind], check


def _note(platform: Platform, what: Telemetry | Feeds, hours: Sequence[datetime]) -> None:
    days = platform.settings.landing_kept_days
    for kind in (kind for kind in KINDS if kind in what.kinds):
        newest = newest_hour(platform.lake, RAW_TABLES[kind]) if days is not None else None
        oldest = None if newest is None else newest + HOUR - timedelta(days=days or 0)
        for start in range(0, len(hours), HOURS_AT_A_TIME):
            note_missing(
                platform.lake,
                kind,
                hours[start : start + HOURS_AT_A_TIME],
                partial(listed_paths, what),
                platform.sources.overwriting(),
                partial(_may_go, oldest),
            )


def _may_go(oldest: datetime | None, hour: datetime) -> bool:
    return oldest is not None and hour < oldest


def listed_paths(what: Telemetry | Feeds, hours: Sequence[datetime]) -> dict[datetime, set[str]]:
    """The paths that lie there now, per hour. Raises LandingError."""
    paths: dict[datetime, set[str]] = {hour: set() for hour in hours}
    for of_folder in what.landing.list_folders(what.folders, hours).values():
        for hour, files in of_folder.items():
            paths[hour] |= {file.path for file in files}
    return paths
