"""The world's studios in a real PostgreSQL: the platform captures there what it does from files."""

from pathlib import Path

import polars as pl
import pytest

from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.engine.hour_steps import work_through
from kpi_platform.schemas.sources_file.sources import Studio, parse_sources
from kpi_platform.simulator import PostgresPlace, SimulatedServerError, simulate
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.studio_databases import StudioWarehouse, open_warehouse
from kpi_platform_tests.servers import PostgresServer
from kpi_platform_tests.simulator.conftest import START

VERSION = ("source", "table_name", "row_key", "watermark_at", "row")


def captured(world: Path, lake: Path, dsn: str) -> pl.DataFrame:
    """What the world's first hour captures."""
    sources = parse_sources((world / "sources.yaml").read_text(), "sources.yaml")

    def opened(studio: Studio) -> StudioWarehouse:
        assert studio.warehouse is not None
        return open_warehouse(studio.warehouse, world, lambda _: dsn)

    step = CaptureStep(Lake(str(lake)), sources, opened, START)
    for reports in work_through(Lake(str(lake)), step, [START], 1):
        assert [report.status for report in reports] == ["written"]
    step.close()
    rows = Lake(str(lake)).scan("raw_studio_events").select(VERSION).collect()
    return rows.sort(pl.all())


def test_the_same_rows_are_captured_from_postgres_as_from_files(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    database = postgres_server.create_database("simulated")
    place = PostgresPlace("SIMULATED_DSN", database.dsn)
    simulate(tmp_path / "files", START, 2, 60, 3)
    simulate(tmp_path / "server", START, 2, 60, 3, place)
    assert not (tmp_path / "server" / "warehouses").exists()
    assert database.password not in (tmp_path / "server" / "sources.yaml").read_text()
    from_files = captured(tmp_path / "files", tmp_path / "lake1", "")
    from_server = captured(tmp_path / "server", tmp_path / "lake2", database.dsn)
    assert from_files.height > 50
    assert from_server.equals(from_files)
    # A world is never written over another.
    with pytest.raises(SimulatedServerError, match=r"SIMULATED_DSN.*already exists") as error:
        simulate(tmp_path / "again", START, 2, 60, 3, place)
    assert database.password not in str(error.value)
