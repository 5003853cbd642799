"""What a run of dbt leaves behind, with the real dbt on a project of one model."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from dagster_dbt import DagsterDbtTranslator, DbtCliResource
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from dbt.adapters.duckdb.credentials import DuckDBCredentials

from kpi_platform.kpis.dbt_run import DbtRun, clear_failed, plain_path
from kpi_platform.storage.kpi_database.embedded import WarehouseError, connect

PROJECT = """name: small
profile: small
version: "1.0"
models:
  +materialized: table
"""
PROFILE = """small:
  target: here
  outputs:
    here: {type: duckdb, path: "{{ env_var('KPI_WAREHOUSE_PATH') }}"}
"""


def _run(folder: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> DbtRun:
    (folder / "models").mkdir()
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILE)
    (folder / "models" / "one.sql").write_text(model)
    monkeypatch.setenv("DBT_TARGET_PATH", str(folder / "target"))
    # The project is parsed before anybody knows the warehouse.
    monkeypatch.setenv("KPI_WAREHOUSE_PATH", str(folder / "no_warehouse.duckdb"))
    dbt = DbtCliResource(
        project_dir=str(folder),
        profiles_dir=str(folder),
        dbt_executable=str(Path(sys.executable).with_name("dbt")),
    )
    dbt.cli(["parse"], target_path=folder / "target").wait()
    manifest = json.loads((folder / "target" / "manifest.json").read_text())
    monkeypatch.delenv("DBT_TARGET_PATH")
    places = (folder / "warehouse.duckdb", folder / "target")
    return DbtRun(dbt, manifest, DagsterDbtTranslator(), *places)


def _left(folder: Path) -> list[Path]:
    return [path for path in (folder / "target").iterdir() if (path / "dbt.log").exists()]


def test_a_run_that_went_well_leaves_no_folder_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(tmp_path, "select 1 as n", monkeypatch)(full_refresh=False)
    assert (tmp_path / "warehouse.duckdb").exists()
    assert _left(tmp_path) == []
    # What dbt was told of this warehouse is no word about others.
    assert "KPI_PROJECT_IS_BUILT" not in os.environ


def test_a_run_that_failed_leaves_its_log_and_its_sql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DagsterDbtCliRuntimeError, match="no_such_table"):
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


def test_the_project_is_parsed_for_a_warehouse_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = _run(tmp_path, "select 1 as n", monkeypatch)
    run(full_refresh=False)
    assert "Unable to do partial parsing" in "".join(capfd.readouterr())

    run(full_refresh=False)
    assert "Unable to do partial parsing" not in "".join(capfd.readouterr())


def test_what_failed_runs_left_goes_after_a_week_and_nothing_else(tmp_path: Path) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    for name, days in (("kpis-1a2b3c4-0f1e2d3", 8), ("0f1e2d4", 8), ("0f1e2d5", 6), ("run", 9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dbt.log").touch()
        at = (now - timedelta(days=days)).timestamp()
        os.utime(tmp_path / name, (at, at))
    clear_failed(tmp_path, now)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0f1e2d5", "run"]
