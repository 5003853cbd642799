"""The promise: the same tables, whatever order hours arrive in, and after an hour is corrected."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from kpi_platform.engine.books.hour_ledger import mark_failed
from kpi_platform.engine.platform import Platform
from kpi_platform.simulator import simulate
from kpi_platform_tests.whole_platform import (
    PUBLISHED_TABLES,
    new_platform,
    run_hours,
    run_marts,
    tables_of,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(30)]
# The second day is over, and the first day's players had their day 1.
LONGER = [START + timedelta(hours=number) for number in range(49)]
CORRECTED = HOURS[14]
EMPTY_UNTIL_LATE = HOURS[7]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty hours of the synthetic world, with everything that goes wrong in it."""
    out = tmp_path_factory.mktemp("same") / "world"
    simulate(out, START, len(HOURS), 200, 11)
    return out


def _files_of(landing: Path, hour: datetime) -> list[Path]:
    return sorted(landing.glob(f"*/{hour:%Y/%m/%d/%H}/*"))


@pytest.mark.slow
def test_hours_backwards_again_late_and_corrected_give_the_same_tables(
    world: Path, tmp_path: Path
) -> None:
    at_once = new_platform(tmp_path / "at_once", world / "landing", world / "sources.yaml")
    run_hours(at_once, HOURS)
    run_marts(at_once)

    landing = tmp_path / "landing"
    shutil.copytree(world / "landing", landing)
    # An hour is wrong at first (a file of its neighbour's), another has not arrived.
    wrong = _files_of(landing, CORRECTED)[0]
    right = wrong.read_bytes()
    wrong.write_bytes(_files_of(landing, HOURS[13])[0].read_bytes())
    late = {file: file.read_bytes() for file in _files_of(landing, EMPTY_UNTIL_LATE)}
    for file in late:
        file.unlink()

    piecemeal = new_platform(tmp_path / "piecemeal", landing, world / "sources.yaml")
    for hour in reversed(HOURS[15:]):
        run_hours(piecemeal, [hour])
    run_marts(piecemeal)
    run_hours(piecemeal, HOURS[10:20])
    run_hours(piecemeal, HOURS[:5])
    run_marts(piecemeal)
    for hour in (HOURS[9], HOURS[5], EMPTY_UNTIL_LATE, HOURS[8], HOURS[6]):
        run_hours(piecemeal, [hour])
    wrong.write_bytes(right)
    for file, content in late.items():
        file.write_bytes(content)
    run_hours(piecemeal, [EMPTY_UNTIL_LATE])
    run_hours(piecemeal, [CORRECTED])
    run_marts(piecemeal)

    expected, found = tables_of(at_once), tables_of(piecemeal)
    assert set(expected) == set(found) >= {f"published/{name}" for name in PUBLISHED_TABLES}
    assert min(rows.height for rows in expected.values()) > 0
    assert [name for name, rows in expected.items() if not rows.equals(found[name])] == []


def _telemetry_alone(sources: Path, to: Path) -> Path:
    """The sources file without warehouses and feeds."""
    told = yaml.safe_load(sources.read_text())
    for studio in told["studios"]:
        del studio["warehouse"]
        for game in studio["games"]:
            game["sources"] = [source for source in game["sources"] if "telemetry" in source]
        studio["games"] = [game for game in studio["games"] if game["sources"]]
    to.write_text(yaml.safe_dump(told))
    return to


@pytest.mark.slow
def test_the_tables_are_those_of_the_simulators_truth(tmp_path: Path) -> None:
    """Of telemetry alone; the demo holds all sources together against their truth."""
    longer = tmp_path / "world"
    simulate(longer, START, len(LONGER), 200, 11)
    sources = _telemetry_alone(longer / "sources.yaml", tmp_path / "sources.yaml")
    platform = new_platform(tmp_path / "home", longer / "landing", sources)
    run_hours(platform, LONGER)
    run_marts(platform)
    for table, name in (
        ("hours", "hour_ledger"),
        ("sessions", "sessions"),
        ("intervals", "user_version_intervals"),
        ("players", "user_version_history"),
    ):
        truth = pl.read_parquet(longer / "truth" / f"{table}.parquet")
        found = platform.lake.scan(name).select(truth.columns).collect()
        assert_frame_equal(found, truth, check_row_order=False)
    reasons = pl.read_parquet(longer / "truth" / "quarantined.parquet")
    keys = ["source", "p_ingest_date_utc", "p_ingest_hour_utc", "reason"]
    counted = (
        platform.lake.scan("quarantined_events").group_by(keys).agg(count=pl.len().cast(pl.Int64))
    )
    assert_frame_equal(counted.collect(), reasons.select(*keys, "count"), check_row_order=False)
    daily = pl.read_parquet(longer / "truth" / "daily.parquet")
    days = platform.lake.published("kpi_daily")
    assert days is not None
    totals = days.filter(pl.col("platform") == "all").select(daily.columns).collect()
    grain = ["date", "studio", "game"]
    # The KPI table also has a row where a game known by then had a day without events.
    silent = totals.join(daily, on=grain, how="anti")
    assert silent.select(pl.col("dau", "new_players", "payers", "sessions").sum()).row(0) == (
        (0,) * 4
    )
    assert_frame_equal(
        totals.join(daily, on=grain, how="semi"),
        daily,
        check_row_order=False,
        check_dtypes=False,
        abs_tol=1e-6,
    )
    _assert_retention_is_true(platform, pl.read_parquet(longer / "truth" / "retention.parquet"))


def _assert_retention_is_true(platform: Platform, truth: pl.DataFrame) -> None:
    cohorts = platform.lake.published("kpi_retention")
    assert cohorts is not None
    found = cohorts.filter(pl.col("platform") == "all").select(truth.columns).collect()
    # Of days that are not over nothing is known.
    is_over = pl.col("cohort_date") + pl.duration(days=pl.col("day_n") + 1) <= LONGER[-1].date()
    known = [
        pl.when(is_over).then(name).alias(name) for name in ("retained_classic", "retained_rolling")
    ]
    assert truth.filter(is_over)["retained_classic"].sum() > 0
    assert_frame_equal(found, truth.with_columns(known), check_row_order=False, check_dtypes=False)


@pytest.mark.slow
def test_an_unchanged_hour_writes_nothing(world: Path, tmp_path: Path) -> None:
    platform = new_platform(tmp_path / "home", world / "landing", world / "sources.yaml")
    run_hours(platform, HOURS[:6])
    run_marts(platform)
    tables = ("raw_telemetry", "cleaned_events", "sessions", "user_version_history", "sightings")
    before = {table: platform.lake.version(table) for table in tables}
    reports = run_hours(platform, HOURS[:6])
    assert {report.status for report in reports} == {"unchanged"}
    assert {table: platform.lake.version(table) for table in tables} == before
    assert run_marts(platform) == []
    # Files written again with the same contents are read, found equal, and nothing is written.
    for hour in HOURS[:6]:
        for file in _files_of(world / "landing", hour):
            file.write_bytes(file.read_bytes())
    reports = run_hours(platform, HOURS[:6])
    assert {report.status for report in reports} == {"unchanged"}
    assert {table: platform.lake.version(table) for table in tables} == before


@pytest.mark.slow
def test_an_hour_that_failed_is_left_out_of_the_kpis_until_it_is_mended(
    world: Path, tmp_path: Path
) -> None:
    platform = new_platform(tmp_path / "home", world / "landing", world / "sources.yaml")
    run_hours(platform, HOURS[:8])
    run_marts(platform)
    whole = tables_of(platform)["published/kpi_hourly"]
    mark_failed(platform.lake, HOURS[3], "a test's own failure", [])
    run_marts(platform)
    without = tables_of(platform)["published/kpi_hourly"]
    assert without["active_players"].sum() < whole["active_players"].sum()
    run_hours(platform, HOURS[:8])
    run_marts(platform)
    assert tables_of(platform)["published/kpi_hourly"].equals(whole)
