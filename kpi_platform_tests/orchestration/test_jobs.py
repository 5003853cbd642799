"""What the definitions offer to run, and that nothing runs by itself after installation."""

import dagster as dg

from kpi_platform.arrivals.watching.landing_checks import LISTING_CHECKS
from kpi_platform.definitions import defs
from kpi_platform.orchestration.partitions import HOURLY
from kpi_platform_tests.orchestration.home import TABLES


def test_everything_is_an_hourly_job_over_all_assets_without_the_listing() -> None:
    job = defs.resolve_job_def("everything")
    assets = defs.resolve_asset_graph().executable_asset_keys
    assert job.partitions_def == HOURLY
    assert job.asset_layer.executable_asset_keys == assets
    assert assets >= {dg.AssetKey(table) for table in TABLES}
    checks = set(job.asset_layer.asset_graph.asset_check_keys)
    assert not checks & set(LISTING_CHECKS)


def test_jobs_that_only_look_run_their_checks_and_no_asset() -> None:
    for name, expected in {
        "landing_listing": set(LISTING_CHECKS),
        "freshness": {
            dg.AssetCheckKey(dg.AssetKey("hour_ledger"), "newest_hour_is_recent"),
            dg.AssetCheckKey(dg.AssetKey("hour_ledger"), "sources_send_as_much_as_usual"),
            dg.AssetCheckKey(dg.AssetKey("cleaned_events"), "services_send_what_they_sent"),
            dg.AssetCheckKey(dg.AssetKey("kpi_dashboard"), "dashboard_opens"),
            dg.AssetCheckKey(dg.AssetKey("kpi_dashboard"), "dashboard_is_recent"),
        },
    }.items():
        layer = defs.resolve_job_def(name).asset_layer
        assert not layer.executable_asset_keys, name
        assert set(layer.asset_graph.asset_check_keys) == expected, name


def test_what_runs_by_itself_is_turned_on_by_people_but_for_upkeep() -> None:
    repository = defs.get_repository_def()
    schedules = {schedule.name: schedule.default_status for schedule in repository.schedule_defs}
    people = ("hourly_schedule", "landing_listing_schedule", "freshness_schedule")
    assert schedules == {
        **dict.fromkeys(people, dg.DefaultScheduleStatus.STOPPED),
        "maintenance_schedule": dg.DefaultScheduleStatus.RUNNING,
        "retention_schedule": dg.DefaultScheduleStatus.RUNNING,
    }
    sensors = {sensor.name: sensor.default_status for sensor in repository.sensor_defs}
    assert sensors["telemetry_arrivals_sensor"] == dg.DefaultSensorStatus.STOPPED
    # It does nothing until somebody runs, or schedules, landing_listing.
    assert sensors["landing_listing_sensor"] == dg.DefaultSensorStatus.RUNNING


def test_changed_definitions_are_built_by_a_job_without_hours() -> None:
    layer = defs.resolve_job_def("definitions_rebuild").asset_layer
    built = {key.path[-1] for key in layer.executable_asset_keys}
    assert built >= {"kpi_values", "dim_device", "publications", "kpi_dashboard", "daily_report"}
    assert not built & {"kpi_hourly", "kpi_daily", "cleaned_events"}
