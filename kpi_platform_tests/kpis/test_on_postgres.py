"""The models on a real PostgreSQL hold the rows that they hold in DuckDB, load by load."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg2

from kpi_platform.kpis.dbt.dbt_command import BUILD, extent
from kpi_platform.kpis.loading.ship import fetch_changes, ship
from kpi_platform.storage.kpi_database.copies import PostgresCopy
from kpi_platform.storage.kpi_database.embedded import affected_periods_to_publish, connect
from kpi_platform_tests.kpis.builds import PROJECT, WAREHOUSE, Build
from kpi_platform_tests.kpis.test_order_law import TABLES, lake_of, loads, source_frame
from kpi_platform_tests.servers import PostgresServer


def dbt_on_postgres(server: PostgresServer, folder: Path, *arguments: str) -> None:
    """Run dbt on the server in a process of its own, as dbt keeps the first warehouse it met."""
    environment = {
        **os.environ,
        "KPI_WAREHOUSE": "postgres",
        "KPI_WAREHOUSE_HOST": server.host,
        "KPI_WAREHOUSE_PORT": str(server.port),
        "KPI_WAREHOUSE_USER": server.user,
        "KPI_WAREHOUSE_PASSWORD": server.password,
        "KPI_WAREHOUSE_DATABASE": server.database,
    }
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    command = [sys.executable, "-m", "dbt.cli.main", *arguments, *places, "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout} {done.stderr}"


def rows_on_postgres(server: PostgresServer, table: str, columns: Sequence[str]) -> list[object]:
    """The rows of a mart, sorted."""
    connection = psycopg2.connect(server.dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"select {', '.join(columns)} from marts.{table}")
            return sorted(cursor.fetchall(), key=repr)
    finally:
        connection.close()


def test_every_load_gives_the_same_rows_and_changes_on_both(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    server = postgres_server.create_database("models")
    build, copy = Build(source_frame()), PostgresCopy(server.dsn)
    for number, hours in enumerate(loads(seed=1, events_per_hour=14)):
        how, _ = extent(full_refresh=number == 0)
        build.load(lake_of(hours))
        with connect(WAREHOUSE) as con:
            ship(con, copy)
            copy.replace_events(build.events(con, everything=number == 0))
        dbt_on_postgres(server, tmp_path, *BUILD, *how)
        build.run()
        with connect(WAREHOUSE) as con:
            changed = affected_periods_to_publish(con)
            con.execute("delete from lake.changed_periods")
            fetch_changes(con, copy)
            changed_there = affected_periods_to_publish(con)
            if number:
                assert changed_there == changed
        build.clear()

        for table in TABLES:
            columns = [
                str(row[0])
                for row in build.rows(f"select column_name from (describe marts.{table})")
            ]
            found = build.rows(f"select {', '.join(columns)} from marts.{table}")
            assert rows_on_postgres(server, table, columns) == found, (number, table)
