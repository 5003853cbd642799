"""The assets of room 2: `cleaned_events` with its quarantine and ledger, and `sessions`.

Belongs here: what Dagster runs. Does not: how it is done, which the steps and pure modules know.
"""

from collections.abc import Iterator

import dagster as dg

from kpi_platform.cleaned.checks import EVENT_CHECKS, SESSION_CHECKS, check_events, check_sessions
from kpi_platform.cleaned.events_step import VERSION as EVENTS_VERSION
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import VERSION as SESSIONS_VERSION
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.orchestration.asset_specs import hourly_spec
from kpi_platform.orchestration.recording import check_specs, naming_the_setting, record_hours
from kpi_platform.orchestration.resources import PlatformResource

ROWS_PER_CHUNK = 1_000_000
GROUP = "cleaned"


@dg.multi_asset(
    name="cleaned_events",
    specs=[
        hourly_spec("cleaned_events", GROUP, EVENTS_VERSION),
        hourly_spec("quarantined_events", GROUP, EVENTS_VERSION),
        hourly_spec("hour_ledger", GROUP, EVENTS_VERSION),
        hourly_spec("table_ledger", GROUP, EVENTS_VERSION),
    ],
    check_specs=check_specs(EVENT_CHECKS),
    backfill_policy=dg.BackfillPolicy.single_run(),
    can_subset=True,
)
def cleaned_events(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
    """Decode, identify and deduplicate the lines of each hour, and account for every one."""
    with naming_the_setting():
        lake, settings = platform.platform.lake, platform.platform.settings
        yield from record_hours(
            context,
            lake,
            EventsStep.of(platform.platform),
            lambda hours: check_events(lake, hours, settings.quarantine_share_threshold),
            ROWS_PER_CHUNK,
        )


@dg.multi_asset(
    name="sessions",
    specs=[hourly_spec("sessions", GROUP, SESSIONS_VERSION)],
    check_specs=check_specs(SESSION_CHECKS),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def sessions(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
    """Rebuild the sessions that each changed hour touches."""
    with naming_the_setting():
        lake, known = platform.platform.lake, platform.platform.sources.platform_names
        step = SessionsStep.of(platform.platform)
        yield from record_hours(
            context, lake, step, lambda hours: check_sessions(lake, hours, known), ROWS_PER_CHUNK
        )
