"""Redshift without Redshift: the SQL text, the Data API's calls (stubbed against AWS's own model of
them), a double of the connection; only the staging read is real, on a real S3 server.

Nothing here shows that Redshift itself accepts the statements.
"""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import boto3
import obstore
import polars as pl
import pyarrow as pa
import pytest
from botocore.stub import ANY, Stubber
from obstore.store import MemoryStore, ObjectStore, from_url
from redshift_connector.error import InterfaceError, ProgrammingError

from kpi_platform.schemas.sources_file.source_connections import RedshiftConnection, Unload
from kpi_platform.schemas.sources_file.source_values import Time
from kpi_platform.storage.local_servers.local_s3 import S3Server
from kpi_platform.storage.studio_databases import (
    TerminalWarehouseError,
    TransientWarehouseError,
    Window,
)
from kpi_platform.storage.studio_databases.opening import redshift_parts
from kpi_platform.storage.studio_databases.redshift.redshift import RedshiftWarehouse
from kpi_platform.storage.studio_databases.redshift.redshift_unload import (
    BulkReader,
    unload_statement,
)

ROLE = "arn:aws:iam::123456789012:role/unload"
UNLOAD = Unload(
    staging="s3://staging/kpi",
    iam_role=ROLE,
    database="games",
    workgroup="studio",
    above_rows=2,
)
CONNECTION = RedshiftConnection(
    kind="redshift", host="h", database="games", user="u", unload=UNLOAD, attempts=2
)


def parquet(**columns: Sequence[object]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@contextmanager
def bulk(store: ObjectStore, limit: float = 60) -> Iterator[tuple[BulkReader, Stubber, Clock]]:
    client = boto3.Session().client(
        "redshift-data", region_name="eu-north-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    clock = Clock()
    reader = BulkReader(
        UNLOAD, client, store, 2, limit, clock.sleep, lambda: clock.now, lambda: "token"
    )
    with Stubber(client) as stubber:
        yield reader, stubber, clock
        stubber.assert_no_pending_responses()


def started(stubber: Stubber, sql: object = ANY) -> None:
    wanted = {
        "Sql": sql,
        "Database": "games",
        "ClientToken": "token",
        "StatementName": "kpi_platform",
        "WorkgroupName": "studio",
    }
    stubber.add_response("execute_statement", {"Id": "one"}, wanted)


def described(stubber: Stubber, *states: str, error: str = "") -> None:
    for state in states:
        answer = {"Id": "one", "Status": state, **({"Error": error} if error else {})}
        stubber.add_response("describe_statement", answer, {"Id": "one"})


def test_the_text_of_unload_quotes_what_it_holds() -> None:
    query = """SELECT "it's" FROM "a\\b"."\"; drop table" WHERE "x" < 'y'"""
    assert unload_statement(query, "s3://staging/kpi/token/", ROLE) == (
        """UNLOAD ('SELECT "it''s" FROM "a\\\\b"."\"; drop table" WHERE "x" < ''y''') """
        f"TO 's3://staging/kpi/token/' IAM_ROLE '{ROLE}' FORMAT AS PARQUET MAXFILESIZE 64 MB"
    )
    assert "IAM_ROLE default FORMAT" in unload_statement("SELECT 1", "s3://s/k/", "default")


def test_rows_are_read_from_real_staging_which_is_empty_afterwards(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    store = from_url(f"{s3_server.create_bucket('unload-staging')}/kpi")
    obstore.put(store, "token/0000_part_00.parquet", parquet(a=[1, 2]))
    obstore.put(store, "token/0001_part_00.parquet", parquet(a=[3]))
    obstore.put(store, "other/0000_part_00.parquet", parquet(a=[9]))
    with bulk(store) as (reader, stubber, clock):
        started(stubber, unload_statement("SELECT 1", "s3://staging/kpi/token/", ROLE))
        described(stubber, "SUBMITTED", "PICKED", "STARTED", "FINISHED")
        values = [v for batch in reader.read("SELECT 1") for v in batch.column(0).to_pylist()]
    assert values == [1, 2, 3]
    assert clock.slept == [0.25, 0.5, 1.0]
    left = [meta["path"] for part in obstore.list(store) for meta in part]
    assert left == ["other/0000_part_00.parquet"]


@pytest.mark.parametrize(
    ("state", "error", "kind"),
    [
        ("FAILED", "ERROR: permission denied for relation x", TerminalWarehouseError),
        ("FAILED", 'ERROR: relation "x" does not exist', TerminalWarehouseError),
        ("FAILED", "S3ServiceException:Access Denied", TerminalWarehouseError),
        ("FAILED", "ERROR: Disk Full", TransientWarehouseError),
        ("ABORTED", "", TransientWarehouseError),
    ],
)
def test_a_statement_that_fails(state: str, error: str, kind: type[Exception]) -> None:
    store = MemoryStore()
    obstore.put(store, "token/half.parquet", b"half")
    with bulk(store) as (reader, stubber, _):
        started(stubber)
        described(stubber, state, error=error)
        with pytest.raises(kind, match=error or "UNLOAD was aborted"):
            list(reader.read("SELECT 1"))
    assert not list(obstore.list(store))


def test_a_statement_that_takes_too_long_is_cancelled() -> None:
    with bulk(MemoryStore(), limit=1) as (reader, stubber, _):
        started(stubber)
        described(stubber, "STARTED", "STARTED", "STARTED", "STARTED")
        stubber.add_response("cancel_statement", {"Status": True}, {"Id": "one"})
        described(stubber, "STARTED", "ABORTED")
        with pytest.raises(TransientWarehouseError, match="UNLOAD was not done in 1 s"):
            list(reader.read("SELECT 1"))


def test_a_reader_that_stops_leaves_nothing() -> None:
    store = MemoryStore()
    for n in range(3):
        obstore.put(store, f"token/{n}.parquet", parquet(a=[n]))
    with bulk(store) as (reader, stubber, _):
        started(stubber)
        described(stubber, "FINISHED")
        rows = reader.read("SELECT 1")
        next(rows)
        rows.close()  # type: ignore[attr-defined]
    assert not list(obstore.list(store))


def test_what_can_succeed_is_tried_again_with_the_same_token_and_the_rest_is_not() -> None:
    with bulk(MemoryStore()) as (reader, stubber, clock):
        stubber.add_client_error("execute_statement", "ActiveStatementsExceededException")
        started(stubber)
        stubber.add_client_error("describe_statement", "ThrottlingException")
        described(stubber, "FINISHED")
        assert list(reader.read("SELECT 1")) == []
    assert len(clock.slept) == 2
    with bulk(MemoryStore()) as (reader, stubber, clock):
        stubber.add_client_error("execute_statement", "AccessDeniedException", "not you")
        with pytest.raises(TerminalWarehouseError, match="not you"):
            list(reader.read("SELECT 1"))
    assert clock.slept == []


def test_staging_that_holds_no_parquet_is_named() -> None:
    store = MemoryStore()
    obstore.put(store, "token/x.parquet", b"not parquet")
    with bulk(store) as (reader, stubber, _):
        started(stubber)
        described(stubber, "FINISHED")
        with pytest.raises(TerminalWarehouseError, match=r"^staging: "):
            list(reader.read("SELECT 1"))


class Driver:
    """A double of the connection: answers by the first words of a statement."""

    def __init__(self, answers: dict[str, list[Any]], error: Exception | None = None) -> None:
        self.answers = answers
        self.error = error
        self.asked: list[str] = []
        self.connected = 0
        self.left: list[Any] = []

    def connect(self) -> "Driver":
        self.connected += 1
        return self

    @contextmanager
    def cursor(self) -> Iterator["Driver"]:
        yield self

    def execute(self, query: str) -> None:
        self.asked.append(query)
        if self.error:
            raise self.error
        self.left = next((a for words, a in self.answers.items() if words in query), [])

    def fetchall(self) -> list[Any]:
        if "FETCH FORWARD" in self.asked[-1]:
            return self.answers.pop("rows", [])
        return self.left

    def rollback(self) -> None:
        """Nothing was changed."""

    def close(self) -> None:
        """Nothing is open."""


CATALOG = {
    "svv_all_columns": [
        ("t", "id", 1, "bigint", None, 64, 0, "NO"),
        ("t", "props", 2, "super", None, None, None, "YES"),
        ("t", "price", 3, "numeric", None, 12, 2, "YES"),
        ("t", "at", 4, "timestamp with time zone", None, None, None, "YES"),
        ("t", "day", 5, "date", None, None, None, "YES"),
        ("t", "name", 6, "character varying", 40, None, None, "YES"),
    ],
    "svv_all_tables": [("t", "TABLE")],
    "pg_get_late_binding_view_cols": [("v", "x", 1, "character varying(10)")],
    "pg_constraint": [("t", "id")],
    "has_table_privilege": [("v",)],
}
AT = datetime(2026, 1, 1, 5, tzinfo=UTC)
ROW = (1, '{"a":1}', "9.99", AT, date(2026, 1, 1), "x")


def test_the_catalog_has_late_binding_views_keys_and_permissions() -> None:
    driver = Driver(dict(CATALOG))
    found = RedshiftWarehouse(CONNECTION, driver.connect, None).discover("it's \\ mine")
    begun, *asked = driver.asked
    assert begun == "BEGIN READ ONLY"
    assert all("'it''s \\\\ mine'" in query for query in asked if query != begun)
    assert found.select("table", "kind", "column", "type", "is_key", "is_readable").rows() == [
        ("t", "table", "id", "bigint", True, True),
        ("t", "table", "props", "super", False, True),
        ("t", "table", "price", "numeric(12,2)", False, True),
        ("t", "table", "at", "timestamp with time zone", False, True),
        ("t", "table", "day", "date", False, True),
        ("t", "table", "name", "character varying(40)", False, True),
        ("v", "late_binding_view", "x", "character varying(10)", False, False),
    ]


def test_a_small_window_is_fetched_and_a_large_one_unloaded_with_the_same_types() -> None:
    window = Window(Time(column="at"), AT, AT.replace(hour=6))
    columns = ["id", "props", "price", "at", "day", "name"]
    small = Driver({**CATALOG, "count(*)": [(1,)], "rows": [ROW]})
    with bulk(MemoryStore()) as (reader, _, _):
        warehouse = RedshiftWarehouse(CONNECTION, small.connect, reader)
        (fetched,) = warehouse.read_window("s", "t", columns, window)
    (declared,) = [query for query in small.asked if query.startswith("DECLARE")]
    assert declared == (
        'DECLARE kpi_rows CURSOR FOR SELECT "id" AS "id", JSON_SERIALIZE("props") AS "props", '
        '"price"::varchar AS "price", "at" AS "at", "day" AS "day", "name" AS "name" '
        'FROM "s"."t" WHERE "at" >= TIMESTAMPTZ \'2026-01-01 05:00:00+00\' '
        "AND \"at\" < TIMESTAMPTZ '2026-01-01 06:00:00+00'"
    )
    store = MemoryStore()
    unloaded_row = dict(zip(columns, ROW, strict=True))
    # As UNLOAD writes it: UTC without a zone.
    unloaded_row["at"] = AT.replace(tzinfo=None)
    obstore.put(store, "token/0.parquet", parquet(**{k: [v] for k, v in unloaded_row.items()}))
    large = Driver({**CATALOG, "count(*)": [(3,)]})
    with bulk(store) as (reader, stubber, _):
        started(stubber)
        described(stubber, "FINISHED")
        warehouse = RedshiftWarehouse(CONNECTION, large.connect, reader)
        (unloaded,) = warehouse.read_window("s", "t", columns, window)
    assert unloaded.schema == fetched.schema
    assert unloaded.to_pylist() == fetched.to_pylist() == [dict(zip(columns, ROW, strict=True))]
    assert fetched.schema.field("at").type == pa.timestamp("us", "UTC")
    assert not any(query.startswith("DECLARE") for query in large.asked)


@pytest.mark.parametrize(
    ("error", "kind", "connections"),
    [
        (ProgrammingError({"C": "42501", "M": "permission denied"}), TerminalWarehouseError, 1),
        (ProgrammingError({"C": "57014", "M": "cancelled"}), TransientWarehouseError, 2),
        (InterfaceError("connection is closed"), TransientWarehouseError, 2),
        (OSError("broken pipe"), TransientWarehouseError, 2),
    ],
)
def test_errors_of_the_driver(error: Exception, kind: type[Exception], connections: int) -> None:
    driver = Driver({}, error)
    warehouse = RedshiftWarehouse(CONNECTION, driver.connect, None)
    with pytest.raises(kind):
        warehouse.schemas()
    assert driver.connected == connections


def test_the_address_is_read_and_never_shown() -> None:
    by_dsn = RedshiftConnection(kind="redshift", dsn_env="DSN")
    parts = redshift_parts(by_dsn, {"DSN": "redshift://u%40x:p%2Fw@host:5440/games"}.get)
    assert (parts["host"], parts["port"], parts["user"]) == ("host", 5440, "u@x")
    assert parts["password"] == "p/w"
    assert parts["ssl"] is True
    with pytest.raises(TerminalWarehouseError) as error:
        redshift_parts(by_dsn, {"DSN": "secret-rubbish"}.get)
    assert "secret-rubbish" not in str(error.value)
    assert json.dumps(parts)
