"""Real weekly telemetry, replayed session by session, keeps its shares by version to the end."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform_tests.replay import read_weeks, replay
from kpi_platform_tests.whole_platform import new_platform, run_hours, run_marts

WEEKS = Path(__file__).parent / "simulator" / "openttd_weeks.csv"
SCALE = 0.02
SOURCES = """
studios:
  - key: openttd
    games:
      - key: openttd
        sources: [{key: openttd, telemetry: openttd}]
"""


@pytest.mark.slow
def test_weekly_shares_by_version_are_those_of_the_file(tmp_path: Path) -> None:
    rows = read_weeks(WEEKS)
    start = min(row.week_start for row in rows)
    sessions = replay(WEEKS, tmp_path / "landing", "openttd", slice(0, 1), SCALE, 1)
    (tmp_path / "sources.yaml").write_text(SOURCES)
    platform = new_platform(tmp_path / "home", tmp_path / "landing", tmp_path / "sources.yaml")
    run_hours(platform, [start + timedelta(hours=number) for number in range(7 * 24)])
    run_marts(platform)

    facts = platform.lake.published("fact_version")
    assert facts is not None
    found = dict(facts.group_by("version").agg(pl.col("sightings").sum()).collect().iter_rows())
    real = {row.version: row.sessions for row in rows if row.week_start == start}
    assert found == {version: round(count * SCALE) for version, count in real.items()}
    shares = {version: count / sum(real.values()) for version, count in real.items()}
    measured = {version: count / sessions for version, count in found.items()}
    assert measured == pytest.approx(shares, abs=0.001)
