"""A lake beside a KPI database of another state: what is not as it was left is published whole."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from kpi_platform.engine.platform import Platform
from kpi_platform.published import left_tables
from kpi_platform.published.publish import Publication
from kpi_platform.published.publish_changes import publish_changes
from kpi_platform.published.restatements import KPI_RESTATEMENTS
from kpi_platform.settings import Settings
from kpi_platform.storage.kpi_database.embedded import connect
from kpi_platform.storage.lake.delta.table_states import (
    TableState,
    is_same_but_for_upkeep,
    state_of,
)
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.maintenance import maintain

TABLES = [Publication("kpi_daily", "date", "date"), Publication("kpi_values", "date", "period")]
NAMES = ["kpi_daily", "kpi_values"]


def platform_on(home: Path, lake: Path) -> Platform:
    """A platform with its KPI database in its home, whatever the environment says, on a lake."""
    warehouse = home / "warehouse.duckdb"
    return Platform(Settings(home=home, lake_uri=str(lake), warehouse_path=warehouse))


class World:
    """A platform whose marts are set by hand: a figure per day, complete."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.parts = platform_on(home, home / "lake")
        with self._database() as con:
            con.execute("create schema marts")
            con.execute("create table marts.kpi_daily (date date, dau double, is_complete bool)")
            con.execute(
                "create view marts.kpi_values as select 'dau' as kpi, date as period, 'all' as"
                " studio, 'all' as game, 'all' as platform, dau as value, is_complete,"
                " '1' as definition_version from marts.kpi_daily"
            )
            con.execute("insert into lake.built_project values ('x')")

    def _database(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return connect(self.parts.settings.warehouse_file)

    def build(self, day: int, dau: int) -> None:
        """A day's figure becomes another, as a build leaves it: its periods are changed."""
        with self._database() as con:
            con.execute("delete from marts.kpi_daily where date = make_date(2026, 1, ?)", [day])
            con.execute(
                "insert into marts.kpi_daily values (make_date(2026, 1, ?), ?, true)", [day, dau]
            )
            con.executemany(
                "insert into lake.changed_periods values (?, make_date(2026, 1, ?))",
                [(table, day) for table in NAMES],
            )

    def publish(self) -> list[str]:
        """The tables that were not as they had been left; all are as their marts afterwards."""
        report = publish_changes(self.parts, TABLES)
        for table in NAMES:
            rows = Lake(str(self.home / "lake")).published(table)
            assert rows is not None
            with self._database() as con:
                mart = self.parts.marts(con).read(table, "", None)
            assert rows.collect().sort(pl.all()).equals(mart.sort(pl.all())), table
        return list(report.others)

    def keep(self, name: str) -> None:
        """A backup of the lake."""
        shutil.copytree(self.home / "lake", self.home / name)

    def put_back(self, name: str) -> None:
        """The lake as it was; not a file of later is left."""
        shutil.rmtree(self.home / "lake")
        shutil.copytree(self.home / name, self.home / "lake")

    def table(self, name: str) -> str:
        return str(self.home / "lake" / "published" / name)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.build(1, 5)
    assert made.publish() == []
    made.keep("of day 1")
    return made


def test_what_was_put_back_to_a_backup_is_published_whole(world: World) -> None:
    world.build(2, 6)
    world.build(1, 7)
    assert world.publish() == []
    world.put_back("of day 1")
    # The database holds the second day already: nothing of it would change.
    assert world.publish() == NAMES
    assert world.publish() == []
    told = world.parts.lake.published(KPI_RESTATEMENTS)
    assert told is not None
    values = told.select("old_value", "new_value").collect().rows()
    assert (5, 7) in values and len(values) == len(set(values))


def test_the_same_version_numbers_with_other_files_are_another_state(world: World) -> None:
    world.build(2, 6)
    world.publish()
    world.put_back("of day 1")
    # As many commits as before, by a database of its own.
    other = platform_on(world.home / "other", world.home / "lake")
    lakes = shutil.ignore_patterns("lake", "of*", "other")
    shutil.copytree(world.home, other.settings.home, ignore=lakes)
    with connect(other.settings.warehouse_file) as con:
        con.execute("update marts.kpi_daily set dau = 99")
        con.execute("insert into lake.changed_periods values ('*', null)")
    publish_changes(other, TABLES)
    assert world.publish() == NAMES


def test_a_lake_that_was_moved_is_the_same(world: World) -> None:
    shutil.move(world.home / "lake", world.home / "moved")
    report = publish_changes(platform_on(world.home, world.home / "moved"), TABLES)
    assert (report.done, report.others) == ([], [])


def test_upkeep_makes_no_other_state(world: World) -> None:
    for day in range(2, 7):
        world.build(day, day)
        world.publish()
    before = state_of(world.table("kpi_daily"))
    done = list(maintain(world.parts.lake, timedelta(hours=1)))
    assert not [item.error for item in done if item.error]
    after = state_of(world.table("kpi_daily"))
    assert before is not None and after is not None
    assert is_same_but_for_upkeep(world.table("kpi_daily"), before, after)
    assert world.publish() == []
    # The note has followed: what upkeep did need not be in the log any more.
    world.build(9, 9)
    assert world.publish() == []


@pytest.fixture
def merged(tmp_path: Path) -> tuple[str, TableState, TableState]:
    """A table, and its states before and after its files were merged."""
    uri = str(tmp_path / "table")
    for number in range(3):
        pl.DataFrame({"number": [number]}).write_delta(uri, mode="append")
    before = state_of(uri)
    DeltaTable(uri).optimize.compact()
    after = state_of(uri)
    assert before is not None and after is not None and after.files != before.files
    return uri, before, after


def test_a_table_whose_files_were_merged_is_the_same(
    merged: tuple[str, TableState, TableState],
) -> None:
    uri, before, after = merged
    assert is_same_but_for_upkeep(uri, before, after)
    pl.DataFrame({"number": [3]}).write_delta(uri, mode="append")
    changed = state_of(uri)
    assert changed is not None and not is_same_but_for_upkeep(uri, before, changed)


def test_a_log_that_tells_no_more_is_another_state(
    merged: tuple[str, TableState, TableState],
) -> None:
    uri, before, after = merged
    DeltaTable(uri).create_checkpoint()
    for entry in sorted(Path(uri, "_delta_log").glob("*.json"))[:-1]:
        entry.unlink()
    assert state_of(uri) == after
    assert not is_same_but_for_upkeep(uri, before, after)


def restored(world: World, table: str) -> None:
    """Delta's own way back, which leaves every stamp of the log as it was."""
    snapshot = world.parts.lake.open(f"published/{table}")
    assert snapshot is not None
    snapshot.restore(0)


def emptied(world: World, table: str) -> None:
    snapshot = world.parts.lake.open(f"published/{table}")
    assert snapshot is not None
    snapshot.delete()


@pytest.mark.parametrize("change", [restored, emptied])
def test_what_others_did_to_a_table_is_undone(
    world: World, change: Callable[[World, str], None]
) -> None:
    world.build(2, 6)
    world.publish()
    change(world, "kpi_daily")
    assert world.publish() == ["kpi_daily"]


def test_a_run_that_was_killed_before_its_note_publishes_once_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.build(2, 6)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(left_tables, "note_left", killed)
        publish_changes(world.parts, TABLES)
    assert world.publish() == NAMES
    assert world.publish() == []


def test_marts_that_wait_or_were_never_built_publish_nothing(world: World) -> None:
    world.build(2, 6)
    world.publish()
    world.put_back("of day 1")
    with connect(world.parts.settings.warehouse_file) as con:
        con.execute("insert into lake.loads values (1, false)")
        con.execute("insert into lake.affected_dates values (1, date '2026-01-02', 'events')")
    report = publish_changes(world.parts, TABLES)
    assert (report.done, report.others) == ([], [])
    with connect(world.parts.settings.warehouse_file) as con:
        con.execute("delete from lake.affected_dates")
        con.execute("delete from lake.built_project")
    report = publish_changes(world.parts, TABLES)
    assert (report.done, report.others) == ([], [])
