"""What can go wrong with a real PostgreSQL, and whether trying again can help."""

import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import duckdb
import pyarrow as pa
import pytest

from kpi_platform.schemas.sources_file.source_connections import (
    DuckDBConnection,
    PostgresConnection,
)
from kpi_platform.storage.studio_databases import (
    StudioWarehouse,
    StudioWarehouseError,
    TerminalWarehouseError,
    TransientWarehouseError,
    duckdb_file,
    open_warehouse,
)
from kpi_platform.storage.studio_databases.batches import plain
from kpi_platform.storage.studio_databases.duckdb_file import DuckDBWarehouse
from kpi_platform.storage.studio_databases.errors import one_line
from kpi_platform.storage.studio_databases.retrying import retried
from kpi_platform_tests.servers import PostgresServer
from kpi_platform_tests.storage.studio_databases.conftest import Studio, postgres_studio


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[Studio]:
    made = postgres_studio(postgres_server, timeout_seconds=1)
    yield made
    made.warehouse.close()


def opened(dsn: str) -> StudioWarehouse:
    connection = PostgresConnection(kind="postgres", dsn_env="DSN", attempts=1)
    return open_warehouse(connection, Path(), {"DSN": dsn}.get)


def test_a_connection_lost_in_the_middle_of_a_read_is_transient_and_the_next_read_works(
    postgres: Studio,
) -> None:
    postgres.execute("""
        CREATE SCHEMA s;
        CREATE TABLE s.t AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 100000) g(n);
    """)
    batches = postgres.warehouse.read_window("s", "t", ["n", "x"], None)
    assert next(batches).num_rows < 100_000
    postgres.execute("""
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'kpi_platform' AND datname = current_database()
    """)
    with pytest.raises(TransientWarehouseError, match=r"server closed the connection|terminating"):
        list(batches)
    again = postgres.warehouse.read_window("s", "t", ["n", "x"], None)
    assert sum(batch.num_rows for batch in again) == 100_000


def test_a_database_that_says_nothing_is_not_waited_for(postgres: Studio) -> None:
    postgres.execute("""
        CREATE SCHEMA s;
        CREATE VIEW s.slow AS SELECT n, pg_sleep(60)::text AS x FROM generate_series(1, 9) g(n);
    """)
    with pytest.raises(TransientWarehouseError, match="said nothing for 1 s"):
        list(postgres.warehouse.read_window("s", "slow", ["n", "x"], None))
    assert postgres.warehouse.schemas() == ["public", "s"]


def test_a_consumer_that_takes_its_time_is_waited_for(postgres: Studio) -> None:
    postgres.execute("""
        CREATE SCHEMA s;
        CREATE TABLE s.t AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 50000) g(n);
    """)
    rows = 0
    for batch in postgres.warehouse.read_window("s", "t", ["n", "x"], None):
        threading.Event().wait(1.2 if rows == 0 else 0)
        rows += batch.num_rows
    assert rows == 50_000


def test_no_permission_on_one_table_is_told_and_the_others_are_read(
    postgres_server: PostgresServer, postgres: Studio
) -> None:
    postgres.execute("""
        CREATE SCHEMA s; CREATE TABLE s.open (a int); CREATE TABLE s.shut (a int);
        CREATE TABLE s.half (a int, b int);
        DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'r';
        GRANT USAGE ON SCHEMA s TO reader; GRANT SELECT ON s.open TO reader;
        GRANT SELECT (a) ON s.half TO reader;
    """)
    database = str(postgres.warehouse._dsn).split("?")[0].rsplit("/", 1)[1]  # type: ignore[attr-defined]
    place = f"{postgres_server.host}:{postgres_server.port}/{database}"
    reader = opened(f"postgresql://reader:r@{place}")
    found = reader.discover("s").select("table", "column", "is_readable").rows()
    assert found == [
        ("half", "a", True),
        ("half", "b", False),
        ("open", "a", True),
        ("shut", "a", False),
    ]
    with pytest.raises(TerminalWarehouseError, match="permission denied for table shut"):
        list(reader.read_window("s", "shut", ["a"], None))
    with pytest.raises(TerminalWarehouseError, match="permission denied for table shut"):
        reader.sample("s", "shut")
    assert [b.num_rows for b in reader.read_window("s", "open", ["a"], None)] == [0]
    assert [b.num_rows for b in reader.read_window("s", "half", ["a"], None)] == [0]
    reader.close()
    postgres.execute("DROP OWNED BY reader; DROP ROLE reader;")


def test_connections_that_cannot_be_made(postgres_server: PostgresServer) -> None:
    server = postgres_server
    for dsn, kind in (
        (server.dsn.replace(server.password, "wrong"), TerminalWarehouseError),
        (server.dsn.rsplit("/", 1)[0] + "/nowhere", TerminalWarehouseError),
        (server.dsn.replace(str(server.port), "1"), TransientWarehouseError),
        (server.dsn + "?sslmode=require", TerminalWarehouseError),
    ):
        with pytest.raises(kind) as error:
            opened(dsn).schemas()
        assert server.password not in str(error.value)
        assert "wrong" not in str(error.value)
        assert "\n" not in str(error.value)


def test_a_studio_is_only_read(postgres: Studio) -> None:
    postgres.execute("""
        CREATE SCHEMA s; CREATE TABLE s.t (a int);
        CREATE FUNCTION s.sneaky() RETURNS int LANGUAGE sql
          AS 'INSERT INTO s.t VALUES (1); SELECT 1';
        CREATE VIEW s.v AS SELECT s.sneaky() AS a;
    """)
    with pytest.raises(TerminalWarehouseError, match="read-only transaction"):
        list(postgres.warehouse.read_window("s", "v", ["a"], None))


def test_variables_that_are_missing_or_no_address_are_named() -> None:
    connection = PostgresConnection(kind="postgres", dsn_env="STUDIO_DSN")
    with pytest.raises(TerminalWarehouseError, match="STUDIO_DSN is not set"):
        open_warehouse(connection, Path(), {}.get)
    with pytest.raises(TerminalWarehouseError, match="STUDIO_DSN: must be an address") as error:
        open_warehouse(connection, Path(), {"STUDIO_DSN": "hunter2"}.get)
    assert "hunter2" not in str(error.value)


def test_a_password_never_reaches_a_message() -> None:
    said = one_line(
        ValueError("cannot reach postgresql://me:hunter2@host/db password=hunter3 x\nmore")
    )
    assert said == "cannot reach postgresql://me:***@host/db password=*** x"


def test_only_what_can_succeed_is_tried_again() -> None:
    calls: list[float] = []

    def fail(error: StudioWarehouseError) -> None:
        calls.append(0)
        raise error

    with pytest.raises(TransientWarehouseError):
        retried(lambda: fail(TransientWarehouseError("x")), 3, calls.append)
    assert len(calls) == 5  # Three tries and two waits.
    assert 0 < calls[1] <= 0.5
    assert calls[1] < calls[3] <= 1
    calls.clear()
    with pytest.raises(TerminalWarehouseError):
        retried(lambda: fail(TerminalWarehouseError("x")), 3, calls.append)
    assert len(calls) == 1


def test_a_column_that_changes_its_type_between_two_batches_is_named() -> None:
    """A double of a reader: databases read one table as of one moment."""

    class Reader:
        schema = pa.schema([("a", pa.int32())])

        def __iter__(self) -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pydict({"a": pa.array([1], pa.int32())})
            yield pa.RecordBatch.from_pydict({"a": pa.array(["1"])})

    with pytest.raises(TerminalWarehouseError, match="table t: a changed its type while"):
        list(plain(Reader(), "t", ["a"]))


def test_a_duckdb_file_that_is_none_or_is_written(tmp_path: Path) -> None:
    connection = DuckDBConnection(kind="duckdb", path="x.duckdb", attempts=1)
    warehouse = open_warehouse(connection, tmp_path, {}.get)
    with pytest.raises(TerminalWarehouseError, match="no such DuckDB file"):
        warehouse.schemas()
    (tmp_path / "x.duckdb").write_text("something else" * 1000)
    with pytest.raises(TerminalWarehouseError, match="not a valid DuckDB database"):
        warehouse.schemas()


def test_a_duckdb_view_that_takes_for_ever_is_not_waited_for(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.duckdb")) as con:
        con.execute("""
            CREATE VIEW slow AS SELECT count(*) AS n
            FROM range(10000000000) a, range(1000000) b WHERE a.range % 7 = b.range % 5
        """)
    connection = DuckDBConnection(kind="duckdb", path="x.duckdb", attempts=1, timeout_seconds=1)
    warehouse = open_warehouse(connection, tmp_path, {}.get)
    with pytest.raises(TransientWarehouseError, match="said nothing for 1 s"):
        list(warehouse.read_window("main", "slow", ["n"], None))


def test_a_duckdb_file_is_held_only_while_it_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "x.duckdb")
    with duckdb.connect(path) as con:
        con.execute("CREATE TABLE t AS SELECT 1 AS a")
    connection = DuckDBConnection(kind="duckdb", path="x.duckdb")
    warehouse = open_warehouse(connection, tmp_path, {}.get)
    assert warehouse.discover("main").height == 1
    with duckdb.connect(path) as con:
        con.execute("INSERT INTO t VALUES (2)")
    assert warehouse.count("main", "t", None) == 2


def test_a_duckdb_file_stays_open_for_several_questions_but_not_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "x.duckdb")
    with duckdb.connect(path) as con:
        con.execute("CREATE TABLE t AS SELECT 1 AS a")
    warehouse = DuckDBWarehouse(DuckDBConnection(kind="duckdb", path="x.duckdb"), tmp_path)
    opened = mock.Mock(side_effect=duckdb_file.duckdb.connect)
    monkeypatch.setattr(duckdb_file.duckdb, "connect", opened)

    def ask() -> list[int]:
        batches = warehouse.read_window("main", "t", ["a"], None)
        return [*warehouse.discover("main").height * [0], *(batch.num_rows for batch in batches)]

    with warehouse.held():
        assert ask() == [0, 1]
        with pytest.raises(TerminalWarehouseError, match="is not in schema"):
            warehouse.count("main", "nothing", None)
        assert ask() == [0, 1]
    # What failed is not asked again.
    assert opened.call_count == 2
    monkeypatch.setattr(duckdb_file, "_HELD_SECONDS", 0)
    with warehouse.held():
        ask()
        with duckdb.connect(path) as con:
            con.execute("INSERT INTO t VALUES (2)")
        assert ask() == [0, 2]
