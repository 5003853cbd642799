"""A simulated world of files, feeds and warehouses loses its lines: no figure moves, space is free.

Every table and every mart, a full refresh included, is compared before and after.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from kpi_platform.engine.books.hour_fingerprints import forget_consumed
from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.build import lake_tables
from kpi_platform.retention.run import Retention, run_retention
from kpi_platform.settings import Settings
from kpi_platform.simulator import simulate
from kpi_platform.storage.lake.maintenance import maintain
from kpi_platform_tests.kpis.fast_builds import FastBuild, fast_builds
from kpi_platform_tests.whole_platform import DATA_TABLES, run_hours

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(25)]
WITH_FILES = HOURS[:6]
LINES = ("raw_telemetry", "quarantined_events")
STAY = [table for table in DATA_TABLES if table not in LINES] + ["hour_ledger", "file_ledger"]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Hours of a small world, most without files, and an hour long after."""
    folder = tmp_path_factory.mktemp("retention")
    world = folder / "world"
    simulate(world, START, len(WITH_FILES), 300, 5)
    settings = Settings(
        home=folder / "home",
        landing_uri=str(world / "landing"),
        feeds_uri=str(world / "feeds"),
        sources=world / "sources.yaml",
        late_limit_days=0,
        future_limit_hours=1,
        keep_lines_days=31,
    )
    made = Platform(settings)
    run_hours(made, HOURS)
    run_hours(made, [START + timedelta(days=32, hours=-1)])
    return made


@pytest.fixture(scope="module")
def build() -> Iterator[FastBuild]:
    with fast_builds() as made:
        yield made()


def _rows(platform: Platform, table: str) -> list[str]:
    return sorted(map(str, platform.lake.scan(table).collect().rows()))


def _bytes(platform: Platform) -> int:
    """What the data files of lines take of the disk."""
    root = Path(platform.settings.lake)
    return sum(
        file.stat().st_size for table in LINES for file in (root / table).glob("p_*/**/*.parquet")
    )


def _retain(platform: Platform) -> Retention:
    return run_retention(platform, START + timedelta(days=400), lambda *_: None)


def test_no_figure_of_a_world_moves_when_its_lines_go(platform: Platform, build: FastBuild) -> None:
    lake = SimpleNamespace(tables=lambda: lake_tables(platform))
    build.load(lake)
    build.run()
    before, bytes_before = {table: _rows(platform, table) for table in STAY}, _bytes(platform)
    done = _retain(platform)
    assert set(WITH_FILES) <= set(done.lines.hours)
    assert {table: _rows(platform, table) for table in STAY} == before
    # There is nothing to do for the marts, and a full refresh makes no other.
    build.load(lake)
    assert build.differences() == {}
    list(maintain(platform.lake, timedelta(0)))
    assert _bytes(platform) < bytes_before / 5
    assert _retain(platform).lines.hours == []
    assert {report.status for report in run_hours(platform, HOURS)} == {"unchanged"}
    # Had feeds or warehouses brought more, events of theirs alone would be made anew.
    forget_consumed(platform.lake, "cleaned_events", WITH_FILES)
    run_hours(platform, WITH_FILES)
    assert {table: _rows(platform, table) for table in STAY} == before
