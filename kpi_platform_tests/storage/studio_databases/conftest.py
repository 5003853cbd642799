"""The same tables in a real PostgreSQL and in a DuckDB file, read through the one interface.

Belongs here: making and opening them. Does not: what is expected of them.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psycopg2
import pytest

from kpi_platform.schemas.sources_file.source_connections import (
    DuckDBConnection,
    PostgresConnection,
)
from kpi_platform.storage.studio_databases import StudioWarehouse, open_warehouse
from kpi_platform_tests.servers import PostgresServer


@dataclass(frozen=True)
class Studio:
    """A studio's database: its owner's way in, and ours."""

    kind: str
    execute: Callable[[str], None]
    warehouse: StudioWarehouse


@pytest.fixture(params=["duckdb", "postgres"])
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Studio]:
    """An empty database of each kind."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        made = postgres_studio(server)
    else:
        made = duckdb_studio(tmp_path)
    yield made
    made.warehouse.close()


def postgres_studio(server: PostgresServer, timeout_seconds: int = 60) -> Studio:
    """An empty database of the real server."""
    database = server.create_database(f"studio_{secrets.token_hex(8)}")

    def execute(statements: str) -> None:
        with closing(psycopg2.connect(database.dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statements)

    connection = PostgresConnection(
        kind="postgres", dsn_env="STUDIO_DSN", attempts=2, timeout_seconds=timeout_seconds
    )
    found = {"STUDIO_DSN": database.dsn}
    return Studio("postgres", execute, open_warehouse(connection, Path(), found.get))


def duckdb_studio(folder: Path) -> Studio:
    """An empty DuckDB file."""

    def execute(statements: str) -> None:
        with duckdb.connect(str(folder / "studio.duckdb")) as connection:
            connection.execute(statements)

    execute("SELECT 1")
    connection = DuckDBConnection(kind="duckdb", path="studio.duckdb", attempts=1)
    return Studio("duckdb", execute, open_warehouse(connection, folder, {}.get))
