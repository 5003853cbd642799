"""A plan names the hours that need work, and why; a run of exactly these leaves nothing to do."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from kpi_platform.arrivals.feeds.console_step import ConsoleStep
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.arrivals.watching.missing_files import note_missing_files
from kpi_platform.backfill.plan import pieces_of, plan_backfill, seconds_of_an_hour
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.cli.cli import app
from kpi_platform.engine.books.hour_ledger import mark_failed
from kpi_platform.engine.hour_steps import work_through
from kpi_platform.engine.platform import Platform
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.settings import load_settings

START = datetime(2026, 3, 10, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(6)]
SOURCES = "studios: [{key: s, games: [{key: g, sources: [{key: rails, telemetry: rails}]}]}]"


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    (tmp_path / "landing").mkdir()
    (tmp_path / "sources.yaml").write_text(SOURCES)
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_SOURCES", str(tmp_path / "sources.yaml"))
    monkeypatch.setenv("KPI_START_HOUR", START.strftime("%Y-%m-%d-%H:%M"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return Platform(load_settings())


def put(parts: Platform, hour: datetime, name: str = "a.tsv", number: int = 1) -> Path:
    path = Path(parts.settings.landing) / "rails" / f"{hour:%Y/%m/%d/%H}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    at = f"{hour:%Y-%m-%dT%H}:00:00.000+0000"
    path.write_text(f"T\t{at}\tApp\tS\t{number}\t{{'Name': 'A', 'PlayerId': 'p'}}\n")
    return path


def run(parts: Platform, *hours: datetime) -> None:
    for step in (RawStep, ConsoleStep, StreamStep, EventsStep, SessionsStep, HistoryStep):
        for reports in work_through(parts.lake, step.of(parts), list(hours), 1_000_000):
            assert not [report.error for report in reports if report.error]


def reasons(parts: Platform) -> dict[datetime, str]:
    return {item.hour: item.reason for item in plan_backfill(parts, HOURS[0], HOURS[-1]).hours}


def test_every_reason_is_told_and_work_ends_it(parts: Platform) -> None:
    for hour in HOURS[:5]:
        put(parts, hour)
    assert set(reasons(parts).values()) == {"never run"}
    run(parts, *HOURS[:5])
    assert reasons(parts) == {HOURS[5]: "never run"}
    put(parts, HOURS[0], "late.tsv", 2)
    mark_failed(parts.lake, HOURS[1], "the disk was full", [])
    # Sessions of the hour were never made of these events: a run was killed.
    parts.lake.delete("hour_fingerprints", "table_name = 'sessions' AND p_ingest_hour_utc = 2")
    # Nothing follows from a file that is gone; it is named.
    put(parts, HOURS[3]).unlink()
    note_missing_files(parts, (HOURS[3], HOURS[3]))
    run(parts, HOURS[3])
    found = plan_backfill(parts, HOURS[0], HOURS[-1])
    assert {item.hour: item.reason for item in found.hours} == {
        HOURS[0]: "changed",
        HOURS[1]: "failed",
        HOURS[2]: "stale",
        HOURS[3]: "held",
        HOURS[5]: "never run",
    }
    assert found.hours[1].error == "the disk was full"
    assert found.bytes > 0 and found.seconds is None
    assert HOURS[3] not in found.work
    run(parts, *found.work)
    assert not plan_backfill(parts, HOURS[0], HOURS[-1]).work


def test_seconds_come_from_what_hours_took_and_figures_from_what_is_published(
    parts: Platform,
) -> None:
    put(parts, HOURS[0])
    values = pl.DataFrame(
        {
            "kpi": ["dau", "dau", "dau"],
            "period": [date(2026, 3, 10), date(2026, 3, 11), date(2025, 3, 11)],
            "is_complete": [True, False, True],
        }
    )
    parts.lake.publish("kpi_values", values, None)
    with dg.DagsterInstance.ephemeral() as instance:
        assert seconds_of_an_hour(instance) is None
        for number, seconds in enumerate((2.0, 4.0, 100.0)):
            told = {"seconds": seconds, "unchanged": seconds > 10}
            event = dg.AssetMaterialization("sessions", partition=str(number), metadata=told)
            instance.report_runless_asset_event(event)
        found = plan_backfill(parts, HOURS[0], HOURS[1], instance)
    assert found.seconds == 6.0
    assert found.figures == 1
    assert (found.figures_from, found.figures_to) == (date(2026, 2, 7), date(2026, 4, 10))


def test_the_command_says_it_in_lines_and_in_json(parts: Platform) -> None:
    put(parts, HOURS[0])
    span = ["--from", "2026-03-10-00:00", "--to", "2026-03-10-01:00"]
    lines = CliRunner().invoke(app, ["backfill", "plan", *span])
    assert lines.exit_code == 0
    assert "2026-03-10-00:00...2026-03-10-01:00: never run" in lines.stdout
    assert "2 hours to run" in lines.stdout
    found = json.loads(CliRunner().invoke(app, ["backfill", "plan", *span, "--json"]).stdout)
    assert [hour["reason"] for hour in found["hours"]] == ["never run"] * 2
    assert found["hours"][0]["bytes"] == found["bytes"] > 0
    backwards = ["backfill", "plan", "--from", span[3], "--to", span[1]]
    assert CliRunner().invoke(app, backwards).exit_code == 2
    run(parts, *HOURS[:2])
    assert "nothing to do" in CliRunner().invoke(app, ["backfill", "plan", *span]).stdout
    assert "DAGSTER_HOME" not in os.environ


def test_pieces_are_neighbours_and_no_longer_than_asked() -> None:
    hours = [START + timedelta(hours=number) for number in (0, 1, 2, 3, 4, 7, 9, 10)]
    pieces = list(pieces_of(hours, timedelta(hours=3)))
    assert [len(piece) for piece in pieces] == [3, 2, 1, 2]
    assert [hour for piece in pieces for hour in piece] == hours
    assert list(pieces_of([], timedelta(hours=3))) == []
