"""The sensors that see files arrive: every half minute in the window, once a day everywhere.

Belongs here: polling, the clock, and asking Dagster for runs. Does not: deciding which hours
changed (arrivals_watch.py).

An hour is asked for once per state of its files. If its run fails, it is tried again when its
files change, when somebody runs it, and by the daily listing: what failed for its contents fails
again, and half a minute later is too soon for anything else.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

from kpi_platform.arrivals.watching.arrivals_watch import (
    HourRange,
    Memory,
    changed_hours,
    days_from,
    memory_of,
    remembered,
    requested,
    window_hours,
)
from kpi_platform.arrivals.watching.landing_checks import unread_ranges
from kpi_platform.arrivals.watching.schedules import everything, landing_listing
from kpi_platform.arrivals.watching.watched_files import Feeds, Telemetry, read_state
from kpi_platform.engine.platform import Platform
from kpi_platform.orchestration.dagster_internals import RANGE_END, RANGE_START
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.schemas.sources_file.sources import SourcesError
from kpi_platform.schemas.texts.hidden_secrets import hide_secrets
from kpi_platform.storage.lake.lake import LakeError
from kpi_platform.storage.landing.landing import LandingError, LandingFile

# Dagster ends a tick after 60 s, and with it everything the tick found out.
LISTING_SECONDS = 30.0


@dg.sensor(
    name="telemetry_arrivals_sensor",
    job=everything,
    minimum_interval_seconds=30,
    description="Requests the hours of the look-back window whose files are new, late or "
    "rewritten.",
)
def telemetry_arrivals_sensor(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> dg.SensorResult:
    """List the window's hours and request those that changed, neighbours together."""
    return _changed_hours(context, platform, Telemetry)


@dg.run_status_sensor(
    name="landing_listing_sensor",
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[landing_listing],
    request_job=everything,
    # It acts on that job's runs alone: whoever starts one wants what follows from it.
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests the hours that a full listing found unread.",
)
def landing_listing_sensor(
    context: dg.RunStatusSensorContext,
) -> dg.SensorResult | dg.SkipReason:
    """Request what the listing that has just ended found: older changes and failed hours."""
    run_id = context.dagster_run.run_id
    ranges = unread_ranges(context.instance, run_id)
    if not ranges:
        return dg.SkipReason("the files of every hour are those that were read")
    return dg.SensorResult(run_requests=[_request(name, run_id) for name in ranges])


@dg.sensor(
    name="feed_arrivals_sensor",
    job=everything,
    minimum_interval_seconds=60,
    description="Requests the hours of the look-back window whose files of console and stream "
    "platforms are new, late or rewritten.",
)
def feed_arrivals_sensor(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> dg.SensorResult:
    """List the window's hours of every feed's folder and request those that changed."""
    return _changed_hours(context, platform, Feeds, "feeds:")


def _changed_hours(
    context: dg.SensorEvaluationContext,
    platform: PlatformResource,
    kind: type[Telemetry | Feeds],
    mark: str = "",
) -> dg.SensorResult:
    """Request the window's changed hours; `mark` keeps one sensor's run keys from another's."""
    # What cannot be read, or is set wrong, is raised: the tick is red, and nobody takes a platform
    # that sees nothing for one in which nothing arrives.
    parts = platform.platform
    try:
        memory, ranges = watch(
            parts, memory_of(context.cursor), datetime.now(UTC), what=kind(parts)
        )
    except (LandingError, LakeError, SourcesError) as error:
        raise type(error)(hide_secrets(str(error))) from None
    if not ranges:
        return dg.SensorResult(skip_reason="no hour changed", cursor=memory.to_cursor())
    requests = [_request(hours.name, f"{mark}{hours.fingerprint}") for hours in ranges]
    return dg.SensorResult(run_requests=requests, cursor=memory.to_cursor())


def watch(
    parts: Platform,
    memory: Memory,
    now: datetime,
    clock: Callable[[], float] = time.monotonic,
    what: Telemetry | Feeds | None = None,
) -> tuple[Memory, list[HourRange]]:
    """One look at the window's files, newest day first: the memory after it and what to run.

    Stops after the day in which LISTING_SECONDS are over; the next look goes on from there.
    Raises LandingError, LakeError or SourcesError.
    """
    settings = parts.settings
    window = window_hours(now, settings.sensor_look_back_hours, settings.start_hour)
    what = what or Telemetry(parts)
    deadline = clock() + LISTING_SECONDS
    fingerprints: dict[datetime, str] = {}
    listing: dict[datetime, list[LandingFile]] = {}
    next_day = ""
    for hours in days_from(window, memory.next_day):
        if clock() > deadline:
            next_day = f"{hours[0]:%Y-%m-%d}"
            break
        files: dict[datetime, list[LandingFile]] = {hour: [] for hour in hours}
        for of_folder in what.landing.list_folders(what.folders, hours).values():
            for hour, listed in of_folder.items():
                files[hour] += listed
        listing |= files
        fingerprints |= {hour: what.fingerprint(files[hour]) for hour in hours}
    changed = changed_hours(memory, fingerprints)
    # The lake is asked only if something changed: ticks are many, arrivals few.
    some = {hour: listing[hour] for hour in changed}
    read = read_state(parts, what, some, fingerprints, changed) if changed else {}
    ranges = requested(memory, fingerprints, read)
    return remembered(memory, fingerprints, window, ranges, next_day), ranges


def _request(name: str, mark: str) -> dg.RunRequest:
    """Request the hours `name` (a key, or `A...B`), once for each `mark`."""
    first, _, last = name.partition("...")
    run_key = f"{name}:{mark}"
    if not last:
        return dg.RunRequest(run_key=run_key, partition_key=first)
    return dg.RunRequest(run_key=run_key, tags={RANGE_START: first, RANGE_END: last})
