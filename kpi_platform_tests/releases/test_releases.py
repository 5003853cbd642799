"""What an earlier release left behind, gone on with by this one: the same rows, and all of them."""

import json
from datetime import timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from kpi_platform.cli.cli import app
from kpi_platform.engine.platform import Platform
from kpi_platform.orchestration.event_storage import HomeStorage
from kpi_platform.storage.lake.lake import hours_in
from kpi_platform.verification.published import add_published
from kpi_platform.verification.verify import verify
from kpi_platform_tests.releases.make_release import HOURS, LATE
from kpi_platform_tests.whole_platform import PUBLISHED_TABLES, run_hours, tables_of


@pytest.mark.usefixtures("environment")
def test_an_upgrade_brings_everything_here_and_loses_nothing(platform: Platform) -> None:
    before = tables_of(platform)
    hours = hours_in(platform.lake.scan("hour_ledger").collect())
    assert len(hours) == HOURS
    done = CliRunner().invoke(app, ["upgrade"])
    assert (done.exit_code, done.output.splitlines()[-1]) == (
        0,
        "everything is of this release now",
    )
    after = tables_of(platform)
    assert set(before) <= set(after)
    for name in ("raw_telemetry", "user_version_history", "published/dim_player"):
        if name in before:
            assert after[name].height == before[name].height, name
    found = verify(platform, None, None, 5, lambda *_: None)
    add_published(found, platform, 5)
    assert found.is_equal
    # Nothing is left to do, and nothing was left out of what is published.
    assert {report.status for report in run_hours(platform, hours)} == {"unchanged"}
    assert len([each for each in found.tables if "/" in each.table]) == len(PUBLISHED_TABLES)
    again = CliRunner().invoke(app, ["upgrade", "--json"])
    assert json.loads(again.output) == {"steps": [], "is_dry_run": False, "problems": []}


def test_a_late_file_is_added_to_what_the_release_read(platform: Platform) -> None:
    hours = hours_in(platform.lake.scan("hour_ledger").collect())
    folder = Path(platform.settings.landing) / "late" / f"{hours[2]:%Y/%m/%d/%H}"
    folder.mkdir(parents=True)
    moved = LATE.replace("LATE-1", "LATE-2").replace("T01:", "T02:").replace("1.10", "1.11")
    (folder / "later.tsv").write_text(moved)
    run_hours(platform, hours[2:3])
    history = platform.lake.scan("user_version_history").filter(pl.col("player_id") == "P9999999")
    row = history.collect().row(0, named=True)
    assert [run["version"] for run in row["timeline"]] == ["1.10", "1.11"]
    assert row["current_version"] == "1.11"
    assert verify(platform, None, None, 5, lambda *_: None).is_equal


def test_dagsters_state_answers_as_before(platform: Platform) -> None:
    state = platform.settings.home / "dagster"
    (state / "dagster.yaml").write_text(
        f"storage:\n  custom:\n    module: {HomeStorage.__module__}\n    class: HomeStorage\n"
        f"    config:\n      base_dir: {state}\n"
    )
    first = platform.settings.start_hour
    keys = {f"{first + timedelta(hours=number):%Y-%m-%d-%H:00}" for number in range(HOURS)}
    with dg.DagsterInstance.from_config(str(state)) as instance:
        for asset in ("raw_telemetry", "cleaned_events", "user_version_history", "kpi_daily"):
            assert instance.get_materialized_partitions(dg.AssetKey(asset)) == keys
        assert all(record.is_finished for record in instance.get_runs())
