"""The assets of room 3: one row per player with the whole version history, and its intervals.

Belongs here: what Dagster runs. Does not: how it is done, which the step and pure modules know.
"""

from collections.abc import Iterator

import dagster as dg

from kpi_platform.history.checks import HISTORY_CHECKS, check_history
from kpi_platform.history.history_step import VERSION, HistoryStep
from kpi_platform.orchestration.asset_specs import hourly_spec
from kpi_platform.orchestration.recording import check_specs, naming_the_setting, record_hours
from kpi_platform.orchestration.resources import PlatformResource

PARTS_PER_CHUNK = 1_000_000
GROUP = "history"


@dg.multi_asset(
    name="user_version_history",
    specs=[
        hourly_spec("user_version_history", GROUP, VERSION),
        hourly_spec("user_version_intervals", GROUP, VERSION),
    ],
    check_specs=check_specs(HISTORY_CHECKS),
    backfill_policy=dg.BackfillPolicy.single_run(),
    can_subset=True,
)
def user_version_history(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
    """Recompute the players whose sightings or sign-ins an hour changed, and nobody else."""
    with naming_the_setting():
        lake = platform.platform.lake
        step = HistoryStep.of(platform.platform)
        yield from record_hours(
            context, lake, step, lambda hours: check_history(lake, hours), PARTS_PER_CHUNK
        )
