"""Capturing from real databases: a DuckDB file and PostgreSQL, with a connection cut in the middle.

Belongs here: what only a database can show. Does not: the laws, which need thousands of rows less.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import polars as pl
import psycopg2
import pyarrow as pa
import pytest

from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.engine.hour_steps import HourReport, work_through
from kpi_platform.schemas.sources_file.sources import Sources, Studio, parse_sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.studio_databases import StudioWarehouse, Window, open_warehouse
from kpi_platform_tests.arrivals.studios.studio_world import SOURCES, START, hour
from kpi_platform_tests.servers import PostgresServer

DSN = "AURORA_DSN"
DUCKDB = "{kind: duckdb, path: aurora.duckdb}"
POSTGRES = f"{{kind: postgres, dsn_env: {DSN}}}"
ROWS = 60_000
TABLES = """
create schema game;
create table game.purchases (
    id bigint primary key, changed_at timestamptz, bought_at timestamptz, player text,
    session text, cents bigint, currency text, gone boolean
);
create table game.versions (id bigint, at_ms bigint, player text, session text, version text);
create table game.items (sku text, price numeric(10, 2));
insert into game.items values ('a', 1.50);
insert into game.purchases
select n, timestamptz '2025-12-01 00:00:00+00' + n * interval '1 minute',
    timestamptz '2025-12-01 00:00:00+00' + n * interval '1 minute',
    'p' || n % 100, 's' || n, n % 500, 'USD', false
from generate_series(1, {rows}) as s(n);
"""
Execute = Callable[[str], None]


class Studio_:  # noqa: N801 - beside the schema's `Studio`
    """A database with the tables, how to change it, and how to open it as the platform does."""

    def __init__(self, sources: Sources, execute: Execute, secret: str, base: Path) -> None:
        self.sources, self.execute = sources, execute
        self._secret, self._base = secret, base
        self.wrap: Callable[[StudioWarehouse], StudioWarehouse] = lambda warehouse: warehouse

    def open(self, studio: Studio) -> StudioWarehouse:
        assert studio.warehouse is not None
        return self.wrap(open_warehouse(studio.warehouse, self._base, lambda _: self._secret))

    def capture(self, lake: Lake, *numbers: int) -> list[HourReport]:
        step = CaptureStep(lake, self.sources, self.open, START)
        with closing(step):
            hours = [hour(number) for number in numbers]
            return [r for part in work_through(lake, step, hours, 168) for r in part]


@pytest.fixture(params=["duckdb", "postgres"])
def studio(request: pytest.FixtureRequest, memory_path: Path) -> Studio_:
    if request.param == "duckdb":
        path = memory_path / "aurora.duckdb"

        def execute(text: str) -> None:
            with duckdb.connect(str(path)) as con:
                con.execute("set timezone = 'UTC'")
                con.execute(text)

        made = Studio_(parse_sources(SOURCES, "s"), execute, "", memory_path)
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = f"capture_{request.node.name.split('[')[0]}"[:60]
        database = server.create_database(name)
        made = _in_postgres(database, memory_path)
    made.execute(TABLES.format(rows=ROWS))
    return made


def _in_postgres(database: PostgresServer, folder: Path) -> Studio_:
    def execute(text: str) -> None:
        with closing(psycopg2.connect(database.dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(text)

    return Studio_(
        parse_sources(SOURCES.replace(DUCKDB, POSTGRES), "s"), execute, database.dsn, folder
    )


def versions(lake: Lake) -> pl.DataFrame:
    rows = lake.scan("raw_studio_events").filter(pl.col("table_name") == "purchases")
    return rows.select(
        pl.col("row_key").cast(pl.Int64), "p_ingest_hour_utc", "watermark_at"
    ).collect()


def test_first_everything_then_windows_then_changes(studio: Studio_, memory_path: Path) -> None:
    lake = Lake(str(memory_path / "lake"))
    studio.capture(lake, 0, 1)
    # 31 days until the first hour, which takes them all, and 120 minutes of two hours.
    minutes = 31 * 24 * 60
    assert versions(lake)["row_key"].sort().to_list() == list(range(1, minutes + 120))
    assert versions(lake).filter(pl.col("p_ingest_hour_utc") == 1).height == 60
    studio.execute(
        "update game.purchases set cents = 1, changed_at = timestamptz '2026-01-01 02:30:00+00'"
        " where id = 5"
    )
    studio.capture(lake, 2)
    assert sorted(versions(lake).filter(pl.col("row_key") == 5)["p_ingest_hour_utc"]) == [0, 2]
    assert lake.scan("studio_dimensions").collect()["row"].to_list() == [
        '{"price":"1.50","sku":"a"}'
    ]
    assert {report.status for report in studio.capture(lake, 0, 1, 2)} == {"unchanged"}


def test_a_dropped_table_fails_its_source_in_plain_words(
    studio: Studio_, memory_path: Path
) -> None:
    lake = Lake(str(memory_path / "lake"))
    studio.execute("drop table game.versions")
    studio.capture(lake, 0)
    ledger = lake.scan("hour_ledger").collect()
    assert ledger["status"].to_list() == ["failed"]
    assert "game.versions is mapped but not there" in ledger["source_error"][0]
    assert versions(lake).is_empty()
    studio.execute(
        "create table game.versions"
        " (id bigint, at_ms bigint, player text, session text, version text)"
    )
    studio.capture(lake, 1)
    assert set(lake.scan("hour_ledger").collect()["status"]) == {"processed"}
    assert versions(lake).height > 0


class _Cut:
    """A warehouse whose server ends the connection once, after the first batch of a read."""

    def __init__(self, warehouse: StudioWarehouse, cut: Callable[[], None]) -> None:
        self._warehouse = warehouse
        self._cut = cut

    def __getattr__(self, name: str) -> object:
        return getattr(self._warehouse, name)

    def read_window(
        self, schema: str, table: str, columns: Sequence[str], window: Window | None
    ) -> Iterator[pa.RecordBatch]:
        for batch in self._warehouse.read_window(schema, table, columns, window):
            yield batch
            self._cut()


def test_a_connection_that_postgres_ends_in_the_middle_is_read_again(
    postgres_server: PostgresServer, memory_path: Path
) -> None:
    database = postgres_server.create_database("capture_cut")
    studio = _in_postgres(database, memory_path)
    studio.execute(
        TABLES.format(rows=10) + "alter table game.purchases drop constraint purchases_pkey;"
    )
    wide = "repeat('x', 2000)"
    studio.execute(
        f"insert into game.purchases select n, timestamptz '2025-12-01 00:00:00+00', now(), {wide},"
        " 's', 1, 'USD', false from generate_series(11, 40000) as s(n)"
    )
    cuts: list[int] = []

    def cut() -> None:
        if not cuts:
            cuts.append(1)
            studio.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = 'capture_cut' and pid <> pg_backend_pid()"
            )

    opened: list[int] = []

    def wrap(warehouse: StudioWarehouse) -> StudioWarehouse:
        opened.append(1)
        return _Cut(warehouse, cut)  # type: ignore[return-value]

    studio.wrap = wrap
    lake = Lake(str(memory_path / "lake"))
    studio.capture(lake, 0)
    assert len(opened) == 2, "the connection was not opened again: nothing was cut"
    assert versions(lake)["row_key"].n_unique() == versions(lake).height == 40_000
    assert lake.scan("hour_ledger").collect()["status"].to_list() == ["processed"]
