"""Dashboard and report as assets: written when something changed, checked, on folders and S3."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster import ExecuteInProcessResult

from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.published.pages.dashboard import read_inputs
from kpi_platform.published.pages.dashboard_assets import (
    DASHBOARD_FILE,
    dashboard_is_recent,
    dashboard_opens,
    kpi_dashboard,
)
from kpi_platform.published.pages.report_assets import daily_report
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.local_servers.local_s3 import S3Server
from kpi_platform_tests.published.pages.page_world import FIRST, daily, retention

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def _fill(lake: Lake, hour: datetime) -> None:
    """A lake with two published tables and one hour in the ledger."""
    lake.publish("kpi_daily", daily(3), None)
    lake.publish("kpi_retention", retention(3), None)
    values: dict[str, object] = {
        "p_ingest_date_utc": hour.date(),
        "p_ingest_hour_utc": hour.hour,
        "source": "ironvale",
        "status": "processed",
        "fingerprint": "f",
    }
    schema = TABLES["hour_ledger"].polars_schema
    row = {n: values.get(n, 1 if t.is_integer() else None) for n, t in schema.items()}
    lake.append("hour_ledger", pl.DataFrame([row], schema=schema))


def _run() -> ExecuteInProcessResult:
    return dg.materialize(
        [kpi_dashboard, daily_report, dashboard_opens, dashboard_is_recent],
        resources={"platform": PlatformResource()},
        instance=dg.DagsterInstance.ephemeral(),
    )


def _is_unchanged(result: ExecuteInProcessResult, asset: str) -> object:
    (event,) = result.asset_materializations_for_node(asset)
    return event.metadata["unchanged"].value


def _checks(result: ExecuteInProcessResult) -> dict[str, bool]:
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake in a folder, which the settings name."""
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.delenv("KPI_LAKE_URI", raising=False)
    return Lake(str(tmp_path / "lake"))


def test_the_page_is_written_when_something_changed(lake: Lake) -> None:
    _fill(lake, NOW - timedelta(hours=1))
    first = _run()
    assert (_is_unchanged(first, "kpi_dashboard"), _is_unchanged(first, "daily_report")) == (
        False,
        False,
    )
    assert _checks(first) == {"dashboard_opens": True, "dashboard_is_recent": True}
    page = Path(lake.path(f"published/{DASHBOARD_FILE}"))
    written = page.stat().st_mtime_ns
    again = _run()
    assert (_is_unchanged(again, "kpi_dashboard"), _is_unchanged(again, "daily_report")) == (
        True,
        True,
    )
    assert page.stat().st_mtime_ns == written
    lake.publish("kpi_daily", daily(4), None)
    assert _is_unchanged(_run(), "kpi_dashboard") is False
    names = {file.name for file in page.parent.iterdir() if file.is_file()}
    report = {"daily_report.html", "daily_report.txt", "daily_report.slack.txt"}
    assert names == {DASHBOARD_FILE, *report}


def test_of_a_long_history_the_newest_days_are_read(lake: Lake) -> None:
    lake.publish("kpi_daily", daily(450, [("all", "all")], ["all"]), None)
    days = read_inputs(lake).tables["kpi_daily"]["date"]
    assert (days.len(), days.max()) == (400, FIRST + timedelta(days=449))


def test_an_old_page_and_a_broken_one_are_told_of(lake: Lake) -> None:
    _fill(lake, NOW - timedelta(hours=30))
    assert _checks(_run())["dashboard_is_recent"] is False
    page = Path(lake.path(f"published/{DASHBOARD_FILE}"))
    text = page.read_text()
    for broken in (text[:-3000], text.replace('data-block="0">', 'data-block="0">A')):
        page.write_text(broken)
        found = dashboard_opens(PlatformResource())
        assert isinstance(found, dg.AssetCheckResult)
        assert not found.passed


def test_the_same_on_s3(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    lake = Lake(f"{s3_server.create_bucket('dashboard')}/lake")
    monkeypatch.setenv("KPI_LAKE_URI", lake.uri)
    _fill(lake, NOW - timedelta(hours=1))
    assert _checks(_run()) == {"dashboard_opens": True, "dashboard_is_recent": True}
    assert _is_unchanged(_run(), "kpi_dashboard") is True
    found = s3_server.client().head_object(
        Bucket="dashboard", Key=f"lake/published/{DASHBOARD_FILE}"
    )
    assert found["ContentType"] == "text/html; charset=utf-8"
