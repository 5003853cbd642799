"""`kpi status` over small lakes: what it counts, what waits for a person, and its exit code."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from kpi_platform.cli.cli import app
from kpi_platform.engine.books.file_ledger import FileRecord, frame_of
from kpi_platform.engine.books.hour_ledger import empty_rows
from kpi_platform.engine.books.hour_queue import enqueue_hours
from kpi_platform.operations.hour_states import failed_hours
from kpi_platform.operations.notes import VERIFY, read_note, write_note
from kpi_platform.storage.lake.lake import Lake

DAY = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOURCES = "studios: [{key: s, games: [{key: g, sources: [%s]}]}]"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    named = ", ".join(f"{{key: {name}, telemetry: {name}}}" for name in ("a", "b"))
    (tmp_path / "sources.yaml").write_text(SOURCES % named)
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_SOURCES", str(tmp_path / "sources.yaml"))
    # No project's own Dagster either.
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr("kpi_platform.orchestration.dagster_state._PROJECT", tmp_path)
    return Lake(str(tmp_path / "lake"))


def write_hour(lake: Lake, number: int, *, status: str = "processed", **lines: int) -> None:
    """An hour of the day in which each source delivered so many lines."""
    hour = DAY + number * HOUR
    rows = empty_rows(hour, lines)
    delivered = pl.Series([lines[source] for source in rows["source"]], dtype=pl.Int64)
    error = pl.lit("the file is gone" if status == "failed" else None, pl.String)
    rows = rows.with_columns(
        lines=delivered, rows=delivered, files=delivered.clip(0, 1), status=pl.lit(status)
    ).with_columns(error=error)
    lake.replace_hours("hour_ledger", rows, [hour])


def ask() -> tuple[int, dict[str, object], str]:
    """The exit code, what --json prints, and what people read."""
    told = CliRunner().invoke(app, ["status", "--json"])
    shown = CliRunner().invoke(app, ["status"])
    assert told.exit_code == shown.exit_code
    return told.exit_code, json.loads(told.stdout), shown.stdout


def test_each_source_has_its_newest_hour_and_the_late_one_is_named(lake: Lake) -> None:
    write_hour(lake, 2, a=5, b=5)
    write_hour(lake, 3, a=5, b=0)
    code, told, shown = ask()
    assert code == 0
    assert told["newest_complete_hour"] == "2026-03-10-02:00"
    assert told["newest_processed_hour"] == "2026-03-10-03:00"
    assert told["sources"] == [
        {
            "source": "a",
            "newest_hour": "2026-03-10-03:00",
            "complete_through": "2026-03-10-03:00",
            "is_late": False,
        },
        {
            "source": "b",
            "newest_hour": "2026-03-10-02:00",
            "complete_through": "2026-03-10-02:00",
            "is_late": True,
        },
    ]
    assert "b  newest 2026-03-10-02:00  complete through 2026-03-10-02:00  LATE" in shown
    assert told["tables"][0]["table"] == "hour_ledger"  # type: ignore[index]


def test_failed_hours_wait_for_somebody_and_are_told_as_ranges(lake: Lake) -> None:
    write_hour(lake, 1, a=5)
    for number in (2, 3, 5):
        write_hour(lake, number, status="failed", a=5, b=5)
    code, told, shown = ask()
    assert code == 1
    assert told["failed"] == {
        "hours": 3,
        "ranges": [
            ["2026-03-10-05:00", "2026-03-10-05:00"],
            ["2026-03-10-02:00", "2026-03-10-03:00"],
        ],
        "reason": "the file is gone",
    }
    assert "2026-03-10-02:00...2026-03-10-03:00" in shown


def test_held_files_wait_for_somebody_and_queued_hours_for_the_next_run(lake: Lake) -> None:
    write_hour(lake, 1, a=5)
    enqueue_hours(lake, "sessions", [DAY, DAY + HOUR])
    enqueue_hours(lake, "sessions", [DAY])
    assert ask()[:2][1]["waiting"] == {"sessions": 2}
    assert ask()[0] == 0
    held = FileRecord("a", "a/x.tsv", "telemetry", "r", "held", 9, "h", 1, 1)
    lake.replace_hours("file_ledger", frame_of(DAY, [held]), [DAY])
    code, told, shown = ask()
    assert (code, told["held"]) == (1, {"files": 1, "hours": 1})
    assert "kpi removals list" in shown


@pytest.mark.parametrize(("is_equal", "code"), [(True, 0), (False, 1)])
def test_the_last_verify_is_told(lake: Lake, code: int, *, is_equal: bool) -> None:
    write_hour(lake, 1, a=5, b=5)
    write_note(lake.uri, VERIFY, {"equal": is_equal, "hours": 4, "at": "2026-03-10T07:00:00+00:00"})
    found = ask()
    assert found[0] == code
    assert ("4 hours: equal" in found[2]) is is_equal


def test_a_note_that_is_none_is_no_trouble(lake: Lake) -> None:
    assert read_note(lake.uri, VERIFY) is None
    place = Path(lake.uri, "_notes", f"{VERIFY}.json")
    place.parent.mkdir(parents=True)
    place.write_text("[1")
    assert read_note(lake.uri, VERIFY) is None
    assert ask()[1]["verified"] is None


def test_before_the_first_run_there_is_nothing_to_mend(lake: Lake) -> None:
    code, told, shown = ask()
    assert code == 0
    assert told["newest_complete_hour"] is None
    assert "none yet" in shown
    assert "DAGSTER_HOME" in str(told["no_runs"])


def test_a_damaged_table_does_not_hide_how_the_others_stand(lake: Lake) -> None:
    write_hour(lake, 1, a=5, b=5)
    log = Path(lake.uri, "sessions", "_delta_log")
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("no log")
    _, told, shown = ask()
    sizes = {each["table"]: each for each in told["tables"]}  # type: ignore[attr-defined]
    assert sizes["hour_ledger"]["rows"] == 2
    assert sizes["sessions"]["error"]
    assert "sessions:" in shown


def test_open_incidents_wait_for_somebody(lake: Lake) -> None:
    write_hour(lake, 1, a=5, b=5)
    opened = pl.Series("opened_at", [DAY, DAY + HOUR])
    rows = pl.DataFrame({"kind": ["run_failed", "files_held"], "cause": ["x", "y"], "mend": "run"})
    rows = rows.with_columns(opened, resolved_at=pl.Series([None, DAY + 2 * HOUR]))
    rows.write_delta(lake.path("incidents"))
    code, told, shown = ask()
    assert code == 1
    assert [row["kind"] for row in told["incidents"]] == ["run_failed"]  # type: ignore[attr-defined]
    assert "run_failed: x\n    -> run\n" in shown


def test_ranges_of_failed_hours_are_bounded() -> None:
    days = pl.DataFrame({"p_ingest_date_utc": [DAY.date()] * 12 + [(DAY + 24 * HOUR).date()] * 12})
    rows = days.with_columns(
        p_ingest_hour_utc=pl.Series([*range(0, 24, 2)] * 2, dtype=pl.Int32), error=pl.lit("e")
    )
    found = failed_hours(rows)
    assert (found.hours, len(found.ranges), found.ranges[0][0]) == (24, 20, DAY + 46 * HOUR)
