"""What a run of dbt leaves behind, with the real dbt on a project of one model."""

import gc
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from dbt.adapters.duckdb.credentials import DuckDBCredentials

from kpi_platform.kpis.dbt.dbt_run import DbtBuildError, DbtRun, clear_failed, plain_path
from kpi_platform.storage.kpi_database.embedded import WarehouseError, connect
from kpi_platform_tests.kpis.dbt.small_project import write_small_project


def _run(folder: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> DbtRun:
    monkeypatch.setenv("KPI_WAREHOUSE_PATH", "warehouse.duckdb")
    parsed = write_small_project(folder, {"one": model})
    # A run takes the project as it was parsed, and reads it no more.
    (folder / "models" / "one.sql").unlink()
    return DbtRun(folder, parsed, folder / "warehouse.duckdb", folder / "target")


def _left(folder: Path) -> list[Path]:
    return [path for path in (folder / "target").iterdir() if (path / "dbt.log").exists()]


def test_a_run_that_went_well_leaves_no_folder_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(tmp_path, "select 1 as n", monkeypatch)
    run(full_refresh=False)
    # Again, in the same process, while others use the database in between.
    for _ in range(2):
        with connect(tmp_path / "warehouse.duckdb") as con:
            assert con.execute("from one").fetchall() == [(1,)]
            con.execute("drop table one")
        run(full_refresh=False)
    assert run.seconds.keys() == {"one"}
    assert _left(tmp_path) == []
    # What dbt was told of this warehouse is no word about others.
    assert "KPI_PROJECT_IS_BUILT" not in os.environ


@pytest.mark.parametrize("model", ["select 1 as n", "select * from no_such_table"])
def test_another_process_can_open_the_database_as_soon_as_dbt_has_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    run = _run(tmp_path, model, monkeypatch)
    # Whoever calls may have the collector paused.
    gc.disable()
    try:
        with suppress(DbtBuildError):
            run(full_refresh=False)
        opened = f"import duckdb; duckdb.connect({str(tmp_path / 'warehouse.duckdb')!r})"
        subprocess.run([sys.executable, "-c", opened], check=True)
    finally:
        gc.enable()


def test_a_run_that_failed_leaves_its_log_and_its_sql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DbtBuildError, match=r"one: [\s\S]*no_such_table"):
        _run(tmp_path, "select * from no_such_table", monkeypatch)(full_refresh=False)
    (left,) = _left(tmp_path)
    assert list(left.rglob("compiled/**/one.sql"))


def test_a_database_in_a_folder_of_any_name_is_the_one_that_is_built(
    tmp_path: Path,
) -> None:
    home = tmp_path / "a #1 50% é 'x' & b"
    home.mkdir()
    with plain_path(home / "warehouse.duckdb") as path:
        assert DuckDBCredentials.path_derived_database_name(str(path)) == "warehouse"
        with duckdb.connect(str(path)) as con:
            con.execute("create table one as select 1 as n")
    assert not path.exists()
    with duckdb.connect(str(home / "warehouse.duckdb")) as con:
        assert con.execute("from one").fetchall() == [(1,)]
    with plain_path(tmp_path / "warehouse.duckdb") as path:
        assert path == tmp_path / "warehouse.duckdb"


def test_a_path_that_duckdb_cannot_take_is_refused_in_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(WarehouseError, match=r"KPI_WAREHOUSE_PATH: .*'\?'"),
        connect(tmp_path / "a ? b" / "warehouse.duckdb"),
    ):
        pass


class Cancelled(BaseException):
    """What Dagster raises on the main thread when a run is cancelled."""


def test_a_run_that_is_cancelled_leaves_nobody_at_work_in_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel(*_: object) -> None:
        raise Cancelled

    run = _run(
        tmp_path, "select count(*) as n from range(10000000000) a, range(1000000) b", monkeypatch
    )
    before = signal.signal(signal.SIGTERM, cancel)
    timer = threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        with pytest.raises(Cancelled):
            run(full_refresh=False)
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, before)
    with connect(tmp_path / "warehouse.duckdb") as con:
        assert con.execute("select 1").fetchall() == [(1,)]


def test_what_failed_runs_left_goes_after_a_week_and_nothing_else(tmp_path: Path) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    for name, days in (("kpis-1a2b3c4-0f1e2d3", 8), ("0f1e2d4", 8), ("0f1e2d5", 6), ("run", 9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dbt.log").touch()
        at = (now - timedelta(days=days)).timestamp()
        os.utime(tmp_path / name, (at, at))
    clear_failed(tmp_path, now)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0f1e2d5", "run"]
