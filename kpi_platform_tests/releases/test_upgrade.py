"""`kpi upgrade`: what it says, what it refuses, and that it goes on wherever it was interrupted."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from deltalake import Field
from typer.testing import CliRunner, Result

from kpi_platform.cli.cli import app
from kpi_platform.engine.layout import (
    NOTE,
    LayoutError,
    layout_differences,
    refuse_other_layout,
    said_of_layout,
)
from kpi_platform.engine.platform import Platform
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.upgrades import upgrade
from kpi_platform.verification.verify import verify
from kpi_platform_tests.laws.lake_world import Fault, FaultyLake, Killed

pytestmark = pytest.mark.usefixtures("environment")


def kpi(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def files(folder: Path) -> dict[str, int]:
    """Every file below a folder, and when it was written; locks are no data."""
    return {
        str(path): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


def work(platform: Platform) -> list[str]:
    """Carry the upgrade out; what did not go well."""
    steps = upgrade.steps_of(platform)
    return [said for step in steps for said in step.work(lambda *_: None)]


class Interrupted(FaultyLake):
    """A lake of which every table that is laid out counts as a write, too."""

    def lay_out(self, table: str) -> None:
        self._count()
        super().lay_out(table)


@pytest.fixture
def no_kpis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without the run that builds the KPIs, which takes longer than all else."""
    monkeypatch.setattr(upgrade, "build_kpis", lambda _: [])
    yield


def test_whatever_meets_an_older_lake_names_it_and_changes_nothing(platform: Platform) -> None:
    before = files(platform.settings.home)
    for reading in (
        ["query", "select count(*) from hour_ledger"],
        ["removals", "list"],
    ):
        said = kpi(*reading)
        assert said.exit_code == 0, said.output
        assert "of an earlier release" in said.stderr and "run `kpi upgrade`" in said.stderr
        assert len(said.stderr.splitlines()) == 1
    hour = "2026-01-01-01:00"
    for writing in (
        ["removals", "accept", "--from", hour, "--to", hour],
        ["rebuild", "cleaned_events"],
        ["maintain"],
    ):
        with pytest.raises(LayoutError, match="run `kpi upgrade`"):
            CliRunner().invoke(app, writing, catch_exceptions=False)
    with pytest.raises(dg.Failure, match="run `kpi upgrade`") as refused:
        assert PlatformResource().platform
    assert not refused.value.allow_retries
    said = kpi("upgrade", "--dry-run")
    assert said.exit_code == 0
    steps = [line for line in said.output.splitlines() if line.startswith("would do: ")]
    assert len(steps) == 3 and said.output.splitlines()[-1] == "nothing was changed"
    assert "hour_ledger lacks" in steps[0] and "4 hours" in steps[1]
    assert files(platform.settings.home) == before


@pytest.mark.usefixtures("no_kpis")
@pytest.mark.parametrize("at_write", [1, 24, 32])
def test_an_upgrade_that_was_killed_goes_on(platform: Platform, at_write: int) -> None:
    broken = Platform(platform.settings)
    broken.__dict__["lake"] = Interrupted(platform.lake.uri, Fault(at_write, Killed))
    with pytest.raises(Killed):
        work(broken)
    assert "an upgrade began and did not end" in said_of_layout(platform.lake)
    with pytest.raises(dg.Failure, match="run `kpi upgrade` again"):
        assert PlatformResource().platform
    assert work(platform) == []
    assert said_of_layout(platform.lake) == ""
    assert verify(platform, None, None, 5, lambda *_: None).is_equal


@pytest.mark.usefixtures("no_kpis")
def test_an_upgraded_lake_is_laid_out_as_a_new_one(platform: Platform, tmp_path: Path) -> None:
    assert work(platform) == []
    new = Lake(str(tmp_path / "new"))
    for table, contract in TABLES.items():
        new.append(table, pl.DataFrame(schema=contract.polars_schema))
        upgraded, made = platform.lake.open(table), new.open(table)
        if upgraded is None or made is None:
            continue
        columns = [{f.name: str(f.type) for f in each.schema().fields} for each in (upgraded, made)]
        assert columns[0] == columns[1], table
        assert upgraded.metadata().partition_columns == made.metadata().partition_columns
        assert upgraded.metadata().configuration == made.metadata().configuration
    assert layout_differences(new) == []


def test_what_a_later_release_made_is_refused(platform: Platform) -> None:
    ledger = platform.lake.open("sessions")
    assert ledger is not None
    ledger.alter.add_columns([Field("mood", "string")])
    before = files(platform.settings.home)
    with pytest.raises(LayoutError, match="sessions has mood"):
        CliRunner().invoke(app, ["upgrade"], catch_exceptions=False)
    with pytest.raises(dg.Failure, match="sessions has mood"):
        assert PlatformResource().platform
    assert files(platform.settings.home) == before


def test_a_lake_of_this_release_is_judged_once(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "own"))
    refuse_other_layout(lake)
    assert not Path(lake.uri).exists()
    lake.append("sessions", pl.DataFrame(schema=TABLES["sessions"].polars_schema))
    refuse_other_layout(lake)
    noted = Path(lake.uri, NOTE).read_text()
    refuse_other_layout(lake)
    assert Path(lake.uri, NOTE).read_text() == noted
    assert lake.tables() == ["sessions"]
