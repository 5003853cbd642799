"""The works of the warehouse benchmarks: ours, ADBC alone, dlt; and what they read.

Belongs here: what is measured, each in a process of its own. Does not: measuring.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import WORKED

if TYPE_CHECKING:
    from kpi_platform.storage.studio_databases import StudioWarehouse

SCHEMA = "studio"
# After every row there is.
LATER = datetime(2027, 1, 1, tzinfo=UTC)
# The rows of its last three windows are known, its own has none.
QUIET = datetime(2026, 1, 1, 6, tzinfo=UTC)
QUIET_TABLES = 5
COLUMNS = ("id", "player", "session", "at", "amount", "currency", "sku", "is_refund", "n", "hash")


@contextmanager
def timed() -> Iterator[None]:
    """Say how long the block took: what libraries need to be imported is not measured."""
    started = time.monotonic()
    yield
    sys.stdout.write(f"{WORKED}{time.monotonic() - started}\n")


def make_rows(_: Path, rows: str) -> None:
    """Ten columns of the usual types."""
    _execute(f"""
        CREATE SCHEMA IF NOT EXISTS {SCHEMA};
        CREATE TABLE {SCHEMA}.events AS SELECT g::bigint AS id, 'P' || g % 100000 AS player,
          'session-' || g / 10 AS session, timestamp '2026-01-01' + g * interval '1 second' AS "at",
          (g % 500) * 1.1::float8 AS amount, 'EUR'::text AS currency, 'sku' || g % 50 AS sku,
          g % 2 = 0 AS is_refund, (g % 1000)::int AS n, md5(g::text) AS hash
        FROM generate_series(1, {int(rows)}) g;
        ANALYZE {SCHEMA}.events;
    """)


def make_tables(_: Path, tables: str, columns: str) -> None:
    """Very many tables without rows."""
    names = ", ".join(f"column_{n} int" for n in range(int(columns)))
    _execute("CREATE SCHEMA IF NOT EXISTS many;")
    for first in range(0, int(tables), 100):
        _execute("".join(f"CREATE TABLE many.t{first + n} ({names});" for n in range(100)))


def make_studios(folder: Path, kind: str, studios: str) -> None:
    """Studios of five tables each, in PostgreSQL or in DuckDB files; `QUIET` finds no news."""
    for number in range(int(studios)):
        statements = f"CREATE SCHEMA quiet{number};"
        for table in ("events", *(f"events_{n}" for n in range(1, QUIET_TABLES))):
            name = f"quiet{number}.{table}"
            statements += f"""
                CREATE TABLE {name} AS SELECT g::bigint AS id, 'P' || g % 1000 AS player,
                  's' || g / 10 AS session,
                  timestamp '2026-01-01' + g * interval '1 second' AS "at",
                  (g % 500) * 1.1::float8 AS amount, 'EUR'::text AS currency
                FROM generate_series(1, 20000) AS s(g);
                CREATE INDEX {table}_at ON {name} ("at");
            """
        _execute(statements) if kind == "postgres" else _execute_in_file(
            folder / f"studio-quiet{number}.duckdb", statements
        )


def quiet_hour(folder: Path, kind: str, studios: str) -> None:
    """Ours: an hour without news at many studios, whose last three hours are read again."""
    from bench.studio_hours import bench_sources, capture_hour

    names = [f"quiet{number}" for number in range(int(studios))]
    files = None if kind == "postgres" else folder.parent / "studios"
    sources = bench_sources(*names, tables=QUIET_TABLES, folder=files)
    for back in (6, *range(3, 0, -1)):
        capture_hour(folder, sources, QUIET - back * timedelta(hours=1))
    with timed():
        capture_hour(folder, sources, QUIET)


def capture(folder: Path) -> None:
    """Ours: the first hour of `raw_studio_events`, which takes all there is."""
    from bench.studio_hours import bench_sources, capture_hour

    with timed():
        reports = capture_hour(folder, bench_sources(SCHEMA), LATER)
    if reports[LATER].status != "written":
        raise SystemExit(f"{reports[LATER]}")


def adbc(folder: Path) -> None:
    """What anybody would write with these two libraries."""
    import adbc_driver_postgresql.dbapi as driver
    from deltalake import write_deltalake

    with (
        timed(),
        driver.connect(os.environ["BENCH_DSN"]) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM {SCHEMA}.events")
        write_deltalake(str(folder), cursor.fetch_arrow_table())


def dlt_pyarrow(folder: Path) -> None:
    """dlt's sql_database into a Delta table, rows fetched as Arrow."""
    _dlt(folder, "pyarrow")


def dlt_connectorx(folder: Path) -> None:
    """dlt's sql_database into a Delta table, rows fetched by connectorx."""
    _dlt(folder, "connectorx")


def discover(_: Path) -> None:
    """Ours: the catalog of a schema with very many tables."""
    warehouse = _warehouse()
    with timed():
        found = warehouse.discover("many")
    if found["table"].n_unique() * 40 != found.height:
        raise SystemExit(f"{found.height} columns found")
    warehouse.close()


def _dlt(folder: Path, backend: str) -> None:
    import dlt
    from dlt.sources.sql_database import sql_table

    dsn = os.environ["BENCH_DSN"]
    # connectorx reads the address itself; SQLAlchemy wants its driver named.
    options = {"conn": dsn} if backend == "connectorx" else {}
    table = sql_table(
        credentials=dsn.replace("postgresql://", "postgresql+psycopg2://"),
        table="events",
        schema=SCHEMA,
        backend=backend,  # type: ignore[arg-type]
        backend_kwargs=options,
    )
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "state"),
        destination=dlt.destinations.filesystem(bucket_url=str(folder / "lake")),
        dataset_name="raw",
    )
    with timed():
        found = pipeline.run(table, table_format="delta", write_disposition="replace")
        found.raise_on_failed_jobs()


def _warehouse() -> "StudioWarehouse":
    from kpi_platform.schemas.sources_file.source_connections import PostgresConnection
    from kpi_platform.storage.studio_databases import open_warehouse

    connection = PostgresConnection(kind="postgres", dsn_env="BENCH_DSN")
    return open_warehouse(connection, Path(), os.environ.get)


def _execute(statements: str) -> None:
    import psycopg2

    with closing(psycopg2.connect(os.environ["BENCH_DSN"])) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statements)


def _execute_in_file(path: Path, statements: str) -> None:
    import duckdb

    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(statements)


WORKS: dict[str, Callable[..., None]] = {
    "make-rows": make_rows,
    "make-tables": make_tables,
    "make-studios": make_studios,
    "quiet-hour": quiet_hour,
    "capture": capture,
    "adbc": adbc,
    "dlt-pyarrow": dlt_pyarrow,
    "dlt-connectorx": dlt_connectorx,
    "discover": discover,
}

if __name__ == "__main__":
    # Libraries are imported by the work that uses them: memory of others is not its own.
    WORKS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
