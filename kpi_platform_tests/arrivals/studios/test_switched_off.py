"""A studio switched off for some hours: the others' KPIs go on, its own wait, and then it heals."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.engine.platform import Platform
from kpi_platform.simulator import simulate
from kpi_platform_tests.arrivals.studios.studio_world import START, hour
from kpi_platform_tests.whole_platform import new_platform, run_hours, run_marts, tables_of

OFF = range(4, 7)
HOURS = 9
LAKE_TABLES = ("cleaned_events", "sessions", "user_version_intervals", "quarantined_events")


def completeness(platform: Platform, number: int) -> dict[tuple[str, str], bool]:
    """Whether the rows of an hour are complete, per studio and game (totals over platforms)."""
    rows = platform.lake.published("kpi_hourly")
    assert rows is not None
    found = rows.filter(
        pl.col("platform") == "all",
        pl.col("hour").cast(pl.Datetime("us")) == hour(number).replace(tzinfo=None),
    ).collect()
    return {
        (studio, game): done
        for studio, game, done in found.select("studio", "game", "is_complete").iter_rows()
    }


@pytest.mark.slow
def test_a_studio_switched_off_waits_alone_and_heals(memory_path: Path) -> None:
    world = memory_path / "world"
    simulate(world, START, HOURS, 500, 5)
    platform = new_platform(memory_path / "home", world / "landing", world / "sources.yaml")
    run_hours(platform, [hour(n) for n in range(OFF.start)])
    file = world / "warehouses" / "kumo.duckdb"
    file.rename(file.with_suffix(".off"))
    reports = run_hours(platform, [hour(n) for n in range(OFF.start, HOURS - 1)])
    assert {report.status for report in reports} == {"written"}
    run_marts(platform)
    waiting = completeness(platform, OFF.start)
    assert not waiting["kumo", "all"] and not waiting["all", "all"]
    assert (
        waiting["kumo", "mochi-dash"] and waiting["northlight", "all"] and waiting["redbarn", "all"]
    )

    file.with_suffix(".off").rename(file)
    run_hours(platform, [hour(HOURS - 1)])
    ledger = platform.lake.scan("hour_ledger").collect()
    assert ledger.filter(pl.col("status") == "failed").is_empty()
    run_marts(platform)
    healed = completeness(platform, OFF.start)
    assert healed["kumo", "pocket-shrine"] and healed["kumo", "all"] and healed["all", "all"]

    scratch = new_platform(memory_path / "scratch", world / "landing", world / "sources.yaml")
    run_hours(scratch, [START + timedelta(hours=n) for n in range(HOURS)])
    live, fresh = tables_of(platform), tables_of(scratch)
    for table in LAKE_TABLES:
        assert live[table].equals(fresh[table]), table
