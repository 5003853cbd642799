"""What studios cost adds up to what was used, and follows the hours that a run worked on."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from kpi_platform.cli.cli import app
from kpi_platform.engine.books.hour_ledger import empty_rows, write_ledger
from kpi_platform.engine.books.run_ledger import write_reports
from kpi_platform.engine.run_report import RunReport
from kpi_platform.operations.studio_costs import NOBODY, studio_costs
from kpi_platform.storage.lake.lake import Lake

START = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUNS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 5), st.floats(0.1, 50), st.booleans()), max_size=5
)
LINES = st.dictionaries(
    st.tuples(st.integers(0, 12), st.sampled_from(["north", "south"])), st.integers(0, 99)
)


@settings(max_examples=60, deadline=None)
@given(RUNS, LINES)
def test_seconds_are_shared_out_by_lines_and_none_is_lost(
    runs: list[tuple[int, int, float, bool]], lines: dict[tuple[int, str], int]
) -> None:
    steps, expected = [], dict.fromkeys(("north", "south", NOBODY), 0.0)
    for number, (first, more, seconds, has_hours) in enumerate(runs):
        span = (first, first + more)
        hours = [START + n * HOUR for n in span] if has_hours else [None, None]
        steps.append((str(number), *hours, 1, 0, seconds))
        mine = {
            s: sum(n for (h, of), n in lines.items() if of == s and span[0] <= h <= span[1])
            for s in ("north", "south")
        }
        whole = sum(mine.values()) if has_hours else 0
        for studio, count in mine.items():
            expected[studio] += seconds * count / whole if whole else 0.0
        expected[NOBODY] += 0.0 if whole else seconds
    names = ["run_id", "first_hour", "last_hour", "hours", "unchanged_hours", "cpu_seconds"]
    utc = pl.Datetime("us", "UTC")
    kinds = [pl.String, utc, utc, pl.Int64, pl.Int64, pl.Float64]
    ran = pl.DataFrame(steps, schema=dict(zip(names, kinds, strict=True)), orient="row")
    came = pl.DataFrame(
        [(START + h * HOUR, START.date(), s, n * 10, n) for (h, s), n in lines.items()],
        schema={
            "hour": utc,
            "day": pl.Date,
            "studio": pl.String,
            "bytes": pl.Int64,
            "lines": pl.Int64,
        },
        orient="row",
    )
    found = studio_costs(ran, came, START.date(), START.date())
    told = {row["studio"]: row for row in found.to_dicts()}
    for studio, seconds in expected.items():
        assert told.get(studio, {"cpu_seconds": 0.0})["cpu_seconds"] == pytest.approx(
            seconds, abs=0.01
        )
    for studio in ("north", "south"):
        count = sum(n for (_, of), n in lines.items() if of == studio)
        assert told.get(studio, {"bytes": 0})["bytes"] == 10 * count


def test_the_command_shows_the_days_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    (tmp_path / "sources.yaml").write_text(
        "studios: [{key: north, games: [{key: g, sources: [{key: rails, telemetry: rails}]}]}]"
    )
    monkeypatch.setenv("KPI_SOURCES", str(tmp_path / "sources.yaml"))
    lake = Lake(str(tmp_path / "lake"))
    rows = empty_rows(START, ["rails", "strange"]).with_columns(
        lines=pl.Series([300, 100]), bytes=pl.Series([3000, 1000])
    )
    write_ledger(lake, rows, [START])
    about = {"step": "sessions", "asset": "sessions", "first_hour": START, "last_hour": START}
    for day, run in ((0, "a"), (1, "b")):
        started = START + timedelta(days=day)
        report = RunReport(run, **about, started_at=started, hours=1, cpu_seconds=8.0)  # type: ignore[arg-type]
        write_reports(lake, [report])

    def kpi(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["costs", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    one_day = ("--from", "2026-03-10", "--to", "2026-03-10")
    assert json.loads(kpi(*one_day, "--json")) == [
        {"studio": "north", "bytes": 3000, "lines": 300, "cpu_seconds": 6.0, "runs": 1},
        {"studio": "unassigned", "bytes": 1000, "lines": 100, "cpu_seconds": 2.0, "runs": 1},
    ]
    # A run of the next day worked on hours of this one.
    later = json.loads(kpi("--from", "2026-03-11", "--to", "2026-03-11", "--json"))
    assert [(each["bytes"], each["cpu_seconds"]) for each in later] == [(0, 6.0), (0, 2.0)]
    assert "nothing ran" in kpi("--from", "2020-01-01", "--to", "2020-01-01")
    assert "north" in kpi(*one_day)
    wrong = CliRunner().invoke(app, ["costs", "--from", "2026-03-11", "--to", "2026-03-10"])
    assert wrong.exit_code == 2
