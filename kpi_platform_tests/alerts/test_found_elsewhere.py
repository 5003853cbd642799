"""What restatements, ticks and backfills make of an incident: told once, by whom it concerns."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from kpi_platform.alerts.alert_pass import Places
from kpi_platform.alerts.alert_round import alert_round
from kpi_platform.alerts.finders.found_in_ticks import look_at_backfills, look_at_ticks
from kpi_platform.engine.platform import Platform
from kpi_platform.published.publish import stamps_of
from kpi_platform.published.restatements import KPI_RESTATEMENTS, RESTATEMENTS_SCHEMA
from kpi_platform.settings import load_settings
from kpi_platform.storage.lake.lake import Lake
from kpi_platform_tests.delivery.loopback import WebServer, web_server

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ORIGIN = RemoteInstigatorOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "repository"), "arrivals_sensor"
)
POLICY = """
- name: {name}
  event_types: [figure_restated]
  alert_targets: {targets}
  policy_options: {{restatement_share: {share}, restatement_units: 5, heartbeat: false}}
  notification_service: {{url: {{url: URL/{name}}}}}
"""
POLICIES = "alert_policies:" + "".join(
    POLICY.format(name=name, targets=targets, share=share)
    for name, targets, share in (
        ("fine", "[]", 0.01),
        ("usual", "[]", 0.02),
        ("coarse", "[]", 0.2),
        ("north", "[{studio_target: {studio: north}}]", 0.01),
        ("south", "[{studio_target: {studio: south}}]", 0.01),
    )
)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> Iterator[Places]:
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_ALERTS", str(tmp_path / "alerts.yaml"))
    yield Places(Platform(load_settings()), instance, {}, {})


@pytest.fixture
def server(places: Places, tmp_path: Path) -> Iterator[WebServer]:
    with web_server() as server:
        (tmp_path / "alerts.yaml").write_text(POLICIES.replace("URL", server.url))
        yield server


def restate(
    lake: Lake, at: datetime, *rows: tuple[str, str, float, float], is_published: bool = True
) -> None:
    """Enter figures as restated: studio, KPI, old value and new."""
    entries = [
        (kpi, date(2026, 3, 8), studio, "all", "all", old, new, "hours", [AT], at)
        for studio, kpi, old, new in rows
    ]
    lake.add_published(
        KPI_RESTATEMENTS, pl.DataFrame(entries, schema=RESTATEMENTS_SCHEMA, orient="row")
    )
    if is_published:
        lake.publish("kpi_values", pl.DataFrame({"kpi": ["dau"]}), None, stamps_of(at, 1))


def told(server: WebServer) -> dict[str, str]:
    """What each policy was told."""
    found = {path.strip("/"): body["text"] for path, _, body in server.requests}
    server.requests.clear()
    return found


def test_each_policy_has_a_limit_of_its_own_and_a_studio_hears_of_itself(
    places: Places, server: WebServer
) -> None:
    lake = places.parts.lake
    restate(lake, AT - 2 * HOUR, ("all", "dau", 100.0, 900.0))
    alert_round(places, AT - HOUR)
    # What was restated before anybody asked is known.
    assert told(server) == {}
    restate(lake, AT, ("all", "dau", 1000.0, 1015.0), ("north", "dau", 1000.0, 1012.0))
    alert_round(places, AT + MINUTE)
    said = told(server)
    assert set(said) == {"fine", "north"}
    assert said["fine"].startswith("2 complete figures changed beyond the limit, because of hours")
    assert said["north"].startswith("1 complete figure changed") and "1015" not in said["north"]
    # One publication is told once, and each by what it restated.
    alert_round(places, AT + 2 * MINUTE)
    assert told(server) == {}
    restate(lake, AT + HOUR, ("all", "dau", 1015.0, 1500.0), ("south", "arpdau_usd", 0.5, 0.3))
    alert_round(places, AT + HOUR + MINUTE)
    said = told(server)
    assert set(said) == {"fine", "usual", "coarse", "south"}
    assert "2 complete figures" in said["coarse"] and "1500" not in said["south"]
    # Few units are nothing, however large a share.
    restate(lake, AT + 2 * HOUR, ("all", "payers", 2.0, 6.0))
    alert_round(places, AT + 2 * HOUR + MINUTE)
    assert told(server) == {}


def test_nothing_is_told_of_a_restatement_that_nobody_can_read(
    places: Places, server: WebServer
) -> None:
    lake = places.parts.lake
    restate(lake, AT - HOUR, ("all", "dau", 100.0, 101.0))
    alert_round(places, AT - MINUTE)
    restate(lake, AT, ("all", "dau", 1000.0, 2000.0), is_published=False)
    alert_round(places, AT + MINUTE)
    assert told(server) == {}
    lake.publish("kpi_values", pl.DataFrame({"kpi": ["dau"]}), None, stamps_of(AT, 2))
    alert_round(places, AT + 2 * MINUTE)
    assert json.dumps(sorted(told(server))) == '["coarse", "fine", "usual"]'


def beat(instance: dg.DagsterInstance, at: datetime) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(at.timestamp(), "SENSOR", "one"))


def turned(instance: dg.DagsterInstance, status: InstigatorStatus) -> InstigatorState:
    data = SensorInstigatorData(min_interval=60)
    state = InstigatorState(ORIGIN, InstigatorType.SENSOR, status, data)
    known = instance.get_instigator_state(state.instigator_origin_id, state.selector_id)
    (instance.update_instigator_state if known else instance.add_instigator_state)(state)
    return state


def tick(
    instance: dg.DagsterInstance, state: InstigatorState, at: datetime, status: TickStatus
) -> None:
    error = (
        SerializableErrorInfo("no\nbucket", [], "OSError") if status.value == "FAILURE" else None
    )
    instance.create_tick(
        TickData(
            state.instigator_origin_id,
            state.instigator_name,
            InstigatorType.SENSOR,
            status,
            at.timestamp(),
            run_ids=["run"] if status == TickStatus.SUCCESS else [],
            error=error,
            selector_id=state.selector_id,
        )
    )


def test_a_sensor_is_told_if_its_ticks_fail_or_stop_and_a_daemon_that_is_gone(
    instance: dg.DagsterInstance,
) -> None:
    def causes(at: datetime) -> list[tuple[str, str]]:
        return [(f.asset, f.cause) for f in look_at_ticks(instance, at).findings]

    # Nobody turned anything on.
    assert causes(AT) == []
    state = turned(instance, InstigatorStatus.RUNNING)
    ((asset, cause),) = causes(AT)
    assert asset == "daemon" and cause.endswith("has not been seen yet.")
    beat(instance, AT)
    tick(instance, state, AT, TickStatus.SUCCESS)
    assert causes(AT + MINUTE) == []
    # One failed tick is nothing: the next one tries again.
    tick(instance, state, AT + MINUTE, TickStatus.FAILURE)
    assert causes(AT + 2 * MINUTE) == []
    for number in (2, 3):
        tick(instance, state, AT + number * MINUTE, TickStatus.FAILURE)
    assert causes(AT + 4 * MINUTE) == [
        ("arrivals_sensor", "arrivals_sensor has failed 3 times in a row: no bucket")
    ]
    tick(instance, state, AT + 4 * MINUTE, TickStatus.SKIPPED)
    assert causes(AT + 5 * MINUTE) == []
    # The daemon lives, and the sensor does not tick.
    beat(instance, AT + HOUR)
    ((_, cause),) = causes(AT + HOUR)
    assert cause == "arrivals_sensor is on and has not ticked since 2026-03-10 12:04 UTC."
    ((asset, cause),) = causes(AT + 2 * HOUR)
    assert (asset, "since 2026-03-10 13:00 UTC" in cause) == ("daemon", True)
    turned(instance, InstigatorStatus.STOPPED)
    assert causes(AT + 2 * HOUR) == []


def test_a_backfill_hangs_if_nothing_of_it_runs_for_hours(instance: dg.DagsterInstance) -> None:
    def backfill(status: BulkActionStatus) -> PartitionBackfill:
        return PartitionBackfill("b1", status, False, {}, AT.timestamp())

    def found(at: datetime) -> list[str]:
        return [finding.cause for finding in look_at_backfills(instance, at).findings]

    instance.add_backfill(backfill(BulkActionStatus.REQUESTED))
    assert found(AT + 6 * HOUR) == []
    assert found(AT + 6 * HOUR + MINUTE) == [
        "The backfill b1 is not done, and nothing of it has run since 2026-03-10 12:00 UTC."
    ]

    @dg.job
    def piece() -> None:
        pass

    # When a run of it was last heard of is by the clock of Dagster's storage.
    instance.create_run_for_job(piece, tags={"dagster/backfill": "b1"})
    now = datetime.now(UTC)
    assert found(now + HOUR) == []
    assert len(found(now + 7 * HOUR)) == 1
    instance.update_backfill(backfill(BulkActionStatus.COMPLETED_SUCCESS))
    assert found(now + 7 * HOUR) == []
