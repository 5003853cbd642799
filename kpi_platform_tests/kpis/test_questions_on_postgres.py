"""The question tables on a real PostgreSQL hold the rows that they hold in DuckDB."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kpi_platform.kpis.loading.ship import ship
from kpi_platform.storage.kpi_database.copies import PostgresCopy
from kpi_platform.storage.kpi_database.embedded import connect
from kpi_platform_tests.kpis.builds import WAREHOUSE, Build, Lake
from kpi_platform_tests.kpis.test_on_postgres import dbt_on_postgres, rows_on_postgres
from kpi_platform_tests.kpis.test_questions import KNOWN, SERVICES, TABLES, source_frame, world
from kpi_platform_tests.servers import PostgresServer


@pytest.mark.slow
def test_both_warehouses_answer_alike(postgres_server: PostgresServer, tmp_path: Path) -> None:
    server = postgres_server.create_database("questions")
    build, copy = Build(source_frame(), services=SERVICES), PostgresCopy(server.dsn)
    build.load(Lake(world(1, 110), KNOWN))
    with connect(WAREHOUSE) as con:
        ship(con, copy)
        copy.replace_events(build.events(con, everything=True))
    arguments = ("--full-refresh", "--exclude-resource-type", "unit_test")
    dbt_on_postgres(server, tmp_path, "build", *arguments)
    build.run()

    for table in TABLES:
        columns = [
            str(row[0]) for row in build.rows(f"select column_name from (describe marts.{table})")
        ]
        here = build.rows(f"select {', '.join(columns)} from marts.{table}")
        there = rows_on_postgres(server, table, columns)
        assert rounded(there) == rounded(here), table


def rounded(rows: Sequence[Any]) -> list[list[object]]:
    """Rows in one order, doubles to nine digits: logarithms and roots are each engine's own."""
    return sorted(
        ([float(f"{v:.9g}") + 0.0 if isinstance(v, float) else v for v in row] for row in rows),
        key=repr,
    )
