"""Reading windows of a studio's tables: on a real PostgreSQL, and on DuckDB."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.schemas.sources_file.source_values import Time
from kpi_platform.storage.studio_databases import TerminalWarehouseError, Window, sql
from kpi_platform_tests.storage.studio_databases.conftest import Studio, duckdb_studio

HOUR = timedelta(hours=1)
FIVE = datetime(2026, 1, 1, 5, tzinfo=UTC)


def read(studio: Studio, table: str, columns: list[str], window: Window | None) -> pl.DataFrame:
    batches = list(studio.warehouse.read_window("s", table, columns, window))
    assert batches
    frame = pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in batches])
    assert studio.warehouse.count("s", table, window) == frame.height
    return frame


def ids(studio: Studio, time: Time, start: datetime | None, end: datetime | None) -> list[int]:
    return sorted(read(studio, "t", ["id"], Window(time, start, end))["id"])


def test_a_window_takes_its_rows_and_the_first_takes_everything_older(studio: Studio) -> None:
    studio.execute("""
        CREATE SCHEMA s;
        CREATE TABLE s.t (id int, "at" timestamp);
        INSERT INTO s.t VALUES (1, '1970-01-01'), (2, '2026-01-01 04:59:59.999999'),
          (3, '2026-01-01 05:00:00'), (4, '2026-01-01 05:59:59.999999'), (5, '2026-01-01 06:00'),
          (6, '2099-01-01'), (7, NULL), (8, 'infinity'), (9, '-infinity');
    """)
    at = Time(column="at")
    assert ids(studio, at, FIVE, FIVE + HOUR) == [3, 4]
    assert ids(studio, at, None, FIVE) == [1, 2, 7, 9]
    assert ids(studio, at, FIVE + HOUR, None) == [5, 6, 8]
    assert ids(studio, at, None, None) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("type_name", "five", "unit"),
    [
        ("timestamptz", "'2026-01-01 07:00:00+02'", Time(column="at")),
        ("bigint", "1767243600", Time(column="at", unit="epoch_s")),
        ("double precision", "1767243600.0", Time(column="at", unit="epoch_s")),
        ("bigint", "1767243600000", Time(column="at", unit="epoch_ms")),
        ("decimal(20,0)", "1767243600000000", Time(column="at", unit="epoch_us")),
        ("varchar(30)", "'2026-01-01T05:00:00Z'", Time(column="at", unit="text")),
        (
            "text",
            "'2026/01/01 06:00'",
            Time(column="at", unit="text", format="%Y/%m/%d %H:%M", zone="Europe/Berlin"),
        ),
        ("timestamp", "'2026-01-01 00:00:00'", Time(column="at", zone="America/New_York")),
    ],
)
def test_every_unit_of_time(studio: Studio, type_name: str, five: str, unit: Time) -> None:
    studio.execute(f"""
        CREATE SCHEMA s;
        CREATE TABLE s.t (id int, "at" {type_name});
        INSERT INTO s.t VALUES (1, {five});
    """)
    assert ids(studio, unit, FIVE, FIVE + HOUR) == [1]
    assert ids(studio, unit, FIVE - HOUR, FIVE) == []
    assert ids(studio, unit, FIVE + HOUR, FIVE + 2 * HOUR) == []


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/New_York"])
def test_every_local_time_of_a_year_is_of_exactly_one_hour(zone: str) -> None:
    """Also those that the clock shows twice or never: an hour ends where the next begins, and the
    bounds never go back."""
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + n * HOUR for n in range(365 * 24)]

    def bound(start: datetime | None, end: datetime | None) -> str:
        window = Window(Time(column="at", zone=zone), start, end)
        (found,) = re.findall("'(.*?)'", sql.count("s", "t", {"at": "timestamp"}, window))
        return found

    ends, starts = [bound(None, hour) for hour in hours], [bound(hour, None) for hour in hours]
    assert starts == ends == sorted(starts)


def test_a_date_is_read_with_every_hour_of_its_day(studio: Studio) -> None:
    studio.execute("""
        CREATE SCHEMA s;
        CREATE TABLE s.t (id int, "at" date);
        INSERT INTO s.t VALUES (1, '2026-01-01'), (2, '2026-01-02');
    """)
    day = Time(column="at", unit="date")
    assert ids(studio, day, FIVE, FIVE + HOUR) == [1]
    assert ids(studio, day, FIVE + 18 * HOUR, FIVE + 19 * HOUR) == [1]
    assert ids(studio, day, FIVE + 19 * HOUR, FIVE + 20 * HOUR) == [2]
    berlin = Time(column="at", unit="date", zone="Europe/Berlin")
    assert ids(studio, berlin, FIVE + 18 * HOUR, FIVE + 19 * HOUR) == [2]


def test_names_from_outside_are_only_names(studio: Studio) -> None:
    schema, table, column = '"; drop table x; --', "Käufe 'n' \"💰\" select", 'from "now" %s {} \\'
    names = ['"' + name.replace('"', '""') + '"' for name in (schema, table, column)]
    studio.execute("CREATE SCHEMA s; CREATE TABLE s.x (a int);".replace("%", "%%"))
    studio.execute(
        f"CREATE SCHEMA {names[0]}; CREATE TABLE {names[0]}.{names[1]} ({names[2]} int, "
        f'"order" int, "Order" int);'
    ) if studio.kind == "postgres" else studio.execute(
        f"CREATE SCHEMA {names[0]}; CREATE TABLE {names[0]}.{names[1]} ({names[2]} int, "
        f'"order" int, "Order 2" int);'
    )
    warehouse = studio.warehouse
    assert schema in warehouse.schemas()
    found = warehouse.discover(schema)
    assert found["table"].unique().to_list() == [table]
    assert column in found["column"]
    (batch,) = warehouse.read_window(schema, table, found["column"].to_list(), None)
    assert batch.num_rows == 0
    assert batch.schema.names == found["column"].to_list()
    assert warehouse.sample(schema, table).columns == found["column"].to_list()
    assert warehouse.discover("s")["table"].to_list() == ["x"]


def test_a_schema_called_as_its_database_is(tmp_path: Path) -> None:
    studio = duckdb_studio(tmp_path)
    studio.execute("CREATE SCHEMA studio; CREATE TABLE studio.studio.events AS SELECT 1 AS n")
    (batch,) = studio.warehouse.read_window("studio", "events", ["n"], None)
    assert batch.to_pydict() == {"n": [1]}
    assert studio.warehouse.count("studio", "events", None) == 1
    assert studio.warehouse.sample("studio", "events")["n"].to_list() == ["1"]


def test_what_arrow_cannot_hold_comes_as_text(studio: Studio) -> None:
    studio.execute(
        """
        CREATE SCHEMA s;
        CREATE TABLE s.t (n numeric(38, 4), u uuid, j json, a int[], b boolean, ti time, d date,
                          f double precision, iv interval, c char(5), i smallint);
        INSERT INTO s.t VALUES ('12345678901234567890.1234',
          'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1, "ü"]}', '{1,2}', true, '01:02:03',
          '2026-01-01', 'NaN', '1 day', 'x', -7);
    """.replace("'{1,2}'", "'{1,2}'" if studio.kind == "postgres" else "[1, 2]")
    )
    columns = studio.warehouse.discover("s")["column"].to_list()
    row = read(studio, "t", columns, None).row(0, named=True)
    assert row.pop("f") != row.get("f")
    assert row.pop("c").strip() == "x"
    row["a"] = re.sub(r"\s", "", row["a"])
    assert row == {
        "n": "12345678901234567890.1234",
        "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "j": '{"a": [1, "ü"]}',
        "a": "[1,2]",
        "b": True,
        "ti": "01:02:03",
        "d": datetime(2026, 1, 1, tzinfo=UTC).date(),
        "iv": "1 day",
        "i": -7,
    }


def test_times_that_no_calendar_has_are_null(studio: Studio) -> None:
    studio.execute("""
        CREATE SCHEMA s;
        CREATE TABLE s.t (a timestamp, b timestamptz, c date);
        INSERT INTO s.t VALUES ('infinity', '-infinity', 'infinity'),
          ('2026-01-01 01:00', '2026-01-01 01:00+00', '2026-01-01');
    """)
    rows = read(studio, "t", ["a", "b", "c"], None)
    assert rows.null_count().row(0) == (1, 1, 1)
    assert rows.schema["b"] == pl.Datetime("us", "UTC")
    assert rows["a"][1] == datetime(2026, 1, 1, 1)  # noqa: DTZ001 - local time of the studio


def test_numbers_that_are_none_come_as_they_are(studio: Studio) -> None:
    studio.execute("""
        CREATE SCHEMA s;
        CREATE TABLE s.t (a text, f double precision);
        INSERT INTO s.t VALUES ('1e400', 'Infinity'), ('-5', '-Infinity');
    """)
    assert read(studio, "t", ["a", "f"], None).rows() == [
        ("1e400", float("inf")),
        ("-5", float("-inf")),
    ]


def test_an_empty_table_and_an_empty_schema(studio: Studio) -> None:
    studio.execute("CREATE SCHEMA s; CREATE TABLE s.t (a int, b text);")
    assert read(studio, "t", ["b", "a"], None).schema == {"b": pl.String, "a": pl.Int32}
    studio.execute("CREATE SCHEMA empty;")
    assert studio.warehouse.discover("empty").is_empty()
    assert studio.warehouse.discover("nowhere").is_empty()


def test_sixteen_hundred_columns(studio: Studio) -> None:
    columns = [f"column_{n}" for n in range(1600)]
    studio.execute(f"""
        CREATE SCHEMA s;
        CREATE TABLE s.t ({", ".join(f"{c} int" for c in columns)});
        INSERT INTO s.t ({columns[0]}) VALUES (1), (2);
    """)
    assert studio.warehouse.discover("s").height == 1600
    rows = read(studio, "t", columns, None)
    assert rows.shape == (2, 1600)
    assert rows[columns[0]].to_list() == [1, 2]


def test_texts_of_four_thousand_characters_and_none(studio: Studio) -> None:
    studio.execute("""
        CREATE SCHEMA s;
        CREATE TABLE s.t AS SELECT repeat('x', 4096) AS player UNION ALL SELECT ''
          UNION ALL SELECT NULL;
    """)
    rows = read(studio, "t", ["player"], None)["player"].to_list()
    assert sorted(len(row) if row is not None else -1 for row in rows) == [-1, 0, 4096]


def test_a_table_dropped_since_discovery(studio: Studio) -> None:
    studio.execute("CREATE SCHEMA s; CREATE TABLE s.t (a int);")
    assert studio.warehouse.discover("s").height == 1
    studio.execute("DROP TABLE s.t;")
    with pytest.raises(TerminalWarehouseError, match=r"^table t is not in schema s$"):
        list(studio.warehouse.read_window("s", "t", ["a"], None))


def test_a_column_dropped_since_discovery(studio: Studio) -> None:
    studio.execute("CREATE SCHEMA s; CREATE TABLE s.t (a int, b int);")
    studio.execute("ALTER TABLE s.t DROP COLUMN a;")
    with pytest.raises(TerminalWarehouseError, match=r"^table t: no column a$"):
        list(studio.warehouse.read_window("s", "t", ["a", "b"], None))


def test_a_column_that_changed_its_type_between_two_windows(studio: Studio) -> None:
    studio.execute("CREATE SCHEMA s; CREATE TABLE s.t (a int); INSERT INTO s.t VALUES (1);")
    assert read(studio, "t", ["a"], None)["a"].to_list() == [1]
    studio.execute("ALTER TABLE s.t ALTER COLUMN a TYPE text;")
    assert read(studio, "t", ["a"], None)["a"].to_list() == ["1"]


def test_a_watermark_that_changed_its_type_is_named(studio: Studio) -> None:
    studio.execute('CREATE SCHEMA s; CREATE TABLE s.t ("at" text);')
    window = Window(Time(column="at"), FIVE, FIVE + HOUR)
    with pytest.raises(TerminalWarehouseError, match=r"watermark at is .* cannot be read as unit"):
        list(studio.warehouse.read_window("s", "t", ["at"], window))


def test_keys_and_views_are_told(studio: Studio) -> None:
    studio.execute("""
        CREATE SCHEMA s;
        CREATE TABLE s.t (b int NOT NULL, a int, c text, PRIMARY KEY (b, a));
        CREATE VIEW s.v AS SELECT c FROM s.t;
    """)
    rows = studio.warehouse.discover("s").select("table", "kind", "column", "is_key").rows()
    assert rows == [
        ("t", "table", "b", True),
        ("t", "table", "a", True),
        ("t", "table", "c", False),
        ("v", "view", "c", False),
    ]
