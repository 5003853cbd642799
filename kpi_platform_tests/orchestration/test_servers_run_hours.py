"""A running Dagster: a backfill from the UI, files seen arriving, late files found by a listing,
and incidents told by the sensor that nobody turned on."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform_tests.delivery.loopback import WebServer, web_server
from kpi_platform_tests.orchestration.home import (
    KEY,
    PLAYERS,
    TABLES,
    evaluations,
    keys,
    latest_metadata,
    materialised,
    new_home,
)
from kpi_platform_tests.orchestration.servers import running_dagster, wait_for

HOUR = timedelta(hours=1)
ALERTS = """
alert_policies:
- {name: all, event_types: [ALL], notification_service: {url: {url: URL}}}
heartbeat_hour: 0
"""
_RANGE = "dagster/asset_partition_range_"


@pytest.mark.slow
def test_hours_run_from_the_ui_by_arrival_and_by_listing(tmp_path: Path) -> None:
    # Sensors look at the clock: the hours of this test are yesterday's and today's.
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = now - 14 * HOUR
    alerts = tmp_path / "alerts.yaml"
    home = new_home(
        tmp_path / "home", start, KPI_SENSOR_LOOK_BACK_HOURS="12", KPI_ALERTS=str(alerts)
    )
    backfilled = [now - back * HOUR for back in (5, 4, 3)]
    for hour in backfilled:
        home.put(hour)

    with web_server() as told, running_dagster(home) as dagster, home.instance() as instance:
        alerts.write_text(ALERTS.replace("URL", told.url))
        backfill = dagster.backfill(list(TABLES), sorted(keys(backfilled)))
        ended = ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED")
        wait_for(lambda: dagster.backfill_status(backfill) in ended, "the backfill")
        assert dagster.backfill_status(backfill) == "COMPLETED_SUCCESS"
        for table in TABLES:
            assert materialised(instance, table) == keys(backfilled), table
        checked = evaluations(instance, "cleaned_events", "every_line_is_accounted_for")
        assert checked == dict.fromkeys(keys(backfilled), True)

        # Two neighbours are new and one hour has a late file; the other two were read already.
        new = [now - 2 * HOUR, now - HOUR]
        for hour in new:
            home.put(hour)
        home.put(backfilled[0], "late.tsv")
        home.put(start, "long-ago.tsv")
        dagster.start_sensor("telemetry_arrivals_sensor")
        late = backfilled[0].strftime(KEY)
        wait_for(lambda: materialised(instance, "raw_telemetry") >= keys(new), "new hours to run")
        wait_for(
            lambda: latest_metadata(instance, "raw_telemetry")[late]["rows"] == 2 * PLAYERS,
            "the late file to be read",
        )
        assert {_hours_of(tags) for _, tags in dagster.runs("everything")} == {
            late,
            f"{new[0].strftime(KEY)}...{new[1].strftime(KEY)}",
        }

        dagster.launch_job("landing_listing")
        # The hour older than the window, and with it those that nobody ran: they have no files.
        every = [start + number * HOUR for number in range(14)]
        wait_for(
            lambda: materialised(instance, "raw_telemetry") == keys(every),
            "the hours older than the window to run",
            seconds=500,
        )
        wait_for(
            lambda: [status for status, _ in dagster.runs("everything")] == ["SUCCESS"] * 3,
            "all runs to end well",
        )
        # A line in six cannot be used: the check says so of each hour, the sensor once for all.
        wait_for(lambda: "quarantine_share_is_low" in _opened(told), "the sensor to tell it")
        assert len(_opened(told)) == len(set(_opened(told)))
        wait_for(lambda: "heartbeat" in [b["event"] for _, _, b in told.requests], "a heartbeat")


def _opened(told: WebServer) -> list[str]:
    """The checks whose incidents were told as opened."""
    opened = (body["facts"] for _, _, body in told.requests if body["event"] == "opened")
    return [facts["check"] for facts in opened if "check" in facts]


def _hours_of(tags: Mapping[str, str]) -> str:
    """The partition, or the first and the last of the range, that a run was asked for."""
    if "dagster/partition" in tags:
        return tags["dagster/partition"]
    return f"{tags[_RANGE + 'start']}...{tags[_RANGE + 'end']}"
