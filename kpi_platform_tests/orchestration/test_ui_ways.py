"""What a person clicks in the UI: backfills of many assets, and runs tried again, keep their word.

Belongs here: the colours of what was started through the real webserver and daemon. Does not: what
the tables then hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from kpi_platform_tests.orchestration.home import Home, keys, materialised, new_home
from kpi_platform_tests.orchestration.servers import Webserver, running_dagster, wait_for

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(24)]
SECONDS = 900.0
# One process starts the servers.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3 * SECONDS),
    pytest.mark.xdist_group("ui_ways"),
]


@dataclass(frozen=True)
class Ui:
    """A platform of 24 hours, two of which have files, and the UI that runs it."""

    home: Home
    webserver: Webserver
    instance: dg.DagsterInstance

    def backfill(self, assets: Sequence[str], hours: Sequence[datetime]) -> tuple[str, list[str]]:
        """Select assets and hours, click "Materialize", wait: how it ended, and its runs."""
        backfill = self.webserver.backfill(list(assets), sorted(keys(hours)))
        ends = ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED")
        wait_for(lambda: self.webserver.backfill_status(backfill) in ends, "a backfill", SECONDS)
        runs = self.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
        return self.webserver.backfill_status(backfill), [run.run_id for run in runs]

    def ended(self, run_id: str) -> str:
        """Wait for a run: how it ended."""

        def status() -> dg.DagsterRunStatus:
            run = self.instance.get_run_by_id(run_id)
            assert run is not None
            return run.status

        wait_for(lambda: status() in (_GREEN, _RED), "a run", SECONDS)
        return status().value

    def failed_steps(self, run_id: str) -> list[str]:
        """The red steps of a run, in order."""
        records = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        return [str(record.step_key) for record in records]


_GREEN, _RED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    home = new_home(tmp_path_factory.mktemp("ui") / "home", START)
    for hour in (HOURS[1], HOURS[3]):
        home.put(hour)
    with running_dagster(home) as webserver, home.instance() as instance:
        yield Ui(home, webserver, instance)


def test_every_asset_that_is_selected_is_targeted_and_green(ui: Ui) -> None:
    assets = ui.webserver.assets()
    hourly = [name for name, is_hourly in assets.items() if is_hourly]
    for selected, most_runs in ((list(assets), 3), (hourly, 1), (["kpi_hourly"], 1)):
        status, runs = ui.backfill(selected, HOURS)
        assert status == "COMPLETED_SUCCESS", selected
        assert len(runs) <= most_runs, selected
        targets = {key for run_id in runs for key in _selected(ui, run_id)}
        assert targets == {dg.AssetKey(name) for name in selected}
        for name in hourly:
            assert materialised(ui.instance, name) == keys(HOURS), name
    for name in assets:
        assert ui.instance.get_latest_materialization_event(dg.AssetKey(name)), name


def test_everything_without_hours_says_how_to_choose_them(ui: Ui) -> None:
    ui.webserver.launch_job("everything")
    (run,) = ui.instance.get_runs(dg.RunsFilter(job_name="everything"), limit=1)
    assert ui.ended(run.run_id) == "FAILURE"
    texts = [
        f"{record.message} {record.dagster_event and record.dagster_event.event_specific_data}"
        for record in ui.instance.all_logs(run.run_id)
    ]
    assert any("everything is run for hours: choose a partition" in text for text in texts)
    assert ui.failed_steps(run.run_id) == []


def test_a_failed_hour_is_red_until_it_is_well_whatever_is_clicked(ui: Ui) -> None:
    bad, others = HOURS[3], [HOURS[2], HOURS[4]]
    hourly = [name for name, is_hourly in ui.webserver.assets().items() if is_hourly]
    ui.home.put(bad, "late.tsv")
    folder = _block(ui.home, bad)

    status, (run_id,) = ui.backfill(hourly, [others[0], bad, others[1]])
    assert status == "COMPLETED_FAILED"
    # The step that failed the hour is red, and so is all that lacks it.
    assert ui.failed_steps(run_id)[0] == "raw_telemetry"
    assert "user_version_history" in ui.failed_steps(run_id)

    again = ui.webserver.reexecute_from_failure(run_id)
    assert ui.ended(again) == "FAILURE"
    assert ui.failed_steps(again)[0] == "raw_telemetry"

    status, (alone,) = ui.backfill(["kpi_hourly"], [bad])
    assert (status, ui.failed_steps(alone)) == ("COMPLETED_FAILED", ["kpis"])

    folder.unlink()
    if folder.with_name("kept").is_dir():
        folder.with_name("kept").rename(folder)
    healed = ui.webserver.reexecute_from_failure(again)
    assert ui.ended(healed) == "SUCCESS"
    assert _tags(ui, healed)["kpi/failed_hours"] == "none"
    status, _ = ui.backfill(["kpi_hourly"], [bad])
    assert status == "COMPLETED_SUCCESS"


def _block(home: Home, hour: datetime) -> Path:
    """A file where the lake wants a folder: the hour's rows cannot be written."""
    day = home.folder / "lake" / "raw_telemetry" / f"p_ingest_date_utc={hour:%Y-%m-%d}"
    folder = day / f"p_ingest_hour_utc={hour.hour}"
    if folder.is_dir():
        folder.rename(folder.with_name("kept"))
    day.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way\n")
    return folder


def _selected(ui: Ui, run_id: str) -> set[dg.AssetKey]:
    run = ui.instance.get_run_by_id(run_id)
    assert run is not None
    return set(run.asset_selection or ())


def _tags(ui: Ui, run_id: str) -> Mapping[str, str]:
    run = ui.instance.get_run_by_id(run_id)
    assert run is not None
    return run.tags
