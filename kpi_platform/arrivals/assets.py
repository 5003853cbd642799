"""The assets of room 1: raw tables of telemetry, of feeds and of studios' warehouses.

Belongs here: what Dagster runs. Does not: how it is done, which the step and pure modules know.
"""

from collections.abc import Iterator
from contextlib import closing

import dagster as dg

from kpi_platform.arrivals.checks import (
    CONSOLE_CHECKS,
    RAW_CHECKS,
    STREAM_CHECKS,
    STUDIO_CHECKS,
    check_console,
    check_raw,
    check_reads,
    check_stream,
    check_studios,
)
from kpi_platform.arrivals.feeds.console_step import ConsoleStep
from kpi_platform.arrivals.feeds.feed_step import VERSION as FEED_VERSION
from kpi_platform.arrivals.feeds.stream_stats import Statements
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.studios.capture_step import VERSION as CAPTURE_VERSION
from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.arrivals.telemetry.raw_step import VERSION, RawStep
from kpi_platform.arrivals.watching.landing_listing import why_nothing_comes
from kpi_platform.orchestration.asset_specs import hourly_spec
from kpi_platform.orchestration.recording import check_specs, naming_the_setting, record_hours
from kpi_platform.orchestration.resources import PlatformResource

MEBIBYTE = 1024 * 1024
HOURS_PER_CHUNK = 168


@dg.multi_asset(
    name="raw_telemetry",
    specs=[hourly_spec("raw_telemetry", "arrivals", VERSION)],
    check_specs=check_specs(RAW_CHECKS),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def raw_telemetry(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
    """Read the files that arrived in each hour; quarantine the lines that cannot be read."""
    with naming_the_setting():
        parts = platform.platform
        for line in why_nothing_comes(parts.landing.uri, parts.landing.folders(), parts.sources):
            context.log.warning(line)
        yield from record_hours(
            context,
            parts.lake,
            RawStep.of(parts),
            lambda hours: check_raw(parts.lake, hours),
            parts.settings.chunk_megabytes * MEBIBYTE,
        )


@dg.multi_asset(
    name="raw_console_feed",
    specs=[hourly_spec("raw_console_feed", "arrivals", FEED_VERSION)],
    check_specs=check_specs(CONSOLE_CHECKS),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def raw_console_feed(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
    """Read what console platforms delivered in each hour; quarantine what is no row."""
    with naming_the_setting():
        parts = platform.platform
        step = ConsoleStep.of(parts)
        step.request_failed_hours()
        yield from record_hours(
            context,
            parts.lake,
            step,
            lambda hours: check_console(parts.lake, hours),
            parts.settings.chunk_megabytes * MEBIBYTE,
        )


@dg.multi_asset(
    name="raw_stream_feed",
    specs=[
        hourly_spec("raw_stream_feed", "arrivals", FEED_VERSION),
        hourly_spec("stream_stats", "arrivals", FEED_VERSION),
    ],
    check_specs=check_specs(STREAM_CHECKS),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def raw_stream_feed(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
    """Read what stream platforms stated in each hour, and fold it to one row per game and hour."""
    with naming_the_setting():
        parts = platform.platform
        step = StreamStep.of(parts)
        step.request_failed_hours()
        yield from record_hours(
            context,
            parts.lake,
            step,
            lambda hours: check_stream(parts.lake, hours, Statements.of(parts.sources)),
            parts.settings.chunk_megabytes * MEBIBYTE,
        )


@dg.multi_asset(
    name="raw_studio_events",
    specs=[hourly_spec("raw_studio_events", "arrivals", CAPTURE_VERSION)],
    check_specs=check_specs(STUDIO_CHECKS),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def raw_studio_events(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.Output[None] | dg.AssetCheckResult]:
    """Capture from every studio's warehouse the rows whose watermark lies in each hour."""
    with naming_the_setting():
        parts = platform.platform
        step = CaptureStep.of(parts)
        with closing(step):
            yield from record_hours(
                context,
                parts.lake,
                step,
                lambda hours: [
                    *check_studios(parts.lake, hours, step.drifts.values(), step.notices),
                    *check_reads(parts.lake, step.take_mended(), step.drifts.values()),
                ],
                HOURS_PER_CHUNK,
            )
