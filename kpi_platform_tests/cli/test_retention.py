"""`kpi retention run` and its schedule: what is said with and without a limit."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cli.cli import app
from kpi_platform.engine.platform import Platform
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.retention.job import let_rows_go, retention_schedule
from kpi_platform.retention.run import RetentionError
from kpi_platform.settings import load_settings
from kpi_platform_tests.colours import worked

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(24)]


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A day of hours, one of them with a file, and an hour that makes the day old."""
    folder = tmp_path / "landing" / "game" / f"{START:%Y/%m/%d/%H}"
    folder.mkdir(parents=True)
    at = "2026-01-01T00:10:00.000+0000"
    (folder / "a.tsv").write_text(f"T\t{at}\tApp\tS\t1\t{{'Name': 'A'}}\n")
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_LATE_LIMIT_DAYS", "0")
    monkeypatch.setenv("KPI_FUTURE_LIMIT_HOURS", "0")
    platform = Platform(load_settings())
    old = START + timedelta(days=32, hours=-1)
    for step in (RawStep.of(platform), EventsStep.of(platform)):
        worked(platform.lake, step, [*HOURS, old])
    return platform


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["retention", "run", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_without_a_limit_it_is_one_line(parts: Platform) -> None:
    with pytest.raises(RetentionError, match=r"^KPI_KEEP_LINES_DAYS is not set"):
        _run("--dry-run")
    assert "is not set" in str(retention_schedule.evaluate_tick(_context()).skip_message)


def test_a_run_says_what_went(parts: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_KEEP_LINES_DAYS", "31")
    planned = json.loads(_run("--dry-run", "--json"))
    assert planned["sealed_days"] == ["2026-01-01"]
    assert (planned["hours"], planned["rows"]["raw_telemetry"]) == (["2026-01-01-00:00"], 1)
    assert planned["waiting"] == []
    assert (planned["keep_events_days"], planned["event_hours"]) == (None, [])
    said = _run().splitlines()
    assert said[1] == "1 days sealed (2026-01-01 to 2026-01-01); 0 were"
    assert said[2].startswith("1 hours' lines gone: 1 rows of raw_telemetry (")
    assert parts.lake.scan("raw_telemetry").collect().is_empty()
    assert json.loads(_run("--json"))["sealed_before"] == 1


def test_the_job_does_it(parts: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_KEEP_LINES_DAYS", "31")
    assert len(retention_schedule.evaluate_tick(_context()).run_requests or ()) == 1
    let_rows_go(dg.build_op_context(), PlatformResource())
    assert parts.lake.scan("raw_telemetry").collect().is_empty()


def _context() -> dg.ScheduleEvaluationContext:
    return dg.build_schedule_context(scheduled_execution_time=START)
