"""A pass over a small lake and a Dagster instance: what it finds, and that it finds it once."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from kpi_platform.alerts.alert_pass import Places, acknowledge_incident
from kpi_platform.alerts.alert_round import alert_round
from kpi_platform.alerts.incidents import Incident
from kpi_platform.cli.cli import app
from kpi_platform.engine.books.hour_ledger import empty_rows, mark_failed, write_ledger
from kpi_platform.engine.platform import Platform
from kpi_platform.orchestration.partitions import key_of
from kpi_platform.settings import load_settings

HOUR = datetime(2026, 3, 10, 11, tzinfo=UTC)
ONE = timedelta(hours=1)
AT = HOUR + 2 * ONE
SOURCES = "studios: [{key: s, games: [{key: g, sources: [{key: rails, telemetry: rails}]}]}]"
CHECK = dg.AssetCheckKey(dg.AssetKey("cleaned_events"), "quarantine_share_is_low")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    (tmp_path / "sources.yaml").write_text(SOURCES)
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_SOURCES", str(tmp_path / "sources.yaml"))
    monkeypatch.setenv("KPI_START_HOUR", "2026-03-01-00:00")
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        yield Places(Platform(load_settings()), instance, {CHECK: "Few lines are unusable."}, {})


def ran(places: Places, *hours: datetime) -> None:
    """Hours in which the source delivered."""
    for hour in hours:
        rows = empty_rows(hour, ["rails"]).with_columns(files=1, lines=5, rows=5)
        write_ledger(places.parts.lake, rows, [hour])


def evaluated(places: Places, hour: datetime, *, passed: bool) -> None:
    evaluation = dg.AssetCheckEvaluation(
        asset_key=CHECK.asset_key,
        check_name=CHECK.name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        partition=key_of(hour),
        metadata={"share": 0.4, "sources": "rails"},
    )

    @dg.op
    def evaluate(context: dg.OpExecutionContext) -> None:
        context.log_event(evaluation)

    @dg.job
    def evaluating() -> None:
        evaluate()

    evaluating.execute_in_process(instance=places.instance)


def passes(places: Places, at: datetime = AT) -> list[tuple[str, str, str]]:
    return [(i.key.kind, i.key.source, _state(i, at)) for i in alert_round(places, at).changed]


def _state(incident: Incident, at: datetime) -> str:
    if incident.opened_at == at:
        return "opened"
    return "open" if incident.is_open else "resolved"


def test_a_healthy_platform_says_nothing_and_writes_nothing(places: Places) -> None:
    ran(places, HOUR - ONE, HOUR)
    evaluated(places, HOUR, passed=True)
    assert passes(places) == []
    versions = [places.parts.lake.version(t) for t in ("incidents", "alert_marks")]
    assert passes(places, AT + ONE / 60) == []
    assert [places.parts.lake.version(t) for t in ("incidents", "alert_marks")] == versions


def test_a_failed_hour_is_opened_and_resolved_once(places: Places) -> None:
    ran(places, HOUR - ONE, HOUR)
    mark_failed(places.parts.lake, HOUR - ONE, "the disk is full", ["rails"])
    assert passes(places) == [("hour_failed", "", "opened")]
    (row,) = places.parts.lake.scan("incidents").collect().to_dicts()
    assert "the disk is full" in row["cause"]
    assert row["hours"] == "2026-03-10-10:00"
    assert "--partition 2026-03-10-10:00" in row["mend"]
    assert passes(places, AT + ONE / 60) == []
    ran(places, HOUR - ONE)
    assert passes(places, AT + ONE / 30) == [("hour_failed", "", "resolved")]
    assert passes(places, AT + ONE / 20) == []


def test_an_hour_that_a_check_stops_is_the_checks_incident(places: Places) -> None:
    ran(places, HOUR - ONE, HOUR)
    reason = "check cleaned_events_keeps_its_contract failed: {'rows': 3}"
    mark_failed(places.parts.lake, HOUR - ONE, reason, ["rails"])
    assert passes(places) == []


def test_checks_are_told_by_source_with_their_hours(places: Places) -> None:
    ran(places, HOUR - ONE, HOUR)
    for hour in (HOUR - ONE, HOUR):
        evaluated(places, hour, passed=False)
    assert passes(places) == [("check_failed", "rails", "opened")]
    (row,) = places.parts.lake.scan("incidents").collect().to_dicts()
    assert (row["check"], row["studios"]) == (CHECK.name, "s")
    assert row["hours"] == "2026-03-10-10:00...2026-03-10-11:00"
    assert "Few lines are unusable." in row["cause"] and "share: 0.4" in row["cause"]
    evaluated(places, HOUR, passed=True)
    assert passes(places, AT + ONE / 60) == [("check_failed", "rails", "open")]
    evaluated(places, HOUR - ONE, passed=True)
    assert passes(places, AT + ONE / 30) == [("check_failed", "rails", "resolved")]


def test_a_platform_that_stands_still_is_not_fresh_and_a_late_source_is_silent(
    places: Places,
) -> None:
    ran(places, HOUR)
    assert passes(places, HOUR + 4 * ONE) == []
    assert passes(places, HOUR + 4.1 * ONE) == [("data_not_fresh", "", "opened")]
    lake = places.parts.lake
    for number in range(1, 6):
        write_ledger(lake, empty_rows(HOUR + number * ONE, ["rails"]), [HOUR + number * ONE])
    at = HOUR + 6.5 * ONE
    found = passes(places, at)
    silent = ("source_silent", "rails", "opened")
    assert sorted(found) == [("data_not_fresh", "", "resolved"), silent]
    rows = lake.scan("incidents").collect().filter(kind="source_silent")
    assert "set until: 2026-03-10T12:00:00Z" in rows["cause"].item()


def test_nothing_was_ever_processed_is_no_incident(places: Places) -> None:
    assert passes(places) == []


@dg.op
def breaks(context: dg.OpExecutionContext) -> None:
    raise ValueError("the operation broke")


@dg.job
def breaking() -> None:
    breaks()


def test_a_failed_run_is_told_until_a_later_one_of_its_job_is_well(places: Places) -> None:
    run = breaking.execute_in_process(
        instance=places.instance, raise_on_error=False, tags={"dagster/will_retry": "true"}
    )
    assert passes(places) == []
    # Its retry failed, too.
    breaking.execute_in_process(
        instance=places.instance,
        raise_on_error=False,
        tags={"dagster/parent_run_id": run.run_id},
    )
    assert passes(places) == [("run_failed", "", "opened")]
    (row,) = places.parts.lake.scan("incidents").collect().to_dicts()
    assert (row["asset"], "the operation broke" in row["cause"]) == ("breaking", True)
    assert passes(places, AT + ONE / 60) == []

    @dg.op
    def breaks(context: dg.OpExecutionContext) -> None:
        context.log.info("well")

    @dg.job(name="breaking")
    def well() -> None:
        breaks()

    well.execute_in_process(instance=places.instance)
    assert passes(places, AT + ONE / 30) == [("run_failed", "", "resolved")]


def test_the_commands_list_and_acknowledge(places: Places) -> None:
    ran(places, HOUR - ONE, HOUR)
    evaluated(places, HOUR, passed=False)
    passes(places)
    listed = json.loads(kpi("alerts", "list", "--json"))
    assert [(i["kind"], i["source"], i["opened_at"]) for i in listed] == [
        ("check_failed", "rails", AT.isoformat())
    ]
    assert listed[0]["incident_id"] in kpi("alerts", "list")
    acknowledge_incident(places.parts, listed[0]["incident_id"], AT)
    assert "no incident is open" in kpi("alerts", "list")
    assert "is closed" in kpi("alerts", "ack", listed[0]["incident_id"])
    assert "already" in kpi("alerts", "ack", listed[0]["incident_id"])
    wrong = CliRunner().invoke(app, ["alerts", "ack", "nobody"])
    assert wrong.exit_code == 2


def kpi(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
