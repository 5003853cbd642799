"""What a run notices at studios' tables: keys that are none, rows ahead, rights, trouble of one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.arrivals.drift.drift import Change
from kpi_platform.arrivals.drift.drift_step import StudioDrift
from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.arrivals.studios.studio_checks import AHEAD, KEYS, ROLES, check_studio_tables
from kpi_platform.arrivals.studios.studio_notices import KeyWatch, StudioNotices
from kpi_platform.schemas.hours.hour_checks import HourCheck
from kpi_platform.storage.studio_databases import SchemaTraits
from kpi_platform_tests.arrivals.studios.studio_world import (
    START,
    StudioWorld,
    hour,
    purchase,
    purchases,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(memory_path: Path) -> StudioWorld:
    return StudioWorld(memory_path)


def captured(world: StudioWorld, *numbers: int) -> dict[str, HourCheck]:
    """The checks of the last hour after a run of these, by name."""
    step = CaptureStep(world.lake, world.sources, world.warehouse.open, START)
    hours = [hour(number) for number in numbers]
    step.inputs(hours)
    step.run(hours)
    made = check_studio_tables(hours[-1:], step.drifts.values(), step.notices)
    return {check.spec.name: check for check in made}


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 6).map(str), max_size=8), max_size=5))
def test_rows_that_share_a_key_are_counted_across_batches(batches: list[list[str]]) -> None:
    watch = KeyWatch()
    for keys in batches:
        watch.add(pl.Series(keys, dtype=pl.String))
    watch.end()
    every = [key for keys in batches for key in keys]
    assert watch.repeated == len(every) - len(set(every))
    narrow = KeyWatch(most=0)
    for keys in batches:
        narrow.add(pl.Series(keys, dtype=pl.String))
    narrow.end()
    assert narrow.repeated == sum(len(keys) - len(set(keys)) for keys in batches)


def test_a_read_that_begins_again_counts_nothing_twice() -> None:
    watch = KeyWatch()
    watch.add(pl.Series(["a", "b"]))
    watch.begin()
    watch.add(pl.Series(["a", "b"]))
    watch.end()
    assert watch.repeated == 0


def test_two_rows_of_one_read_under_one_key_are_named(world: StudioWorld) -> None:
    world.warehouse.tables["purchases"] = purchases(
        [purchase(n % 3, hour(0) + n * MINUTE, n) for n in range(6)]
    )
    check = captured(world, 0)[KEYS.name]
    assert not check.passed
    assert check.figures == {"rows": 3, "tables": "comet-db.purchases: 3 rows"}
    # The same key in two reads is an update.
    world.warehouse.tables["purchases"] = purchases([purchase(1, hour(1))])
    assert captured(world, 1)[KEYS.name].passed


def test_rows_that_no_window_takes_are_counted_and_named(world: StudioWorld) -> None:
    rows = [purchase(1, hour(0)), purchase(2, datetime(2062, 1, 1, tzinfo=UTC))]
    world.warehouse.tables["purchases"] = purchases(rows)
    check = captured(world, 0)[AHEAD.name]
    assert not check.passed
    assert check.figures == {"rows": 1, "tables": "comet-db.purchases: 1 rows"}
    assert world.lake.scan("raw_studio_events").collect().height == 1
    book = world.lake.scan("rows_ahead").select("source", "table_name", "rows").collect()
    assert book.rows() == [("comet-db", "purchases", 1)]
    version = world.lake.version("rows_ahead")
    captured(world, 1)
    assert world.lake.version("rows_ahead") == version
    # Corrected, it lies in its hour, and is no longer ahead.
    world.warehouse.tables["purchases"] = purchases([purchase(1, hour(0)), purchase(2, hour(2))])
    assert captured(world, 2)[AHEAD.name].passed
    assert world.lake.scan("rows_ahead").collect().is_empty()


def test_a_backfill_has_newer_rows_ahead_of_it_and_says_nothing(world: StudioWorld) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(n, hour(n)) for n in range(100)])
    assert captured(world, 0)[AHEAD.name].passed


def test_rights_and_hidden_rows_are_named() -> None:
    traits = {"s": SchemaTraits("kpi", writable=("b", "a"))}
    hides = Change("table hides rows", "s", "t", now="some")
    (_, _, roles) = check_studio_tables(
        [START], [StudioDrift("north", (hides,), {}, traits)], StudioNotices()
    )
    assert roles.spec is ROLES
    assert not roles.passed
    assert roles.figures == {
        "may_write_north": "role kpi may write to 2 tables: s.a, s.b",
        "hidden_north": "s.t shows some rows",
    }
    quiet = check_studio_tables(
        [START], [StudioDrift("north", (), {}, {"s": SchemaTraits("kpi")})], StudioNotices()
    )
    assert [check.passed for check in quiet] == [True, True, True]


@pytest.mark.parametrize(
    "error", [ValueError("odd\nmore"), TypeError("x"), KeyError("y"), RuntimeError(), MemoryError()]
)
def test_whatever_a_driver_raises_is_its_studios_trouble(
    world: StudioWorld, error: Exception
) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(1, hour(0))])
    world.warehouse.errors = [error]
    captured(world, 0)
    world.warehouse.is_down = error
    captured(world, 1)
    rows = world.lake.scan("hour_ledger").filter(pl.col("source") == "comet-db").collect()
    assert rows["status"].to_list() == ["failed", "failed"]
    assert all(type(error).__name__ in said for said in rows["source_error"])
    assert not any("\n" in said for said in rows["source_error"])
