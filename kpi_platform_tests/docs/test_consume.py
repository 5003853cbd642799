"""The SQL of docs/consume.md: DuckDB's is run on a lake, PostgreSQL's on a server, by psql too;
Redshift's and Spark's are parsed and equal them."""

import os
import re
import shlex
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg2
import pytest
import sqlglot

from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.version_keys import version_sort_key
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.lake_query import run_query
from kpi_platform_tests.servers import PostgresServer

PAGE = (Path(__file__).parents[2] / "docs" / "consume.md").read_text(encoding="utf-8")
DIALECTS = "duckdb|redshift|spark|postgres-login"
BLOCKS = dict(re.findall(rf"```sql ({DIALECTS})\n(.*?)```", PAGE, re.DOTALL))
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Player, device, hour of the session's start, and the version in effect at it.
SESSIONS = [
    ("p", "deck", -1, None),
    ("p", "deck", 0, "1.9"),
    ("p", "deck", 4, "1.9"),
    ("p", "deck", 5, "1.10"),
    ("p", "deck", 99, "1.10"),
    ("p", "phone", 5, None),
    ("q", "deck", 5, None),
    (None, "deck", 5, None),
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A player who upgraded in hour 5, and sessions before, at and after it."""
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    intervals = [
        (
            "p",
            "Client",
            "deck",
            "1.9",
            version_sort_key("1.9"),
            START,
            START + 5 * HOUR,
            "closed",
            START.date(),
        ),
        (
            "p",
            "Client",
            "deck",
            "1.10",
            version_sort_key("1.10"),
            START + 5 * HOUR,
            None,
            "open",
            START.date(),
        ),
    ]
    schema = TABLES["user_version_intervals"].polars_schema
    lake.append("user_version_intervals", pl.DataFrame(intervals, schema=schema, orient="row"))
    rows = [
        {
            "source": "s",
            "service_name": "Client",
            "session_id": str(number),
            "player_id": player,
            "device": device,
            "started_at": START + hour * HOUR,
            "p_started_date_utc": START.date(),
        }
        for number, (player, device, hour, _) in enumerate(SESSIONS)
    ]
    frame = pl.DataFrame(rows)
    missing = [
        (pl.lit(0) if dtype.is_numeric() else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in TABLES["sessions"].polars_schema.items()
        if name not in frame.columns
    ]
    lake.append("sessions", frame.with_columns(missing))
    return lake


def _versions(lake: Lake, sql: str) -> list[str | None]:
    with run_query(lake, f"select version from ({sql}) order by session_id::int") as found:
        return [version for (version,) in found.fetchall()]


def test_the_as_of_join_finds_the_version_in_effect(lake: Lake) -> None:
    assert _versions(lake, BLOCKS["duckdb"]) == [version for *_, version in SESSIONS]


@pytest.mark.parametrize("dialect", ["redshift", "spark"])
def test_the_other_dialects_say_the_same(lake: Lake, dialect: str) -> None:
    """Parsed by sqlglot as that dialect, then run as DuckDB: not run on the engine itself."""
    (tree,) = sqlglot.parse(BLOCKS[dialect], read=dialect)
    assert tree is not None
    for table in tree.find_all(sqlglot.exp.Table):
        name = table.name.rsplit("/", 1)[-1]
        alias = table.alias
        table.replace(sqlglot.exp.to_table(f"lake.{name}", alias=alias))
    expected = [version for *_, version in SESSIONS]
    assert _versions(lake, tree.sql(dialect="duckdb")) == expected


def test_postgres_finds_the_same(postgres_server: PostgresServer) -> None:
    server = postgres_server.create_database("as_of_join")
    intervals = [("1.9", START, START + 5 * HOUR), ("1.10", START + 5 * HOUR, None)]
    with closing(psycopg2.connect(server.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("create schema lake")
        cursor.execute(
            "create table lake.sessions (session_id text, player_id text, service_name text,"
            " device text, started_at timestamptz)"
        )
        cursor.execute(
            "create table lake.user_version_intervals (player_id text, service_name text,"
            " device text, version text, valid_from timestamptz, valid_to timestamptz)"
        )
        for number, (player, device, hour, _) in enumerate(SESSIONS):
            row = (str(number), player, "Client", device, START + hour * HOUR)
            cursor.execute("insert into lake.sessions values (%s, %s, %s, %s, %s)", row)
        for interval in intervals:
            cursor.execute(
                "insert into lake.user_version_intervals"
                " values ('p', 'Client', 'deck', %s, %s, %s)",
                interval,
            )
        sql = BLOCKS["redshift"]
        cursor.execute(f"select version from ({sql}) as found order by session_id::int")
        assert [version for (version,) in cursor.fetchall()] == [v for *_, v in SESSIONS]


@pytest.fixture(scope="module")
def tool(postgres_server: PostgresServer) -> PostgresServer:
    """A database with a mart, and the login that the page makes for a tool."""
    server = postgres_server.create_database("kpis")
    with closing(psycopg2.connect(server.dsn)) as connection, connection.cursor() as cursor:
        # What dbt's hook does at the end of a build, which `test_readers` runs.
        cursor.execute(
            "do $$ begin create role kpi_readers; exception when duplicate_object then end $$"
        )
        cursor.execute("create schema marts")
        cursor.execute(
            "create table marts.kpi_daily as select date '2026-01-01' as date, 'all' as studio,"
            " 'all' as game, 'all' as platform, 7 as dau"
        )
        cursor.execute("grant usage on schema marts to kpi_readers")
        cursor.execute("grant select on all tables in schema marts to kpi_readers")
        cursor.execute(BLOCKS["postgres-login"])
        connection.commit()
    return server


def _psql(server: PostgresServer, sql: str | None = None) -> subprocess.CompletedProcess[str]:
    """The page's psql line, at this server: the address is the line's but for host and TLS."""
    (line,) = re.findall(r"^    (psql .*?[^\\])\n", PAGE, re.MULTILINE | re.DOTALL)
    _, address, _, query = shlex.split(line.replace("\\\n", ""))
    address = address.replace("warehouse.example", server.host)
    address = address.replace("port=5432", f"port={server.port}")
    address = address.replace("sslmode=verify-full", "sslmode=disable")
    return subprocess.run(
        [server.psql, address, "--tuples-only", "--no-align", "-c", sql or query],
        env={**os.environ, "PGPASSWORD": "..."},
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_psql_line_reads_the_marts(tool: PostgresServer) -> None:
    done = _psql(tool)
    assert (done.stdout, done.stderr) == ("2026-01-01|7\n", "")


def test_the_tools_login_cannot_write_even_where_it_may(tool: PostgresServer) -> None:
    done = _psql(tool, "create temporary table mine (x int)")
    assert done.returncode != 0
    assert "read-only transaction" in done.stderr
