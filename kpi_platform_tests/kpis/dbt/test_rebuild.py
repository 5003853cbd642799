"""A changed project is built beside the marts, by a job of its own, with the real dbt on a small
project whose tables tell by a number drawn at random whether they were built anew."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.build import Project, build_marts
from kpi_platform.kpis.dbt.dbt_run import DbtBuildError, DbtRun
from kpi_platform.kpis.dbt.project import changed_names
from kpi_platform.kpis.dbt.rebuild import ChangedProject, rebuild_marts
from kpi_platform.settings import Settings
from kpi_platform.storage.kpi_database.embedded import connect
from kpi_platform.storage.kpi_database.second_database import SecondDatabase
from kpi_platform_tests.kpis.dbt.small_project import write_small_project

FIRST = {
    "base": "select 1 as n, uuid() as drawn",
    "apart": "select 1 as n, uuid() as drawn",
    "kpi_hourly": "select timestamp '2026-01-01' as hour, {{ one() }} as i from {{ ref('base') }}",
    "kpi_daily": "select date '2026-01-01' as date, n, uuid() as drawn from {{ ref('base') }}",
    "seen": "{{ config(materialized='view') }} select n from {{ ref('kpi_daily') }}",
}
ONE = "{% macro one() %}1{% endmacro %}"


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """Nothing in the lake: what is built depends on the project alone."""
    home = tmp_path / "home"
    home.mkdir()
    return Platform(
        Settings(
            home=home,
            landing_uri=str(home / "landing"),
            feeds_uri=str(home / "feeds"),
            lake_uri=str(home / "lake"),
            warehouse_path=home / "warehouse.duckdb",
        )
    )


class Written:
    """A project as written into a folder and parsed."""

    def __init__(self, folder: Path, models: Mapping[str, str], macro: str = ONE) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "macros").mkdir(parents=True)
        (folder / "macros" / "one.sql").write_text(macro)
        self._parsed = write_small_project(folder, models, schema="marts")
        self.folder = folder
        self.fingerprint = folder.name

    def run(self, platform: Platform) -> DbtRun:
        """What builds by it."""
        return DbtRun(
            self.folder, self._parsed, platform.settings.warehouse_file, self.folder / "target"
        )

    def manifest(self) -> dict[str, object]:
        """As dbt parsed it."""
        found: dict[str, object] = json.loads((self.folder / "target/manifest.json").read_text())
        return found

    def after(self, before: "Written", platform: Platform) -> ChangedProject:
        """It as what follows another."""
        names = changed_names(before.manifest(), self.manifest())
        changed = [name for name in names if (self.folder / f"models/{name}.sql").exists()]
        run = self.run(platform)
        return ChangedProject(self.fingerprint, before.folder / "target", changed, run.on)


def drawn(platform: Platform, table: str) -> str:
    """What was drawn when the table was built."""
    with connect(platform.settings.warehouse_file) as con:
        return str(con.execute(f"select drawn from marts.{table}").fetchall()[0][0])


def rows(platform: Platform, relation: str) -> list[tuple[object, ...]]:
    """The rows of a relation of the marts."""
    with connect(platform.settings.warehouse_file) as con:
        return con.execute(f"from marts.{relation}").fetchall()


@pytest.fixture
def first(tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Written:
    """The project by which the marts are built."""
    monkeypatch.setenv("KPI_WAREHOUSE_PATH", "warehouse.duckdb")
    written = Written(tmp_path / "first", FIRST)
    assert build_marts(platform, "first", written.run(platform)).is_full_refresh
    return written


def test_hours_go_on_by_the_project_before_until_the_job_has_built_the_changed_one(
    tmp_path: Path, platform: Platform, first: Written
) -> None:
    changed = {**FIRST, "kpi_daily": FIRST["kpi_daily"].replace(" n,", " n + 1 as n,")}
    changed["added"] = "select n, uuid() as drawn from {{ ref('kpi_daily') }}"
    second = Written(tmp_path / "second", changed)
    before = Project("first", first.run(platform))
    kept = {name: drawn(platform, name) for name in ("base", "apart", "kpi_daily")}

    report = build_marts(platform, "second", second.run(platform), before)
    assert report.is_waiting and not report.is_built and not report.is_full_refresh
    assert drawn(platform, "kpi_daily") == kept["kpi_daily"]

    said: list[str] = []
    report = rebuild_marts(platform, second.after(first, platform), before, said.append)
    assert report.is_built and not report.is_waiting, said
    # What changed and what depends on it; nothing else.
    assert drawn(platform, "kpi_daily") != kept["kpi_daily"]
    assert {name: drawn(platform, name) for name in ("base", "apart")} == {
        name: kept[name] for name in ("base", "apart")
    }
    assert rows(platform, "seen") == [(2,)]
    assert drawn(platform, "added")
    assert not list(platform.settings.warehouse_file.parent.glob("*.rebuilt"))
    # From now on it is the project of all builds, and what it made is published whole.
    again = build_marts(platform, "second", second.run(platform), before)
    assert not again.is_waiting and not again.is_built
    with connect(platform.settings.warehouse_file) as con:
        assert ("*", None) in con.execute("from lake.changed_periods").fetchall()


def test_a_changed_macro_builds_what_uses_it(
    tmp_path: Path, platform: Platform, first: Written
) -> None:
    second = Written(tmp_path / "second", FIRST, ONE.replace("1{", "2{"))
    before = Project("first", first.run(platform))
    kept = {name: drawn(platform, name) for name in ("base", "apart", "kpi_daily")}
    rebuild_marts(platform, second.after(first, platform), before, print)
    assert [row[-1] for row in rows(platform, "kpi_hourly")] == [2]
    assert {name: drawn(platform, name) for name in kept} == kept


def test_a_job_that_was_stopped_goes_on_with_what_is_missing(
    tmp_path: Path, platform: Platform, first: Written
) -> None:
    there = tmp_path / "there.csv"
    changed = {
        **FIRST,
        "base": "select 2 as n, uuid() as drawn",
        "apart": f"select n, uuid() as drawn from read_csv('{there}'), {{{{ ref('base') }}}}",
    }
    second = Written(tmp_path / "second", changed)
    before = Project("first", first.run(platform))
    kept = {name: drawn(platform, name) for name in ("base", "apart", "kpi_daily")}
    with pytest.raises(DbtBuildError, match="apart"):
        rebuild_marts(platform, second.after(first, platform), before, print)
    # The marts are whole, as they were before.
    assert {name: drawn(platform, name) for name in kept} == kept
    assert build_marts(platform, "second", second.run(platform), before).is_waiting

    beside = SecondDatabase(platform.settings.warehouse_file, "second")
    assert beside.is_there and "base" in beside.done and "apart" not in beside.done
    there_before = Platform(platform.settings.model_copy(update={"warehouse_path": beside.path}))
    built = drawn(there_before, "base")
    there.write_text("x\n1\n")
    rebuild_marts(platform, second.after(first, platform), before, print)
    assert drawn(platform, "base") == built
    assert drawn(platform, "apart") not in kept.values()
