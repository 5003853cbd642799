"""Checks of all files there are: none out of place, no folder unnamed, no hour unread.

Belongs here: what Dagster shows of a full listing. Does not: the judgement (landing_listing.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from kpi_platform.arrivals.watching.arrivals_watch import (
    hours_due,
    hours_that_ran,
    split_ranges,
)
from kpi_platform.arrivals.watching.landing_listing import (
    MOST_NAMES,
    Listing,
    judge_listing,
    unnamed_folders,
    unread_hours,
    why_nothing_comes,
)
from kpi_platform.arrivals.watching.missing_files import held_hours, note_missing_of_all
from kpi_platform.arrivals.watching.watched_files import Feeds, Telemetry, read_state
from kpi_platform.engine.platform import Platform
from kpi_platform.orchestration.dagster_internals import CheckResult
from kpi_platform.orchestration.partitions import key_of, range_name
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.schemas.findings import FINDINGS, Finding, findings_in, findings_text
from kpi_platform.storage.landing.landing import LandingError

TABLE = dg.AssetKey("raw_telemetry")
FILES = dg.AssetCheckKey(TABLE, "every_file_is_under_a_valid_hour")
FOLDERS = dg.AssetCheckKey(TABLE, "every_source_is_configured")
HOURS = dg.AssetCheckKey(TABLE, "every_hour_is_read")
FEEDS = dg.AssetCheckKey(dg.AssetKey("raw_console_feed"), "every_file_of_feeds_is_read")
HELD = dg.AssetCheckKey(TABLE, "no_hour_holds_files_that_are_gone")
LISTING_CHECKS = (FILES, FOLDERS, HOURS, FEEDS, HELD)
# A request for years of hours is cut, so that a run ends within hours and not within days.
LONGEST_RANGE = timedelta(days=31)
# Hours and sources told of in one look; the rest, when these are mended.
_MOST_FINDINGS = 500
_DESCRIPTIONS = {
    FILES: "No file lies under no valid hour, before the first partition or in the future, and "
    "none has a name that is not read. What writers name as hidden, unfinished or no data is named "
    "but does no harm.",
    FOLDERS: "Every folder of the landing zone belongs to a source that KPI_SOURCES names, and "
    "every folder that a source names is there.",
    HOURS: "The files of every hour are those that were read, and every hour since the first "
    "partition was run, whether files came or not.",
    HELD: "Every file of telemetry and of feeds that an hour holds is there, or every line of it "
    "is in another file there. Named are hours and sources; `kpi removals list` names the files.",
    FEEDS: "The files of console and stream feeds are, in every hour, those that were read; none "
    "lies under no valid hour or in a folder that no feed names.",
}


@dg.multi_asset_check(
    name="list_landing",
    specs=[
        dg.AssetCheckSpec(key.name, asset=key.asset_key, description=text)
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
        FEEDS: _feeds(platform.platform, datetime.now(UTC)),
    }
    # The listings before have noted what is gone.
    results[HELD] = _held(platform.platform)
    for key in sorted(context.op_execution_context.selected_asset_check_keys):
        passed, metadata = results[key]
        yield CheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=metadata,
        )


Result = tuple[bool, dict[str, int | str]]


def _files_and_hours(parts: Platform, now: datetime) -> dict[dg.AssetCheckKey, Result]:
    due = hours_due(parts.settings.start_hour, now)
    listing, unread = _listed(parts, Telemetry(parts), due, now)
    return {
        FILES: (not listing.out_of_place, dict(listing.figures())),
        HOURS: (not unread, _hours(unread)),
    }


def _feeds(parts: Platform, now: datetime) -> Result:
    try:
        # An hour that no feed delivered is nobody's gap: telemetry's listing sees it run.
        listing, unread = _listed(parts, Feeds(parts), [], now)
    except LandingError as error:
        # Feeds that cannot be reached keep nothing from telemetry.
        return False, {"error": str(error), **_hours([])}
    is_right = not unread and not listing.out_of_place
    return is_right, {**listing.figures(), **_hours(unread)}


def _listed(
    parts: Platform, what: Telemetry | Feeds, due: Sequence[datetime], now: datetime
) -> tuple[Listing, list[datetime]]:
    """All files of a place, and the hours that a run should bring up to date."""
    start = parts.settings.start_hour
    listing = judge_listing(what.list_all(), what.why_not, what.fingerprint, start, now)
    ran = hours_that_ran(parts.lake.scan("hour_ledger").collect())
    read = read_state(parts, what, listing.files, listing.hours)
    note_missing_of_all(parts, what, listing.files)
    return listing, unread_hours(listing, read, ran, due)


def _hours(unread: Sequence[datetime]) -> dict[str, int | str]:
    ranges = [range_name(*pair) for pair in split_ranges(unread, LONGEST_RANGE)]
    ends = unread and f"--from {key_of(min(unread))} --to {key_of(max(unread))}"
    mend = {"mend": f"kpi backfill run {ends}"} if ends else {}
    return {"hours": len(unread), "ranges": ", ".join(ranges), **mend}


def _held(parts: Platform) -> Result:
    found = list(held_hours(parts.lake))
    named = [f"{key_of(check.hour)} {check.figures['sources']}" for _, check in found]
    # As the check of each hour says them, so that whoever is told of one hears of it once. An hour
    # is told with all its sources: one that is left out would count as right again.
    findings: list[Finding] = []
    for table, check in found:
        of_hour = findings_in(str(check.figures[FINDINGS]), table, check.spec.name)
        if findings and len(findings) + len(of_hour) > _MOST_FINDINGS:
            break
        findings += [replace(finding, hours=(check.hour,)) for finding in of_hour]
    return not named, {
        "hours": len(named),
        "names": "\n".join(named[:MOST_NAMES]),
        FINDINGS: findings_text(findings),
    }


def _folders(parts: Platform) -> Result:
    folders = parts.landing.folders()
    unnamed = unnamed_folders(folders, parts.sources)
    absent = why_nothing_comes(parts.landing.uri, folders, parts.sources)
    return not unnamed and not absent, {
        "folders": len(unnamed),
        "names": ", ".join(unnamed[:MOST_NAMES]),
        "absent": "; ".join(absent[:MOST_NAMES]),
    }


def unread_ranges(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The ranges of hours (`A...B`, or one key) that the listing of this run found unread."""
    records = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    ranges = []
    for record in records:
        event = record.get_dagster_event().asset_check_evaluation_data
        if event.asset_check_key in (HOURS, FEEDS):
            names = str(event.metadata["ranges"].value)
            ranges += names.split(", ") if names else []
    # Telemetry and feeds of one range are one run.
    return list(dict.fromkeys(ranges))
