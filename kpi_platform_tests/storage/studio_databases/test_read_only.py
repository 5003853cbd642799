"""A hostile or badly made PostgreSQL: not written to, not waited for, what it hides is said."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg2
import pytest

from kpi_platform.schemas.sources_file.source_values import Time
from kpi_platform.storage.studio_databases import (
    SchemaTraits,
    StudioWarehouse,
    StudioWarehouseError,
    TerminalWarehouseError,
    Window,
)
from kpi_platform_tests.servers import PostgresServer
from kpi_platform_tests.storage.studio_databases.conftest import Studio, postgres_studio
from kpi_platform_tests.storage.studio_databases.test_trouble import opened

WRITING_VIEW = """
CREATE SCHEMA shop;
CREATE TABLE shop.log (t text);
CREATE FUNCTION shop.writes() RETURNS text LANGUAGE plpgsql AS $f$
BEGIN
  PERFORM set_config('default_transaction_read_only', 'off', false);
  PERFORM set_config('statement_timeout', '0', false);
  BEGIN PERFORM set_config('transaction_read_only', 'off', false);
  EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN INSERT INTO shop.log VALUES ('written'); EXCEPTION WHEN OTHERS THEN NULL; END;
  RETURN 'x';
END $f$;
CREATE VIEW shop.sneaky AS SELECT 1 AS id, shop.writes() AS z;
CREATE VIEW shop.slow AS SELECT 1 AS id, pg_sleep(3600)::text AS z;
"""


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[Studio]:
    made = postgres_studio(postgres_server)
    yield made
    made.warehouse.close()


def rows_of(warehouse: StudioWarehouse, table: str, columns: list[str]) -> list[dict[str, object]]:
    batches = warehouse.read_window("shop", table, columns, None)
    return [row for batch in batches for row in batch.to_pylist()]


def test_a_view_that_writes_writes_in_no_read(postgres: Studio) -> None:
    postgres.execute(WRITING_VIEW)
    warehouse = postgres.warehouse
    for _ in range(3):
        assert rows_of(warehouse, "sneaky", ["id", "z"]) == [{"id": 1, "z": "x"}]
    assert warehouse.sample("shop", "sneaky").rows() == [("1", "x")]
    assert warehouse.count("shop", "sneaky", None) == 1
    assert warehouse.repeats("shop", "sneaky", ["z"]) is False
    assert rows_of(warehouse, "log", ["t"]) == []


def test_a_sample_takes_seconds_and_names_its_table(
    postgres: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kpi_platform.storage.studio_databases.postgres.postgres.SAMPLE_SECONDS", 0.5
    )
    postgres.execute(WRITING_VIEW)
    began = time.monotonic()
    for ask in (
        lambda: postgres.warehouse.sample("shop", "slow"),
        lambda: postgres.warehouse.repeats("shop", "slow", ["z"]),
        lambda: postgres.warehouse.count("shop", "slow", ahead("z"), 0.5),
    ):
        with pytest.raises(TerminalWarehouseError, match=r"table slow: no answer within 0\.5 s"):
            ask()
    assert time.monotonic() - began < 30
    assert rows_of(postgres.warehouse, "log", ["t"]) == []


def ahead(column: str) -> Window:
    watermark = Time(column=column, unit="text", format="%Y-%m-%d")
    return Window(watermark, datetime(2026, 1, 1, tzinfo=UTC), None)


def test_two_reads_at_once_and_one_that_is_left_do_not_meet(postgres: Studio) -> None:
    postgres.execute("""
        CREATE SCHEMA shop;
        CREATE TABLE shop.t AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 60000) g(n);
    """)
    one = postgres.warehouse.read_window("shop", "t", ["n", "x"], None)
    next(one)
    assert len(rows_of(postgres.warehouse, "t", ["n"])) == 60_000
    assert sum(batch.num_rows for batch in one) < 60_000
    left = postgres.warehouse.read_window("shop", "t", ["n", "x"], None)
    next(left)
    del left
    assert postgres.warehouse.count("shop", "t", None) == 60_000


def test_a_failed_statement_leaves_the_next_one_alone(postgres: Studio) -> None:
    postgres.execute("""
        CREATE SCHEMA shop; CREATE TABLE shop.t (n int); INSERT INTO shop.t VALUES (0);
        CREATE VIEW shop.broken AS SELECT 1 / n AS n FROM shop.t;
    """)
    for _ in range(2):
        with pytest.raises(StudioWarehouseError, match="division by zero"):
            rows_of(postgres.warehouse, "broken", ["n"])
        assert rows_of(postgres.warehouse, "t", ["n"]) == [{"n": 0}]


def test_domains_are_read_as_what_they_are_made_of(postgres: Studio) -> None:
    postgres.execute("""
        CREATE SCHEMA shop;
        CREATE DOMAIN shop.happened AS timestamptz NOT NULL;
        CREATE DOMAIN shop.bought AS shop.happened;
        CREATE DOMAIN shop.money AS numeric(10, 2);
        CREATE DOMAIN shop.short AS varchar(9);
        CREATE TABLE shop.t (at shop.bought, price shop.money, note shop.short);
        INSERT INTO shop.t VALUES ('2026-01-01 00:10+00', 4.99, 'a');
    """)
    found = postgres.warehouse.discover("shop").select("column", "type").rows()
    assert found == [
        ("at", "timestamp with time zone"),
        ("price", "numeric(10,2)"),
        ("note", "character varying(9)"),
    ]
    at = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
    assert rows_of(postgres.warehouse, "t", ["at", "price", "note"]) == [
        {"at": at, "price": "4.99", "note": "a"}
    ]
    window = Window(Time(column="at"), at, None)
    assert postgres.warehouse.count("shop", "t", window) == 1


def test_a_key_is_what_its_constraint_says(postgres: Studio) -> None:
    postgres.execute("""
        CREATE SCHEMA shop;
        CREATE TABLE shop.t (id bigint, status text, n int, PRIMARY KEY (id) INCLUDE (status));
        CREATE TABLE shop.u (b int, a int, PRIMARY KEY (a, b));
    """)
    found = postgres.warehouse.discover("shop").select("table", "column", "is_key").rows()
    assert found == [
        ("t", "id", True), ("t", "status", False), ("t", "n", False),
        ("u", "b", True), ("u", "a", True),
    ]  # fmt: skip


def test_what_a_role_may_write_and_what_is_hidden_from_it(
    postgres_server: PostgresServer, postgres: Studio
) -> None:
    postgres.execute("""
        CREATE SCHEMA shop;
        CREATE TABLE shop.open (a int, secret int); CREATE TABLE shop.writable (a int);
        CREATE TABLE shop.filtered (a int); CREATE TABLE shop.shut (a int);
        CREATE TABLE shop.child () INHERITS (shop.open);
        CREATE VIEW shop.v AS SELECT o.a FROM shop.open o, shop.writable;
        ALTER TABLE shop.filtered ENABLE ROW LEVEL SECURITY;
        ALTER TABLE shop.shut ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON shop.filtered USING (a > 1);
        CREATE POLICY w ON shop.shut FOR INSERT WITH CHECK (true);
        INSERT INTO shop.filtered VALUES (1), (2); INSERT INTO shop.shut VALUES (1);
        INSERT INTO shop.open VALUES (1, 2);
        DROP ROLE IF EXISTS peeker; CREATE ROLE peeker LOGIN PASSWORD 'r';
        GRANT USAGE ON SCHEMA shop TO peeker;
        GRANT SELECT ON shop.filtered, shop.shut, shop.writable TO peeker;
        GRANT SELECT (a) ON shop.open TO peeker; GRANT UPDATE ON shop.writable TO peeker;
    """)
    database = str(postgres.warehouse._dsn).split("?")[0].rsplit("/", 1)[1]  # type: ignore[attr-defined]
    place = f"{postgres_server.host}:{postgres_server.port}/{database}"
    reader = opened(f"postgresql://peeker:r@{place}")
    open_ = ("shop", "open")
    assert reader.traits("shop") == SchemaTraits(
        role="peeker",
        writable=("writable",),
        hidden={"filtered": "some", "shut": "none"},
        parents={"child": frozenset({open_}), "v": frozenset({open_, ("shop", "writable")})},
    )
    assert reader.sample("shop", "open").to_dict(as_series=False) == {"a": ["1"]}
    owner = postgres.warehouse.traits("shop")
    assert set(owner.writable) >= {"open", "shut", "writable"}
    assert owner.hidden == {}
    reader.close()
    postgres.execute("DROP OWNED BY peeker; DROP ROLE peeker;")


def test_no_address_is_said_whatever_its_password(postgres_server: PostgresServer) -> None:
    """The real driver: a password that is escaped works, one that is not is not repeated."""
    with psycopg2.connect(postgres_server.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS odd; CREATE ROLE odd LOGIN PASSWORD 'Pl4nted/@:%[ ?#'")
    at = f"{postgres_server.host}:{postgres_server.port}/postgres"
    good = opened(f"postgresql://odd:Pl4nted%2F%40%3A%25%5B%20%3F%23@{at}")
    assert "public" in good.schemas()
    good.close()
    for password in (
        "Pl4nted/Wr0ng",
        "Pl4nted@Wr0ng",
        "Pl4nted%zzWr0ng",
        "Pl4nted Wr0ng",
        "Pl4nted",
    ):
        for dsn in (
            f"postgresql://odd:{password}@{at}",
            f"postgresql:/odd:{password}@{at}",
            f"host={postgres_server.host} port={password} user=odd",
            f"host={postgres_server.host} port={postgres_server.port} user=odd password={password}",
            f"postgresql://odd:x@{at}?sslmode={password}",
        ):
            with pytest.raises(StudioWarehouseError) as error:
                opened(dsn).schemas()
            assert "Pl4nted" not in repr(error.value)
            assert "Wr0ng" not in repr(error.value)
