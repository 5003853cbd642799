"""Checks of the landing zone as a whole: no file out of place, no folder unnamed, no hour unread.

Belongs here: what Dagster shows of a full listing. Does not: the judgement (landing_listing.py).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from kpi_platform.arrivals.arrivals_watch import (
    range_name,
    read_fingerprints,
    split_ranges,
    window_hours,
)
from kpi_platform.arrivals.landing_listing import (
    MOST_NAMES,
    judge_listing,
    unnamed_folders,
    unread_hours,
)
from kpi_platform.resources import PlatformResource
from kpi_platform.storage.platform import Platform

TABLE = dg.AssetKey("raw_telemetry")
FILES = dg.AssetCheckKey(TABLE, "every_file_is_under_a_valid_hour")
FOLDERS = dg.AssetCheckKey(TABLE, "every_source_is_configured")
HOURS = dg.AssetCheckKey(TABLE, "every_hour_is_read")
LISTING_CHECKS = (FILES, FOLDERS, HOURS)
# A request for years of hours is cut, so that a run ends within hours and not within days.
LONGEST_RANGE = timedelta(days=31)
_DESCRIPTIONS = {
    FILES: "No file lies under no valid hour, before the first partition or in the future, and "
    "none has an ending that is not read. Hidden files are named but do no harm.",
    FOLDERS: "Every folder of the landing zone belongs to a source that KPI_SOURCES names.",
    HOURS: "The files of every hour are those that were read, and no recent hour was skipped.",
}


@dg.multi_asset_check(
    name="list_landing",
    specs=[
        dg.AssetCheckSpec(key.name, asset=TABLE, description=text)
        for key, text in _DESCRIPTIONS.items()
    ],
    can_subset=True,
)
def list_landing(
    context: dg.AssetCheckExecutionContext, platform: PlatformResource
) -> Iterator[dg.AssetCheckResult]:
    """List every file there is, once, for the checks that are asked for."""
    results = {
        **_files_and_hours(platform.platform, datetime.now(UTC)),
        FOLDERS: _folders(platform.platform),
    }
    for key in sorted(context.op_execution_context.selected_asset_check_keys):
        passed, metadata = results[key]
        yield dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=metadata,
        )


Result = tuple[bool, dict[str, int | str]]


def _files_and_hours(parts: Platform, now: datetime) -> dict[dg.AssetCheckKey, Result]:
    settings = parts.settings
    listing = judge_listing(parts.landing.list_all(), parts.sources, settings.start_hour, now)
    window = window_hours(now, settings.sensor_look_back_hours, settings.start_hour)
    read = read_fingerprints(parts.lake.scan("hour_ledger").collect())
    unread = unread_hours(listing, read, window)
    ranges = [range_name(*pair) for pair in split_ranges(unread, LONGEST_RANGE)]
    return {
        FILES: (not listing.out_of_place, dict(listing.figures())),
        HOURS: (not unread, {"hours": len(unread), "ranges": ", ".join(ranges)}),
    }


def _folders(parts: Platform) -> Result:
    unnamed = unnamed_folders(parts.landing.folders(), parts.sources)
    return not unnamed, {"folders": len(unnamed), "names": ", ".join(unnamed[:MOST_NAMES])}


def unread_ranges(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The ranges of hours (`A...B`, or one key) that the listing of this run found unread."""
    records = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    for record in records:
        event = record.get_dagster_event().asset_check_evaluation_data
        if event.asset_check_key == HOURS:
            names = str(event.metadata["ranges"].value)
            return names.split(", ") if names else []
    return []
