"""The role for people's tools, made by dbt's hook on a real Postgres: it reads the marts only."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest
import yaml

from kpi_platform.storage.kpi_database.dbt_manifest import PROJECT_DIR
from kpi_platform_tests.servers import PostgresServer

LOGIN, PASSWORD = "dashboards", "only-for-this-test"


def _run(server: PostgresServer, sql: str) -> None:
    with closing(psycopg2.connect(server.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        connection.commit()


def _build(server: PostgresServer, folder: Path, role: str = "kpi_readers") -> str:
    """Build one seed on this server: the hook runs at the end of every build. Returns its words."""
    output = {
        "type": "postgres",
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "dbname": server.database,
        "schema": "marts",
        "threads": 1,
    }
    profile = {"kpi_platform": {"target": "postgres", "outputs": {"postgres": output}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profile))
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("dbt"), "seed", "--select", "kpi_definitions"),
            *("--vars", f"{{reader_role: {role}}}"),
        ],
        cwd=PROJECT_DIR,
        env={
            "PATH": os.environ["PATH"],
            "DBT_PROFILES_DIR": str(folder),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def server(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> PostgresServer:
    """A database with a mart, built twice so that the hook ran twice, and a mart made after it."""
    folder = tmp_path_factory.mktemp("readers")
    server = postgres_server.create_database("readers")
    _run(server, "create schema marts")
    _run(server, "create table marts.kpi_daily as select 1 as dau")
    _run(server, "create table marts.fact_version as select 'p' as player_id, 1 as sightings")
    _build(server, folder)
    _build(server, folder)
    _run(server, "create table marts.made_later as select 2 as x")
    _run(server, f"create role {LOGIN} login password '{PASSWORD}' in role kpi_readers")
    return server


@pytest.fixture
def cursor(server: PostgresServer) -> Iterator["psycopg2.extensions.cursor"]:
    """Connected as a tool would be: a login that is a member of the role."""
    with closing(
        psycopg2.connect(
            host=server.host,
            port=server.port,
            dbname=server.database,
            user=LOGIN,
            password=PASSWORD,
        )
    ) as connection:
        yield connection.cursor()


@pytest.mark.parametrize("table", ["kpi_daily", "made_later"])
def test_a_tool_reads_every_mart(cursor: "psycopg2.extensions.cursor", table: str) -> None:
    cursor.execute(f"select count(*) from marts.{table}")
    assert cursor.fetchall() == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "insert into marts.kpi_daily values (2)",
        "update marts.kpi_daily set dau = 2",
        "delete from marts.kpi_daily",
        "drop table marts.kpi_daily",
        "create table marts.mine (x int)",
        "select * from staging.kpi_definitions",
        "select * from marts.fact_version",
        "select sightings from marts.fact_version",
        "create temporary table mine (x int)",
        "select lo_create(0)",
        "select lo_creat(-1)",
        "select lo_from_bytea(0, 'x')",
    ],
)
def test_a_tool_does_nothing_else(cursor: "psycopg2.extensions.cursor", sql: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute(sql)


def test_player_ids_are_for_a_role_of_their_own(server: PostgresServer) -> None:
    _run(server, f"create role analyst login password '{PASSWORD}' in role kpi_player_readers")
    address = f"host={server.host} port={server.port} dbname={server.database} user=analyst"
    with (
        closing(psycopg2.connect(f"{address} password={PASSWORD}")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select player_id from marts.fact_version")
        assert cursor.fetchall() == [("p",)]
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("select * from marts.kpi_daily")


def test_a_build_without_the_right_to_create_roles_still_ends_well(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    server = postgres_server.create_database("no_roles")
    _run(server, f"create role builder login password '{PASSWORD}'")
    _run(server, "alter database no_roles owner to builder")
    # Roles are the whole server's: the other tests may have made the usual one.
    words = _build(replace(server, user="builder", password=PASSWORD), tmp_path, "nobodys_readers")
    assert "There is no role nobodys_readers, and this login may not create it" in words
