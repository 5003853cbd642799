"""Capturing a studio's tables by windows: first all, then what is new, late, changed or deleted."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.arrivals.checks import check_studios
from kpi_platform.cleaned.checks import check_events
from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform.storage.studio_databases import TerminalWarehouseError, TransientWarehouseError
from kpi_platform_tests.arrivals.studios.studio_world import (
    SOURCES,
    START,
    StudioWorld,
    hour,
    purchase,
    purchases,
    versions,
)


@pytest.fixture
def world(memory_path: Path) -> StudioWorld:
    return StudioWorld(memory_path)


def at(number: int, minutes: int = 0) -> datetime:
    return hour(number) + timedelta(minutes=minutes)


def events(world: StudioWorld) -> list[tuple[datetime, str, str | None]]:
    """Every event: its ingest hour, its key's column and its amount."""
    rows = world.lake.scan("cleaned_events").collect()
    made = rows.select(
        hour=pl.col("p_ingest_date_utc").cast(pl.Datetime("us", "UTC"))
        + pl.duration(hours="p_ingest_hour_utc"),
        id=attribute("id"),
        amount=attribute("Amount"),
    )
    return sorted(made.iter_rows(), key=str)


def ledger(world: StudioWorld, number: int) -> dict[str, object]:
    rows = world.lake.read_hours("hour_ledger", [hour(number)])
    return rows.filter(pl.col("source") == "comet-db").to_dicts()[0]


def accounted(world: StudioWorld, *numbers: int) -> bool:
    checks = check_events(world.lake, [hour(n) for n in numbers], 1)
    return all(check.passed for check in checks)


def test_the_first_partition_takes_everything_older_and_later_ones_their_window(
    world: StudioWorld,
) -> None:
    old = START - timedelta(days=400)
    world.warehouse.tables["purchases"] = purchases(
        [purchase(1, old), purchase(2, at(0, 5)), purchase(3, at(1, 5)), purchase(4, at(2))]
    )
    world.run([hour(0)])
    assert [row[:2] for row in events(world)] == [(hour(0), "1"), (hour(0), "2")]
    world.run([hour(1)])
    assert [row[:2] for row in events(world)][2:] == [(hour(1), "3")]
    assert accounted(world, 0, 1)


def test_a_row_without_a_watermark_belongs_to_the_first_hour(world: StudioWorld) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(1, None)])  # type: ignore[arg-type]
    world.run([hour(0)])
    assert [row[:2] for row in events(world)] == [(hour(0), "1")]


def test_an_update_moves_the_event_to_the_hour_of_its_newest_version(world: StudioWorld) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(1, at(0, 5), 100)])
    world.run([hour(0)])
    world.warehouse.tables["purchases"] = purchases([purchase(1, at(2, 5), 250)])
    reports = world.run([hour(2)])
    assert events(world) == [(hour(2), "1", "2.50")]
    assert ledger(world, 0)["duplicates"] == 1
    assert {r.hour for r in reports["sessions"]} == {hour(0), hour(2)}
    assert accounted(world, 0, 2)
    sessions = world.lake.scan("sessions").collect()
    assert sessions["event_count"].to_list() == [1]


def test_hours_in_any_order_give_the_same(world: StudioWorld, memory_path: Path) -> None:
    other = StudioWorld(memory_path / "other", world.warehouse)
    world.warehouse.tables["purchases"] = purchases(
        [purchase(n, at(n, 5), 100 * n) for n in range(4)]
    )
    for number in (3, 0, 2, 1):
        world.run([hour(number)])
    other.run([hour(n) for n in range(4)])
    assert events(world) == events(other) and len(events(world)) == 4


def test_late_rows_and_changes_within_three_hours_come_with_the_next_hours(
    world: StudioWorld,
) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(1, at(1, 5))])
    world.run([hour(n) for n in range(3)])
    world.warehouse.tables["purchases"] = purchases(
        [purchase(1, at(1, 5)), purchase(2, at(1, 7)), purchase(3, at(3))]
    )
    world.run([hour(3)])
    assert [row[:2] for row in events(world)] == [(hour(1), "1"), (hour(1), "2"), (hour(3), "3")]
    assert accounted(world, 0, 1, 2, 3)
    assert ledger(world, 1)["lines"] == 2


def test_a_row_that_vanishes_stays_and_one_marked_as_deleted_goes(world: StudioWorld) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(1, at(0, 1)), purchase(2, at(0, 2))])
    world.run([hour(0)])
    world.warehouse.tables["purchases"] = purchases([purchase(2, at(1, 1), gone=True)])
    world.run([hour(1)])
    assert [row[:2] for row in events(world)] == [(hour(0), "1")]
    assert ledger(world, 1)["left_out"] == 1
    assert accounted(world, 0, 1)


def test_an_hour_again_without_news_writes_nothing(world: StudioWorld) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(1, at(1, 5))])
    world.warehouse.tables["versions"] = versions([(1, at(1, 6), "p1", "s1", "1.0")])
    world.run([hour(0), hour(1)])
    before = world.versions_of_tables()
    reports = world.run([hour(0), hour(1)])
    assert world.versions_of_tables() == before
    assert {r.status for part in reports.values() for r in part} == {"unchanged"}


def test_a_captured_hour_again_takes_what_is_new(world: StudioWorld) -> None:
    world.run([hour(0)])
    world.warehouse.tables["purchases"] = purchases([purchase(1, at(0, 5))])
    world.run([hour(0)])
    world.warehouse.tables["purchases"] = purchases([purchase(1, at(0, 5)), purchase(2, at(0, 6))])
    world.run([hour(0)])
    assert [row[1] for row in events(world)] == ["1", "2"]


def test_a_studio_that_is_down_fails_alone_and_heals(world: StudioWorld) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(n, at(n, 5)) for n in range(8)])
    world.run([hour(0)])
    world.warehouse.is_down = TransientWarehouseError("connection refused")
    reports = world.run([hour(n) for n in (1, 2, 3, 4, 5)])
    assert {r.status for r in reports["cleaned_events"]} == {"written"}
    assert ledger(world, 1)["status"] == "failed"
    assert "connection refused" in str(ledger(world, 1)["source_error"])
    failing = [c for c in check_studios(world.lake, [hour(1)]) if not c.passed]
    assert [check.spec.name for check in failing] == ["every_studio_was_captured"]
    assert accounted(world, 1)
    world.warehouse.is_down = None
    world.run([hour(6)])
    assert len(events(world)) == 7
    assert {ledger(world, n)["status"] for n in range(7)} == {"processed"}
    assert accounted(world, *range(7))


def test_a_connection_lost_in_the_middle_is_read_again(world: StudioWorld) -> None:
    rows = [purchase(n, at(0, n)) for n in range(9)]
    world.warehouse.tables["purchases"] = purchases(rows)
    world.warehouse.errors = [TransientWarehouseError("server closed the connection")]
    world.run([hour(0)])
    assert len(events(world)) == 9
    assert ledger(world, 0)["lines"] == 9


def test_what_cannot_succeed_is_not_tried_again(world: StudioWorld) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(1, at(0, 1))])
    world.warehouse.tables["versions"] = versions([(1, at(0, 6), "p1", "s1", "1.0")])
    world.warehouse.errors = [TerminalWarehouseError("permission denied for table purchases")]
    world.run([hour(0)])
    assert world.warehouse.reads == 3
    assert ledger(world, 0)["status"] == "failed"
    # The tables that could be read are there.
    assert [row[1] for row in events(world)] == ["1"]


def test_a_mapped_column_that_vanished_stops_the_source(world: StudioWorld) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(1, at(0, 1))]).drop("cents")
    world.run([hour(0)])
    assert "column cents is mapped but gone" in str(ledger(world, 0)["source_error"])


def test_dirty_rows_are_quarantined_with_a_reason(world: StudioWorld) -> None:
    rows = [
        purchase(1, at(0, 1), None),
        purchase(2, at(0, 2), player="p" * 4096),
        purchase(3, at(0, 3), bought=datetime(1970, 1, 1, tzinfo=UTC)),
        purchase(4, at(0, 4), bought=datetime(2099, 1, 1, tzinfo=UTC)),
        purchase(5, at(0, 5), player=" "),
    ]
    world.warehouse.tables["purchases"] = purchases(rows)
    world.run([hour(0)])
    found = world.lake.scan("quarantined_events").collect()
    assert dict(found.select("file_name", "reason").iter_rows()) == {
        "purchases#2": "bad_player_id",
        "purchases#3": "implausible_timestamp",
        "purchases#4": "future_timestamp",
    }
    assert accounted(world, 0)


def test_a_table_without_a_watermark_is_replaced_by_what_it_is_now(world: StudioWorld) -> None:
    world.run([hour(0)])
    world.warehouse.tables["items"] = pl.DataFrame({"sku": ["b", "c"], "price": [2.5, 3.0]})
    world.run([hour(1)])
    assert world.lake.scan("studio_dimensions").collect()["row_key"].sort().to_list() == ["b", "c"]


def test_rows_that_a_table_holds_twice_are_captured_once(
    world: StudioWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kpi_platform.arrivals.studios.version_store.ROWS_AT_A_TIME", 2)
    monkeypatch.setattr("kpi_platform.arrivals.studios.version_copies._ROWS_AT_A_TIME", 3)
    rows = [purchase(n % 4, at(0, n % 4)) for n in range(11)]
    world.warehouse.tables["purchases"] = purchases([*rows, purchase(1, at(0, 9))])
    world.run([hour(0)])
    stored = world.lake.scan("raw_studio_events").collect()
    assert stored["row_key"].sort().to_list() == ["0", "1", "1", "2", "3"]
    assert len(events(world)) == 4
    assert accounted(world, 0)


def test_a_source_that_is_added_later_is_captured_like_the_first(world: StudioWorld) -> None:
    world.warehouse.tables["purchases"] = purchases([purchase(n, at(0, n)) for n in range(3)])
    world.run([hour(0)])
    second = SOURCES.replace("comet", "nova").replace("aurora", "borealis").split("studios:")[1]
    world.sources = parse_sources(SOURCES + second.lstrip("\n"), "sources.yaml")
    world.run([hour(0)])
    stored = world.lake.scan("raw_studio_events").collect()
    assert stored["source"].value_counts().sort("source").rows() == [
        ("comet-db", 3),
        ("nova-db", 3),
    ]
    assert accounted(world, 0)


def test_rows_stamped_long_ago_are_found_where_more_hours_are_read_again(
    world: StudioWorld,
) -> None:
    world.sources = parse_sources(
        SOURCES.replace("schema: game", "schema: game\n            reread_hours: 6"), "sources.yaml"
    )
    world.run([hour(n) for n in range(6)])
    world.warehouse.tables["purchases"] = purchases([purchase(1, at(1, 5)), purchase(2, at(0, 5))])
    world.run([hour(6)])
    assert [row[:2] for row in events(world)] == [(hour(0), "2"), (hour(1), "1")]
    assert accounted(world, *range(7))
