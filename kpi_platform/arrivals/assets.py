"""The asset of room 1: `raw_telemetry`, every readable line of an hour's files.

Belongs here: what Dagster runs. Does not: how it is done, which the step and pure modules know.
"""

from collections.abc import Iterator

import dagster as dg

from kpi_platform.arrivals.checks import RAW_CHECKS, check_raw
from kpi_platform.arrivals.raw_step import VERSION, ArrivalLimits, RawStep
from kpi_platform.asset_specs import hourly_spec
from kpi_platform.recording import check_specs, naming_the_setting, record_hours
from kpi_platform.resources import PlatformResource

MEBIBYTE = 1024 * 1024


@dg.multi_asset(
    name="raw_telemetry",
    specs=[hourly_spec("raw_telemetry", "arrivals", [], VERSION)],
    check_specs=check_specs(RAW_CHECKS),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def raw_telemetry(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
    """Read the files that arrived in each hour; quarantine the lines that cannot be read."""
    with naming_the_setting():
        parts = platform.platform
        limits = ArrivalLimits(parts.settings.late_limit, parts.settings.future_limit)
        yield from record_hours(
            context,
            parts.lake,
            RawStep(parts.lake, parts.landing, parts.sources, limits),
            lambda hours: check_raw(parts.lake, hours),
            parts.settings.chunk_megabytes * MEBIBYTE,
        )
