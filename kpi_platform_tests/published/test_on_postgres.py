"""The simulator's world through DuckDB and through a real PostgreSQL: the same published tables."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import SecretStr

from kpi_platform.engine.platform import Platform
from kpi_platform.settings import Settings
from kpi_platform.simulator import simulate
from kpi_platform.storage.kpi_database.embedded import WarehouseError
from kpi_platform_tests.servers import PostgresServer
from kpi_platform_tests.whole_platform import (
    PUBLISHED_TABLES,
    new_platform,
    run_hours,
    run_marts,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(30)]
LATE = HOURS[9]


def on(server: PostgresServer, embedded: Platform, home: Path) -> Platform:
    """A platform over a copy of another's lake, whose models run on the server."""
    shutil.copytree(embedded.settings.lake, home / "lake", dirs_exist_ok=True)
    settings = embedded.settings.model_copy(
        update={
            "home": home,
            "lake_uri": str(home / "lake"),
            "warehouse_path": home / "warehouse.duckdb",
            "warehouse": "postgres",
            "warehouse_host": server.host,
            "warehouse_port": server.port,
            "warehouse_user": server.user,
            "warehouse_password": SecretStr(server.password),
            "warehouse_database": server.database,
        }
    )
    return Platform(settings)


def published(platform: Platform, table: str) -> pl.DataFrame:
    """A published table, rows in one order."""
    rows = platform.lake.published(table)
    assert rows is not None, table
    found = rows.collect()
    return found.sort(found.columns)


@pytest.mark.slow
def test_a_world_and_its_late_hour_are_published_alike(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    simulate(world, START, len(HOURS), 200, 11)
    embedded = new_platform(tmp_path / "duckdb", world / "landing", world / "sources.yaml")
    server = postgres_server.create_database("world")

    run_hours(embedded, [hour for hour in HOURS if hour != LATE])
    other = on(server, embedded, tmp_path / "postgres")
    assert run_marts(other) == run_marts(embedded)
    assert_published_alike(other, embedded)

    for platform in (embedded, other):
        run_hours(platform, [LATE])
    assert run_marts(other) == run_marts(embedded)
    assert_published_alike(other, embedded)
    assert run_marts(other) == []


def assert_published_alike(one: Platform, other: Platform) -> None:
    """Zero differences, in every table; of roots and quotients in their first nine digits."""
    for table in PUBLISHED_TABLES:
        assert_frame_equal(
            published(one, table), published(other, table), rel_tol=1e-9, abs_tol=1e-12
        )


def test_a_server_that_is_not_there_is_one_line_that_names_the_setting(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, warehouse="postgres", warehouse_port=1, warehouse_password=SecretStr("s3c")
    )

    with pytest.raises(WarehouseError, match=r"^KPI_WAREHOUSE_HOST: .*") as caught:
        _ = Platform(settings).warehouse_copy

    assert "\n" not in str(caught.value)
    assert "s3c" not in str(caught.value)
