"""The job that builds everything, and the schedule that runs it for the hour that has just ended.

Belongs here: what runs by the clock. Does not: what runs because files arrived (sensors.py).

Everything that runs hours by itself is stopped after installation. It is turned on in the UI
(Automation), or by `dagster schedule start hourly_schedule` and
`dagster sensor start telemetry_arrivals_sensor`; the daemon must run.
"""

import dagster as dg

from kpi_platform.arrivals.watching.landing_checks import LISTING_CHECKS
from kpi_platform.orchestration.resources import EVERYTHING

# The listing checks read the names of all files there are: once a day, not with every hour.
everything = dg.define_asset_job(
    EVERYTHING,
    selection=dg.AssetSelection.all() - dg.AssetSelection.checks(*LISTING_CHECKS),
    description="All assets for one hour, or for a range of hours in one run.",
)

landing_listing = dg.define_asset_job(
    "landing_listing",
    selection=dg.AssetSelection.checks(*LISTING_CHECKS),
    description="Lists all of the landing zone: files out of place, and hours whose files are not "
    "what was read. Those hours are then requested (landing_listing_sensor).",
)

# Files alone would do for the sensor; only the clock can say that an hour ended without any.
hourly_schedule = dg.build_schedule_from_partitioned_job(
    everything,
    name="hourly_schedule",
    minute_of_hour=5,
    description="Runs the hour that has just ended, so that an hour without files is recorded as "
    "processed and empty.",
)

landing_listing_schedule = dg.ScheduleDefinition(
    name="landing_listing_schedule",
    job=landing_listing,
    cron_schedule="40 3 * * *",
    execution_timezone="UTC",
    description="Once a day a full listing, for what is older than the sensor's window.",
)
