"""A run that captures a newer version is killed in place of a write; the same command heals it."""

from pathlib import Path

import polars as pl
import pytest

from kpi_platform.cleaned.checks import check_events
from kpi_platform_tests.arrivals.studios.studio_world import StudioWorld, hour, purchase, purchases
from kpi_platform_tests.laws.lake_world import Fault, FaultyLake, Killed

HOURS = [hour(number) for number in range(3)]
TABLES = ("cleaned_events", "sessions", "session_parts", "table_ledger", "hour_ledger")


def state(world: StudioWorld, table: str) -> pl.DataFrame:
    rows = world.lake.scan(table).collect()
    return rows.select(sorted(rows.columns)).sort(pl.all())


@pytest.mark.parametrize("at_write", range(2, 27, 4))
def test_the_same_command_heals_a_killed_run(memory_path: Path, at_write: int) -> None:
    live, scratch = StudioWorld(memory_path / "live"), StudioWorld(memory_path / "scratch")
    before = [purchase(1, HOURS[0], 100), purchase(2, HOURS[0], 200)]
    after = [purchase(1, HOURS[2], 150), purchase(2, HOURS[0], 200)]
    for world in (live, scratch):
        world.warehouse.tables["purchases"] = purchases(before)
        world.run(HOURS[:2])
        world.warehouse.tables["purchases"] = purchases(after)
    try:
        live.run(HOURS[2:], FaultyLake(live.lake.uri, Fault(at_write)))
    except Killed:
        live.run(HOURS[2:])
    scratch.run(HOURS[2:])
    for table in TABLES:
        assert state(live, table).equals(state(scratch, table)), table
    assert all(check.passed for check in check_events(live.lake, HOURS, 1))
