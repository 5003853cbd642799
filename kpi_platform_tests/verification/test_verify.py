"""`verify` on real lakes: what agrees, what was changed by hand, what is only stale."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from kpi_platform.cli.cli import app
from kpi_platform.engine.books.hour_fingerprints import forget_consumed
from kpi_platform.engine.platform import Platform
from kpi_platform.operations.notes import VERIFY, read_note
from kpi_platform.schemas.tables import TABLES
from kpi_platform.settings import Settings
from kpi_platform.simulator import simulate
from kpi_platform.storage.landing.landing_upload import upload
from kpi_platform.storage.local_servers.local_s3 import S3Server
from kpi_platform.verification.report import as_lines
from kpi_platform.verification.verify import (
    FOLDED_TABLES,
    HOUR_TABLES,
    Verification,
    VerifyError,
    verify,
)
from kpi_platform_tests.whole_platform import new_platform, run_hours

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(10)]
# One column per table, changed in one row.
TAMPERED = {
    "raw_telemetry": "body_message",
    "quarantined_events": "raw_line",
    "cleaned_events": "attributes",
    "hour_ledger": "duplicates",
    "sessions": "country",
    "user_version_history": "current_device",
    "user_version_intervals": "version",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten hours of a small world, processed in no good order and partly twice."""
    folder = tmp_path_factory.mktemp("verify")
    simulate(folder / "world", START, len(HOURS), 500, 5)
    platform = _platform(folder)
    run_hours(platform, HOURS[6:])
    for hour in reversed(HOURS[:7]):
        run_hours(platform, [hour])
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of that world and its lake, to be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def _platform(folder: Path) -> Platform:
    world = folder / "world"
    return new_platform(folder / "home", world / "landing", world / "sources.yaml")


def _verify(
    folder: Path, first: datetime | None = None, last: datetime | None = None
) -> Verification:
    return verify(_platform(folder), first, last, 50, lambda *_: None)


def _tamper(folder: Path, table: str, where: pl.Expr | None = None) -> dict[str, object]:
    """Change one row by hand; returns its key as it is named."""
    lake, contract, column = _platform(folder).lake, TABLES[table], TAMPERED[table]
    rows = lake.scan(table).filter(True if where is None else where).collect()
    if table == "hour_ledger":
        rows = rows.filter(pl.col("files") > 0)
    row = rows.sort(contract.keys).head(1)
    is_number = row[column].dtype.is_integer()
    value = pl.col(column) + 1 if is_number else pl.lit("by hand").alias(column)
    assert lake.apply_changes(table, row.with_columns(value), row.clear()) == 1
    return {name: row[name].item() for name in contract.keys}


def _line_file(folder: Path, hour: datetime) -> Path:
    files = folder.glob(f"world/landing/*/{hour:%Y/%m/%d/%H}/*.tsv")
    return next(file for file in sorted(files) if file.stat().st_size)


def test_an_untouched_lake_verifies(made: Path) -> None:
    found = _verify(made)
    assert found.is_equal and not found.stale and found.hours == len(HOURS)
    rows = {table.table: table.rows for table in found.tables}
    assert set(rows) == {*HOUR_TABLES, *FOLDED_TABLES} and min(rows.values()) > 0


def test_a_row_changed_by_hand_in_any_table_is_found_and_named(folder: Path) -> None:
    keys = {table: _tamper(folder, table) for table in TAMPERED}
    found = _verify(folder)
    assert not found.is_equal
    assert {table.table for table in found.tables if table.differences} == set(TAMPERED)
    for table in (t for t in found.tables if t.table in TAMPERED):
        (difference,) = table.differences
        assert table.differing == 1
        assert (difference.kind, difference.key) == ("changed", keys[table.table])
        assert list(difference.columns) == [TAMPERED[table.table]]
    assert keys["user_version_history"]["player_id"] in found.players


def test_a_row_too_many_and_a_row_too_few_are_found(folder: Path) -> None:
    lake = _platform(folder).lake
    history = lake.scan("user_version_history").collect().sort("player_id")
    nobody = history.head(1).with_columns(player_id=pl.lit("nobody"))
    lake.apply_changes("user_version_history", nobody, history.tail(1))
    differences = next(
        table.differences
        for table in _verify(folder).tables
        if table.table == "user_version_history"
    )
    assert {(item.kind, item.key["player_id"]) for item in differences} == {
        ("unexpected", "nobody"),
        ("missing", history["player_id"][-1]),
    }


def test_a_file_changed_since_is_stale_and_hides_nothing_else(folder: Path) -> None:
    file = _line_file(folder, HOURS[4])
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[1:]))
    written_again = _line_file(folder, HOURS[2])
    written_again.write_bytes(written_again.read_bytes())
    found = _verify(folder)
    assert found.is_equal
    assert [(s.hour, s.reason) for s in found.stale] == [(HOURS[4], "files or settings changed")]
    key = _tamper(folder, "user_version_history")
    again = _verify(folder)
    assert again.players == [key["player_id"]]
    run_hours(_platform(folder), [HOURS[4]])
    assert [(s.hour, s.reason) for s in _verify(folder).stale] == []


def test_hours_that_no_run_finished_or_began_are_stale(folder: Path) -> None:
    platform = _platform(folder)
    forget_consumed(platform.lake, "user_version_history", [HOURS[3]])
    file = _line_file(folder, HOURS[-1])
    later = HOURS[-1] + timedelta(hours=1)
    new = file.parents[4] / f"{later:%Y/%m/%d/%H}" / file.name
    new.parent.mkdir(parents=True)
    shutil.copy(file, new)
    found = _verify(folder)
    assert found.is_equal
    assert [(s.hour, s.reason) for s in found.stale] == [
        (HOURS[3], "not finished"),
        (later, "not processed yet"),
    ]


def test_a_window_compares_its_hours_and_the_players_touched_in_them(folder: Path) -> None:
    _tamper(folder, "cleaned_events", pl.col("p_ingest_hour_utc") == 1)
    inside = _tamper(folder, "cleaned_events", pl.col("p_ingest_hour_utc") == 6)
    lake = _platform(folder).lake
    touched = (
        lake.scan("cleaned_events")
        .filter(pl.col("p_ingest_hour_utc").is_in([5, 6]))
        .join(lake.scan("sessions"), on=["source", "service_name", "session_id"])
        .select(pl.col("player_id").unique().drop_nulls().sort())
        .collect()["player_id"]
    )
    everybody = lake.scan("user_version_history").collect()["player_id"].sort()
    away = next(player for player in everybody if player not in set(touched))
    here = next(player for player in everybody if player in set(touched))
    for player in (away, here):
        _tamper(folder, "user_version_history", pl.col("player_id") == player)
    found = {table.table: table for table in _verify(folder, HOURS[5], HOURS[6]).tables}
    assert [item.key for item in found["cleaned_events"].differences] == [inside]
    assert [item.key for item in found["user_version_history"].differences] == [{"player_id": here}]
    assert found["user_version_history"].rows < everybody.len()


def test_of_hours_outside_the_window_no_file_is_looked_at(folder: Path) -> None:
    for hour in (*HOURS[:5], *HOURS[7:]):
        for place in (folder / "world" / "landing").glob(f"*/{hour:%Y/%m/%d/%H}"):
            shutil.rmtree(place)
    found = _verify(folder, HOURS[5], HOURS[6])
    assert found.is_equal and not found.held and not found.stale
    assert (found.hours, found.taken) == (2, 8)
    assert all(table.rows for table in found.tables if table.table in FOLDED_TABLES)
    assert list(as_lines(found))[-1].endswith(
        "the events of 8 hours outside the window were taken as stored"
    )


def test_a_window_without_a_processed_hour_is_a_mistake(made: Path) -> None:
    with pytest.raises(VerifyError, match="nothing to verify"):
        _verify(made, START + timedelta(days=9))


def test_the_command_prints_what_it_found_and_says_it_by_its_exit_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _platform(folder).settings
    monkeypatch.setenv("KPI_LANDING_URI", settings.landing)
    monkeypatch.setenv("KPI_LAKE_URI", settings.lake)
    monkeypatch.setenv("KPI_SOURCES", str(settings.sources_file))
    runner = CliRunner()
    equal = runner.invoke(app, ["verify", "--json"])
    assert equal.exit_code == 0
    assert json.loads(equal.stdout)["equal"] is True
    noted = read_note(settings.lake, VERIFY)
    assert noted is not None
    assert (noted["equal"], noted["hours"]) == (True, json.loads(equal.stdout)["hours"])
    key = _tamper(folder, "user_version_intervals")
    different = runner.invoke(app, ["verify", "--from", "2026-01-01-00:00"])
    assert different.exit_code == 1
    assert (read_note(settings.lake, VERIFY) or {})["equal"] is False
    assert f"players that differ: {key['player_id']}" in different.stdout
    assert "version is by hand, should be" in different.stdout
    for wrong in (
        ["--from", "yesterday"],
        ["--from", "2026-01-02-00:00", "--to", "2026-01-01-00:00"],
    ):
        assert runner.invoke(app, ["verify", *wrong]).exit_code == 2


def test_a_lake_on_s3_is_verified_the_same_way(
    made: Path, tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3_server.create_bucket(f"verify-{os.getpid()}")
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    hours = HOURS[:2]
    landing = tmp_path / "landing"
    for hour in hours:
        for file in made.glob(f"world/landing/*/{hour:%Y/%m/%d/%H}/*"):
            target = landing / file.relative_to(made / "world" / "landing")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    upload(landing, f"{bucket}/landing")
    platform = Platform(
        Settings(
            home=tmp_path,
            landing_uri=f"{bucket}/landing",
            lake_uri=f"{bucket}/lake",
            sources=made / "world" / "sources.yaml",
        )
    )
    run_hours(platform, hours)
    assert verify(platform, None, None, 5, lambda *_: None).is_equal
    platform.lake.delete("user_version_history", "true")
    found = verify(platform, None, None, 3, lambda *_: None)
    assert not found.is_equal and len(found.players) == 3


def test_files_that_are_gone_are_taken_from_their_stored_lines(folder: Path) -> None:
    gone = sorted((folder / "world" / "landing").glob(f"*/{HOURS[3]:%Y/%m/%d/%H}/*"))
    for path in gone:
        path.unlink()
    found = _verify(folder)
    assert (found.is_equal, found.stale) == (True, [])
    (held,) = found.held
    assert (held.hour, held.files) == (HOURS[3], len(gone))
    assert held.lines > 0
