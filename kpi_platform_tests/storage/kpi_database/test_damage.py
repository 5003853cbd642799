"""A database file that is damaged, or has no place, is said in one line with what mends it."""

from pathlib import Path

import duckdb
import pytest

from kpi_platform.settings import Settings, SettingsError, make_home
from kpi_platform.storage.kpi_database.embedded import WarehouseError, connect


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Some blocks of rows beside the books."""
    path = tmp_path / "warehouse.duckdb"
    with connect(path) as con:
        con.execute("create table rows as select range a, repeat('x', 100) b from range(100000)")
        con.execute("create schema marts")
        con.execute("create table marts.last as select range a from range(100000)")
    return path


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.02, 0.5, 0.9, 0.999])
def test_a_file_cut_short_anywhere_is_never_opened(database: Path, kept: float) -> None:
    whole = database.read_bytes()
    database.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(WarehouseError) as said, connect(database):
        pass
    assert str(said.value).startswith(f"KPI_WAREHOUSE_PATH: {database}: ")
    assert "move it away" in str(said.value) and "\n" not in str(said.value)


def test_a_whole_file_is_opened_also_after_a_crash(database: Path) -> None:
    with connect(database) as con:
        con.execute("set checkpoint_threshold = '1TB'")
        con.execute("insert into rows from rows")
        wal = database.with_name("warehouse.duckdb.wal")
        left = (database.read_bytes(), wal.read_bytes())
    for file, content in zip((database, wal), left, strict=True):
        file.write_bytes(content)
    for _ in range(2):
        with connect(database) as con:
            assert con.execute("select count(*) from rows").fetchall() == [(200000,)]


def test_a_file_whose_end_was_given_back_is_whole(database: Path) -> None:
    # DuckDB cuts free blocks off the file's end and goes on counting them.
    with connect(database) as con:
        con.execute("drop table marts.last")
        con.execute("create or replace table rows as select 1 a")
    for _ in range(2):
        with connect(database) as con:
            assert con.execute("select * from rows").fetchall() == [(1,)]


def test_damage_that_is_met_later_is_named_as_well(database: Path) -> None:
    with pytest.raises(WarehouseError, match="move it away"), connect(database):
        raise duckdb.IOException("Corrupt database file: computed checksum 1 does not match\n...")


def test_a_place_that_is_no_folder_is_named_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    opened = connect(tmp_path / "file" / "warehouse.duckdb")
    with pytest.raises(WarehouseError, match=r"^KPI_WAREHOUSE_PATH: [^\n]*; make room"), opened:
        pass
    with pytest.raises(SettingsError, match=r"^KPI_HOME: [^\n]*nothing can be written there"):
        make_home(Settings(home=tmp_path / "file" / "home"))
