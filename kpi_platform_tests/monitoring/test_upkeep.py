"""The maintenance job: it runs in Dagster, shows its figures, and gets along with folds."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from kpi_platform.definitions import defs
from kpi_platform.monitoring.upkeep import BOOKS
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.maintenance import maintain
from kpi_platform_tests.laws.lake_world import Move, World
from kpi_platform_tests.reference import Event
from kpi_platform_tests.worlds import START


def _sighting(number: int) -> Event:
    at = START + timedelta(hours=number, minutes=5)
    attributes = {"Version": f"1.{number}", "PlayerId": f"p{number % 3}"}
    hour = START + timedelta(hours=number)
    return Event(f"s{number}", at, "SoftwareVersion", hour, attributes)


def _hour(number: int) -> Move:
    event = _sighting(number)
    return Move((event.ingest_hour,), {event.ingest_hour: [event]})


def test_the_job_says_what_it_did_to_each_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "lake")
    world.make(_hour(0))
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_LAKE_URI", world.uri)
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("maintenance").execute_in_process(instance=instance)
        assert result.success
        (record,) = instance.fetch_observations(dg.AssetKey("user_version_history"), 10).records
    assert record.asset_observation is not None
    figures = {name: value.value for name, value in record.asset_observation.metadata.items()}
    assert figures["files_before"] == figures["files_after"] == 1
    assert figures["bytes_after"] > 0 and figures["error"] == ""


def test_books_are_the_tables_that_no_definition_has() -> None:
    assets = {key.path[-1] for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert set(TABLES) - assets == BOOKS


def test_upkeep_and_folds_at_once_lose_nothing(tmp_path: Path) -> None:
    world = World(tmp_path / "lake")
    world.make(_hour(0))
    with ThreadPoolExecutor(1) as executor:
        upkeep = executor.submit(_maintain_often, world.uri)
        for number in range(1, 7):
            world.make(_hour(number))
        errors = upkeep.result()
    world.check()
    assert errors == []


def _maintain_often(uri: str) -> list[str]:
    """Crowded means one file too many here, so that every table is written again each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kpi_platform.storage.lake.maintenance.FILES_PER_PARTITION", 0)
        turns = [list(maintain(Lake(uri), timedelta(hours=1))) for _ in range(6)]
    return [item.error for items in turns for item in items if item.error]
