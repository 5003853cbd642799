"""Damaged tables: a run names what is damaged, verify cannot read it, rebuild mends it."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from urllib.parse import unquote

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from kpi_platform.cli.cli import app
from kpi_platform.engine.books.damages import damages_of
from kpi_platform.engine.books.hour_fingerprints import forget_consumed
from kpi_platform.engine.platform import Platform
from kpi_platform.published.publish import Publication, publish
from kpi_platform.schemas.tables import TABLES
from kpi_platform.simulator import simulate
from kpi_platform.storage.kpi_database.embedded import connect
from kpi_platform.storage.kpi_database.marts import EmbeddedMarts
from kpi_platform.storage.lake.damage import Damage
from kpi_platform.storage.lake.delta.lake_files import files_of
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.verification.mend import REBUILT, Mended, rebuild_table
from kpi_platform.verification.published import compare_published, rebuild_published
from kpi_platform_tests.whole_platform import DATA_TABLES, new_platform, run_hours

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(3)]
# Books that this small world leaves empty.
_EMPTY = {"hour_queue", "history_queue", "warehouse_columns", "studio_dimensions", "rows_ahead"}
# How a file looked when it was last read, not what it holds.
_LOOKS = ("fingerprint", "identity", "is_young", "arrived_at")
STORED = [table for table in REBUILT if table not in _EMPTY]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hours of a small world with studios and feeds, processed."""
    folder = tmp_path_factory.mktemp("damage")
    simulate(folder / "world", START, len(HOURS), 120, 5)
    run_hours(_platform(folder), HOURS)
    return folder


@pytest.fixture(scope="module")
def before(made: Path) -> dict[str, pl.DataFrame]:
    """The rows of that world's tables."""
    return _rows(made)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of that world and its lake, to be damaged."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def _platform(folder: Path) -> Platform:
    world = folder / "world"
    return new_platform(folder / "home", world / "landing", world / "sources.yaml")


def _files(folder: Path, table: str, platform: Platform | None = None) -> list[Path]:
    """The data files of a table, of the newest partition last."""
    snapshot = (platform or _platform(folder)).lake.open(table)
    assert snapshot is not None
    root = Path(snapshot.table_uri.removeprefix("file://"))
    return [root / unquote(path) for path in files_of(snapshot)["path"].sort()]


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _flip(file: Path) -> None:
    """Flip a bit of the footer, which says where everything is."""
    content = bytearray(file.read_bytes())
    content[-6] ^= 0x40
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {"cut": _cut, "flipped": _flip, "deleted": Path.unlink}


def _rows(folder: Path) -> dict[str, pl.DataFrame]:
    lake, found = _platform(folder).lake, {}
    for table in (*DATA_TABLES, "session_parts", "sightings", "hour_ledger", "file_ledger"):
        names = [n for n in TABLES[table].polars_schema.names() if n not in _LOOKS]
        rows = lake.scan(table).select(names).collect()
        plain = [name for name, dtype in rows.schema.items() if not isinstance(dtype, pl.List)]
        found[table] = rows.sort(plain)
    return found


def _damages(folder: Path) -> list[Damage]:
    return [item for each in damages_of(_platform(folder).lake).values() for item in each]


def _assert_mended(folder: Path, before: dict[str, pl.DataFrame], done: Mended) -> None:
    assert (done.failed, done.lost_lines, _damages(folder)) == ({}, 0, [])
    assert [n for n, rows in _rows(folder).items() if not rows.equals(before[n])] == []


@pytest.mark.parametrize(("table", "kind"), zip(STORED, cycle(DAMAGES), strict=False))
def test_a_damaged_file_is_named_and_its_hours_are_made_anew(
    folder: Path, before: dict[str, pl.DataFrame], table: str, kind: str
) -> None:
    file = _files(folder, table)[-1]
    DAMAGES[kind](file)
    (damage,) = _damages(folder)
    assert damage.table == table and file.as_posix().endswith(unquote(damage.file))
    done = rebuild_table(_platform(folder), table, damage.first, damage.last)
    _assert_mended(folder, before, done)


@pytest.mark.parametrize("kind", DAMAGES)
def test_every_damaged_table_is_named_at_once(folder: Path, kind: str) -> None:
    for table in STORED:
        DAMAGES[kind](_files(folder, table)[-1])
    assert sorted(item.table for item in _damages(folder)) == sorted(STORED)


def test_a_run_names_the_damage_and_its_other_hours_go_on(folder: Path) -> None:
    lake = _platform(folder).lake
    for table in ("raw_telemetry", "file_ledger"):
        _cut(_files(folder, table)[-1])
    forget_consumed(lake, "cleaned_events", HOURS)
    reports = run_hours(_platform(folder), HOURS, is_checked=False)
    failed = [report for report in reports if report.status == "failed"]
    assert {report.hour for report in failed} == {HOURS[-1]}
    span = "--from 2026-01-01-02:00 --to 2026-01-01-02:00"
    assert all(f"mend it: kpi rebuild file_ledger {span}" in report.error for report in failed)
    assert {r.hour for r in reports if not r.is_up_to_date} == {HOURS[-1]}


def test_an_entry_that_the_log_lost_is_noticed_and_its_rows_come_again(
    folder: Path, before: dict[str, pl.DataFrame]
) -> None:
    log = Path(_platform(folder).lake.path("cleaned_events"), "_delta_log")
    max(log.glob("*.json")).unlink()
    damages = _damages(folder)
    assert [(d.table, d.first) for d in damages] == [("cleaned_events", hour) for hour in HOURS]
    done = rebuild_table(_platform(folder), "cleaned_events", HOURS[0], HOURS[-1])
    _assert_mended(folder, before, done)


def test_a_table_without_a_readable_log_is_set_aside_and_made_anew(
    folder: Path, before: dict[str, pl.DataFrame]
) -> None:
    _cut(max(Path(_platform(folder).lake.path("sessions"), "_delta_log").glob("*.json")))
    forget_consumed(_platform(folder).lake, "sessions", HOURS[:1])
    reports = run_hours(_platform(folder), HOURS, is_checked=False)
    (failed,) = (report for report in reports if report.status == "failed")
    assert failed.hour == HOURS[0] and "mend it: kpi rebuild sessions" in failed.error
    done = rebuild_table(_platform(folder), "sessions", HOURS[0], HOURS[0])
    assert [Path(place).is_dir() for place in done.aside] == [True]
    _assert_mended(folder, before, done)


def test_the_commands_say_it_and_mend_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, runner = _platform(folder).settings, CliRunner()
    monkeypatch.setenv("KPI_LANDING_URI", settings.landing)
    monkeypatch.setenv("KPI_FEEDS_URI", settings.feeds)
    monkeypatch.setenv("KPI_LAKE_URI", settings.lake)
    monkeypatch.setenv("KPI_HOME", str(settings.home))
    monkeypatch.setenv("KPI_WAREHOUSE_PATH", str(settings.warehouse_path))
    monkeypatch.setenv("KPI_SOURCES", str(settings.sources_file))
    _flip(_files(folder, "cleaned_events")[-1])
    _flip(_files(folder, "user_version_history")[-1])
    told = runner.invoke(app, ["verify", "--json"])
    assert told.exit_code == 4
    found = json.loads(told.stdout)
    commands = [item["command"] for item in found["unreadable"]]
    assert commands == [
        "kpi rebuild cleaned_events --from 2026-01-01-02:00 --to 2026-01-01-02:00",
        "kpi rebuild user_version_history",
    ]
    # The other tables, and the other hours of this one, are compared all the same.
    rows = {item["table"]: item["rows"] for item in found["tables"]}
    assert found["equal"] and rows["cleaned_events"] > 0 and rows["sessions"] > 0
    assert "user_version_history" not in rows
    for command in commands:
        assert runner.invoke(app, command.split()[1:]).exit_code == 0
    after = runner.invoke(app, ["verify"])
    assert after.exit_code == 0
    assert "not compared: published tables (there is no warehouse yet)" in after.stdout
    assert runner.invoke(app, ["rebuild", "nothing"]).exit_code == 2


def test_published_tables_are_compared_with_their_marts_and_copied_anew(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text("studios: []\n")
    platform = new_platform(tmp_path, tmp_path / "landing", tmp_path / "sources.yaml")
    path, table = platform.settings.warehouse_file, "published/kpi_daily"
    with connect(path) as con:
        con.execute("create schema marts")
        con.execute(
            "create table marts.kpi_daily as select date '2026-01-01' + i::int as date,"
            " 'all' as studio, i as dau, i / 3 as arpdau_usd, true as is_complete"
            " from range(5) t(i)"
        )
    rebuild_published(platform, "kpi_daily")
    (found,), damages, _ = compare_published(platform, 5)
    assert (found.table, found.rows, found.differing, damages) == (table, 5, 0, [])
    (file,) = _files(tmp_path, table, platform)
    file.unlink()
    found_now, (damage,), _ = compare_published(platform, 5)
    assert found_now == []
    assert damage.line.endswith("the file is gone; mend it: kpi rebuild published/kpi_daily")
    rebuild_published(platform, "kpi_daily")
    with connect(path) as con:
        con.execute("update marts.kpi_daily set dau = 9 where dau = 2")
    (differs,), damages, _ = compare_published(platform, 5)
    assert (differs.differing, damages) == (2, [])


def test_publishing_a_period_heals_a_damaged_copy(tmp_path: Path) -> None:
    lake, publication = Lake(str(tmp_path / "lake")), Publication("days", "date", "date")
    con = duckdb.connect()
    con.execute("create schema marts")
    con.execute(
        "create table marts.days as select date '2026-01-01' + i::int as date from range(3) t(i)"
    )
    publish(lake, EmbeddedMarts(con), [publication], {})
    _cut(next((tmp_path / "lake" / "published" / "days").glob("*.parquet")))
    publish(lake, EmbeddedMarts(con), [publication], {"days": [datetime(2026, 1, 2)]})  # noqa: DTZ001
    rows = lake.published("days")
    assert rows is not None and rows.collect().height == 3
