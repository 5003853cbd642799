"""The whole platform in folders whose names hold what addresses and shells take for their own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform.simulator import simulate
from kpi_platform.storage.lake.lake_query import run_query
from kpi_platform_tests.whole_platform import new_platform, run_hours, run_marts

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.slow
def test_hours_and_marts_come_out_in_folders_of_odd_names(tmp_path: Path) -> None:
    odd = tmp_path / "a home é#1 100% 'x' & [y]"
    simulate(odd / "world", START, 2, 60, 3)
    home = tmp_path / "env=a lake é#1 100% 'x' & *"
    platform = new_platform(home, odd / "world" / "landing", odd / "world" / "sources.yaml")
    reports = run_hours(platform, [START, START + timedelta(hours=1)])
    assert [report.error for report in reports if not report.is_up_to_date] == []
    assert "kpi_daily" in run_marts(platform)
    with run_query(platform.lake, "select count(*) from kpi_hourly where studio = 'all'") as found:
        assert found.fetchall() != [(0,)]
