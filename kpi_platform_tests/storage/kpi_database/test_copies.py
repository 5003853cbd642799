"""Partitions in other warehouses: on a real PostgreSQL; of Redshift only the SQL it would get."""

import io
from datetime import datetime
from typing import Any

import polars as pl
import psycopg2
import pytest
import sqlglot

from kpi_platform.settings import Settings
from kpi_platform.storage.kpi_database.copies import (
    Partition,
    PostgresCopy,
    RedshiftCopy,
    open_copy,
    parquet_copy,
)
from kpi_platform.storage.kpi_database.embedded import WarehouseError
from kpi_platform_tests.servers import PostgresServer

COLUMNS = (
    *("partition_id", "source", "service_name", "session_id", "player_id", "platform", "device"),
    *("country", "started_at", "ended_at", "ended_normally", "duration_seconds"),
    *("event_count", "crash_count"),
)
AT = datetime(2026, 1, 1, 5, 0, 0, 123456)  # noqa: DTZ001 (the warehouse is naive)
HOUR = Partition("sessions", "2026-01-01", 7, "as it was")


def sessions(*ids: str) -> pl.DataFrame:
    """Sessions with texts that a careless copy would take for something else."""
    rows = [
        (7, "folder", "game", each, None, r"\N", "", 'de"ck, 1', AT, AT, True, 1.5, 2, 0)
        for each in ids
    ]
    return pl.DataFrame(rows, list(COLUMNS), orient="row")


@pytest.fixture
def server(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> PostgresServer:
    """A database of the test's own."""
    return postgres_server.create_database(request.node.name)


def rows_of(server: PostgresServer) -> list[tuple[Any, ...]]:
    """The sessions there."""
    connection = psycopg2.connect(server.dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"select {', '.join(COLUMNS)} from lake.sessions order by session_id")
            return cursor.fetchall()
    finally:
        connection.close()


def test_rows_arrive_as_they_are(server: PostgresServer) -> None:
    rows = sessions("s1", "line\nbreak", "tab\tand ünïcode")
    PostgresCopy(server.dsn).replace(HOUR, rows)

    assert rows_of(server) == rows.sort("session_id").rows()


def test_a_partition_replaced_again_is_there_once(server: PostgresServer) -> None:
    copy = PostgresCopy(server.dsn)
    copy.replace(HOUR, sessions("s1", "s2"))
    copy.replace(HOUR, sessions("s1", "s2"))
    copy.replace(Partition("sessions", "2026-01-01", 7, "corrected"), sessions("s2", "s3"))

    assert [row[3] for row in rows_of(server)] == ["s2", "s3"]
    assert copy.partitions() == [Partition("sessions", "2026-01-01", 7, "corrected")]


def test_a_copy_that_fails_leaves_what_was_there(server: PostgresServer) -> None:
    copy = PostgresCopy(server.dsn)
    copy.replace(HOUR, sessions("s1"))
    broken = sessions("s2").with_columns(source=pl.lit(None, pl.String))

    with pytest.raises(psycopg2.errors.NotNullViolation):
        copy.replace(Partition("sessions", "2026-01-01", 7, "new"), broken)

    assert [row[3] for row in rows_of(server)] == ["s1"]
    assert copy.partitions() == [HOUR]


def test_a_partition_that_is_gone_is_gone(server: PostgresServer) -> None:
    copy = PostgresCopy(server.dsn)
    copy.replace(HOUR, sessions("s1"))
    copy.replace(Partition("sessions", "2026-01-01", 7, None), pl.DataFrame())

    assert rows_of(server) == []
    assert copy.partitions() == []


class RecordingRedshift(RedshiftCopy):
    """Redshift does not run here: this double records the statements that it would get."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.staged: dict[str, pl.DataFrame] = {}
        self._iam_role = "arn:aws:iam::1:role/kpi"
        self._stage = self._keep

    def _keep(self, name: str, rows: pl.DataFrame) -> str:
        self.staged[name] = pl.read_parquet(io.BytesIO(_parquet(rows)))
        return f"s3://bucket/{name}"

    def connect(self) -> Any:
        return _Recorder(self.statements)


class _Recorder:
    """A connection, and its own cursor, that writes down what happens."""

    def __init__(self, statements: list[str]) -> None:
        self._statements = statements

    def __enter__(self) -> "_Recorder":
        return self

    def __exit__(self, *error: object) -> None:
        self._statements.append("end")

    def cursor(self) -> "_Recorder":
        return self

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> None:
        self._statements.append(" ".join(statement.split()) % tuple(map(repr, values)))

    def close(self) -> None:
        self._statements.append("close")


def _parquet(rows: pl.DataFrame) -> bytes:
    content = io.BytesIO()
    rows.write_parquet(content)
    return content.getvalue()


def test_redshift_would_get_one_copy_of_parquet_per_partition_in_one_transaction() -> None:
    copy = RecordingRedshift()
    copy.replace(HOUR, sessions("s1"))

    known = "lake.loaded_partitions where table_name = 'sessions' and partition_key = '2026-01-01'"
    assert copy.statements == [
        f"delete from lake.sessions where partition_id in (select partition_id from {known})",
        f"delete from {known}",
        f"copy lake.sessions ({', '.join(COLUMNS)}) from 's3://bucket/sessions/7.parquet'"
        " iam_role 'arn:aws:iam::1:role/kpi' format as parquet",
        "insert into lake.loaded_partitions (table_name, partition_key, partition_id, signature)"
        " values ('sessions', '2026-01-01', 7, 'as it was')",
        # psycopg2 ends the cursor, then the transaction by commit, then the connection.
        *("end", "end", "close"),
    ]
    assert copy.staged["sessions/7.parquet"].equals(sessions("s1"))


def test_the_redshift_copy_is_redshift_sql_and_its_texts_are_quoted() -> None:
    text = parquet_copy("sessions", COLUMNS, "s3://it's/x", "arn")

    assert "from 's3://it''s/x'" in text
    assert sqlglot.parse_one(text, dialect="redshift").key == "copy"


def test_redshift_without_a_place_to_stage_is_one_line() -> None:
    with pytest.raises(WarehouseError, match=r"^KPI_WAREHOUSE_STAGING_URI: "):
        open_copy(Settings(warehouse="redshift"))
