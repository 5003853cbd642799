"""A backup of lake and KPI database, restored in another place, goes on as what was lost would."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.engine.platform import Platform
from kpi_platform.simulator import simulate
from kpi_platform.verification.verify import verify
from kpi_platform_tests.whole_platform import new_platform, run_hours, run_marts, tables_of

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(3)]
# What tells of its own files: copies look different, and are looked at once more.
BOOKS = {"table_ledger"}


def _platform(folder: Path) -> Platform:
    world = folder / "world"
    return new_platform(folder / "home", world / "landing", world / "sources.yaml")


@pytest.mark.slow
def test_a_backup_restored_elsewhere_is_right_and_goes_on(tmp_path: Path) -> None:
    lost, backup, restored = (tmp_path / name for name in ("lost", "backup", "restored"))
    simulate(lost / "world", START, len(HOURS), 120, 3)
    platform = _platform(lost)
    run_hours(platform, HOURS[:2])
    run_marts(platform)
    # As `docs/operations.md` orders it: the KPI database first, which is then older than the lake.
    backup.mkdir()
    shutil.copy2(platform.settings.warehouse_file, backup)
    run_hours(platform, HOURS[2:])
    shutil.copytree(lost / "home" / "lake", backup / "lake")
    shutil.copytree(lost / "world", backup / "world")
    before = tables_of(platform)
    shutil.rmtree(lost)

    shutil.copytree(backup / "world", restored / "world")
    shutil.copytree(backup / "lake", restored / "home" / "lake")
    shutil.copy2(backup / platform.settings.warehouse_file.name, restored / "home")
    again = _platform(restored)
    found = verify(again, None, None, 5, lambda *_: None)
    assert (found.is_equal, found.unreadable, found.held) == (True, [], [])
    reports = run_hours(again, HOURS)
    assert [report.error for report in reports if not report.is_up_to_date] == []
    run_marts(again)
    after = tables_of(again)
    lake_tables = [name for name in before if not name.startswith("published/")]
    for name in set(lake_tables) - BOOKS:
        assert after[name].equals(before[name]), name
    # The hour that the database had not seen is in the figures.
    daily = after["published/kpi_daily"].filter(studio="all", game="all", platform="all")
    sessions = after["sessions"].filter(pl.col("event_count") > 0)
    assert daily["sessions"].sum() == sessions.height
    assert daily["sessions"].sum() > before["published/kpi_daily"]["sessions"].max()
    assert verify(again, None, None, 5, lambda *_: None).is_equal

    # Only the lake is put back: its hours are those that the database holds, so nothing is to be
    # built; the tables that it published since are not there.
    shutil.rmtree(restored / "home" / "lake")
    shutil.copytree(backup / "lake", restored / "home" / "lake")
    older = _platform(restored)
    run_hours(older, HOURS)
    assert set(run_marts(older)) >= {"kpi_daily", "kpi_values"}
    for name, rows in tables_of(older).items():
        assert name in BOOKS or rows.equals(after[name]), name
    assert run_marts(older) == []
