"""The one place of assembly: every asset, check, job, schedule, sensor and resource.

Belongs here: what the code location consists of. Does not: any logic.
"""

import dagster as dg

from kpi_platform.schemas.collector import paused_collector

with paused_collector():
    from kpi_platform.alerts.sensors import incidents_sensor
    from kpi_platform.arrivals.assets import (
        raw_console_feed,
        raw_stream_feed,
        raw_studio_events,
        raw_telemetry,
    )
    from kpi_platform.arrivals.watching.landing_checks import list_landing
    from kpi_platform.arrivals.watching.schedules import (
        everything,
        hourly_schedule,
        landing_listing,
        landing_listing_schedule,
    )
    from kpi_platform.arrivals.watching.sensors import (
        feed_arrivals_sensor,
        landing_listing_sensor,
        telemetry_arrivals_sensor,
    )
    from kpi_platform.cleaned.assets import cleaned_events, sessions
    from kpi_platform.history.assets import user_version_history
    from kpi_platform.kpis.assets import definitions_rebuild, kpis
    from kpi_platform.monitoring.checks import (
        freshness,
        freshness_schedule,
        newest_hour_is_recent,
        services_send_what_they_sent,
        sources_send_as_much_as_usual,
    )
    from kpi_platform.monitoring.upkeep import maintenance, maintenance_schedule
    from kpi_platform.orchestration.dagster_internals import EXECUTOR, leave_inputs_unread
    from kpi_platform.orchestration.log_json import set_up_logs
    from kpi_platform.orchestration.resources import PlatformResource
    from kpi_platform.published.assets import publications
    from kpi_platform.published.pages.dashboard_assets import (
        dashboard_is_recent,
        dashboard_opens,
        kpi_dashboard,
    )
    from kpi_platform.published.pages.report_assets import daily_report
    from kpi_platform.retention.job import retention, retention_schedule

set_up_logs()
leave_inputs_unread()

defs = dg.Definitions(
    assets=[
        raw_telemetry,
        raw_console_feed,
        raw_stream_feed,
        raw_studio_events,
        cleaned_events,
        sessions,
        user_version_history,
        kpis,
        publications,
        kpi_dashboard,
        daily_report,
    ],
    asset_checks=[
        list_landing,
        newest_hour_is_recent,
        services_send_what_they_sent,
        sources_send_as_much_as_usual,
        dashboard_opens,
        dashboard_is_recent,
    ],
    jobs=[everything, definitions_rebuild, landing_listing, freshness, maintenance, retention],
    schedules=[
        hourly_schedule,
        landing_listing_schedule,
        freshness_schedule,
        maintenance_schedule,
        retention_schedule,
    ],
    sensors=[
        telemetry_arrivals_sensor,
        feed_arrivals_sensor,
        landing_listing_sensor,
        incidents_sensor,
    ],
    resources={"platform": PlatformResource()},
    # A process per step would cost seconds per hour; the steps of an hour are milliseconds.
    executor=EXECUTOR,
)
