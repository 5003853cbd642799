"""Real weekly telemetry, replayed session by session, keeps its shares by version to the end."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform_tests.dagster_runs.home import new_home
from kpi_platform_tests.replay import read_weeks, replay

WEEKS = Path(__file__).parents[1] / "simulator" / "openttd_weeks.csv"
SCALE = 0.02


@pytest.mark.slow
def test_weekly_shares_by_version_are_those_of_the_file(tmp_path: Path) -> None:
    rows = read_weeks(WEEKS)
    start = min(row.week_start for row in rows)
    home = new_home(tmp_path / "home", start)
    sessions = replay(WEEKS, home.folder / "landing", "openttd", slice(0, 1), SCALE, 1)
    run = home.materialize("*", start, start + timedelta(hours=7 * 24 - 1))
    assert run.returncode == 0, run.stdout[-3000:]

    facts = home.lake.published("fact_version")
    assert facts is not None
    found = facts.group_by("version").agg(pl.col("sightings").sum()).collect()
    expected = {r.version: round(r.sessions * SCALE) for r in rows if r.week_start == start}
    assert sum(expected.values()) == sessions
    assert dict(found.iter_rows()) == expected

    real = {r.version: r.sessions for r in rows if r.week_start == start}
    shares = {version: count / sum(real.values()) for version, count in real.items()}
    measured = {version: count / sessions for version, count in found.iter_rows()}
    assert measured == pytest.approx(shares, abs=0.5 / sessions + 0.001)
