"""SQL over the lake reads what it names and no more, writes nothing, and says what it refuses."""

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.lake_query import Bounds, QueryError, lake_tables, run_query
from kpi_platform.storage.local_servers.local_s3 import S3Server

DAY = pl.DataFrame({"date": [date(2026, 1, 1), date(2026, 1, 2)], "dau": [5, 6]})


def ask(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    """The rows that a query gives."""
    with run_query(lake, sql) as result:
        return result.fetchall()


def _ledger(lake: Lake, days: Sequence[int]) -> None:
    """One ledger row of each of these days of January."""
    for day in days:
        values: dict[str, object] = {"p_ingest_date_utc": date(2026, 1, day), "source": "s"}
        filled = {"status": "processed", "fingerprint": "f"} | values
        schema = TABLES["hour_ledger"].polars_schema
        row = {n: filled.get(n, 1 if t.is_integer() else None) for n, t in schema.items()}
        lake.append("hour_ledger", pl.DataFrame([row], schema=schema))


def test_tables_of_both_kinds_are_joined_by_name(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.publish("kpi_daily", DAY, None)
    _ledger(lake, [1, 2])
    sql = "select dau, rows from kpi_daily join hour_ledger on p_ingest_date_utc = date order by 1"
    assert ask(lake, sql) == [(5, 1), (6, 1)]
    assert ask(lake, "select sum(dau) from published.kpi_daily") == [(11,)]
    assert ask(lake, "pivot kpi_daily on date using sum(dau)") == [(5, 6)]
    assert lake_tables(lake) == {"published": ["kpi_daily"], "lake": ["hour_ledger"]}


def test_published_goes_before_the_lake(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    write_deltalake(str(tmp_path / "twice"), pl.DataFrame({"x": [1]}))
    lake.publish("twice", pl.DataFrame({"x": [2]}), None)
    assert ask(lake, "from twice") == [(2,)]
    assert ask(lake, "from lake.twice") == [(1,)]


def test_tables_that_are_not_named_are_not_opened(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.publish("kpi_daily", DAY, None)
    lake.publish("kpi_hourly", DAY, None)
    for log in (tmp_path / "published/kpi_hourly/_delta_log").iterdir():
        log.write_text("this is no log")
    assert ask(lake, "select count(*) from kpi_daily") == [(2,)]


def test_a_filter_on_a_partition_reads_its_files_only(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    _ledger(lake, [1, 2, 3])
    (file,) = (tmp_path / "hour_ledger" / "p_ingest_date_utc=2026-01-02").glob("*.parquet")
    file.write_bytes(b"no parquet" * 100)
    sql = "select sum(rows) from hour_ledger where p_ingest_date_utc = '2026-01-01'"
    assert ask(lake, sql) == [(1,)]
    with pytest.raises(QueryError):
        ask(lake, "select sum(rows) from hour_ledger")


def test_a_filter_on_one_player_reads_a_sliver(tmp_path: Path) -> None:
    """The bytes of every other row group are destroyed, and nobody notices."""
    lake = Lake(str(tmp_path))
    players = pl.DataFrame({"player_id": [f"P{n:05}" for n in range(40_000)]})
    folder = tmp_path / "published" / "players"
    lake.publish("players", players.head(1), None)
    (file,) = folder.glob("*.parquet")
    players.write_parquet(file, row_group_size=4000, compression="uncompressed")
    wanted = file.read_bytes().index(b"P20001")
    content = bytearray(file.read_bytes())
    content[4 : wanted - 40_000] = bytes(wanted - 40_004)
    file.write_bytes(content)
    assert ask(lake, "from players where player_id = 'P20001'") == [("P20001",)]
    with pytest.raises(QueryError):
        ask(lake, "select max(player_id) from players where player_id like '%0'")


def test_files_of_an_earlier_release_lack_columns(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    place = str(tmp_path / "old")
    write_deltalake(place, pl.DataFrame({"a": [1]}))
    write_deltalake(place, pl.DataFrame({"a": [2], "b": [3]}), mode="append", schema_mode="merge")
    assert ask(lake, "select a, b from old order by a") == [(1, None), (2, 3)]


def test_an_empty_table_has_columns(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    row = {"batch_id": "b", "player_id": "p"}
    lake.append("history_queue", pl.DataFrame([row], TABLES["history_queue"].polars_schema))
    lake.delete("history_queue", "batch_id = 'b'")
    assert ask(lake, "select batch_id, player_id from history_queue") == []


def test_names_and_values_with_quotes_are_data(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "it's a lake"))
    lake.publish("odd", pl.DataFrame({"a \"b'": ["x'; drop table odd; --"]}), None)
    assert ask(lake, "from odd") == [("x'; drop table odd; --",)]


def test_dim_player_is_the_history_without_its_timeline(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    schema = TABLES["user_version_history"].polars_schema
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = pl.DataFrame(
        [("p", "1.9", "deck", "C", at, at, 1, [], at.date())], schema=schema, orient="row"
    )
    lake.append("user_version_history", rows)
    assert ask(lake, "select player_id, current_version, version_count from dim_player") == [
        ("p", "1.9", 1)
    ]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("from nope", "there is no table 'nope'; there are: kpi_daily"),
        ("from '/etc/passwd'", "there is no table"),
        ("from read_csv('/etc/passwd')", "Permission Error"),
        ("from glob('/etc/*')", "Permission Error"),
        ("copy kpi_daily to 'x.csv'", "only reads"),
        ("explain analyze copy (select 1) to 'x.csv'", "only reads"),
        ("copy (pivot kpi_daily on date using sum(dau)) to 'x.csv'", "only reads"),
        ("create table x as select 1", "only reads"),
        ("attach 'x.db'", "only reads"),
        ("set enable_external_access = true", "only reads"),
        ("select 1; select 2", "only reads"),
        ("", "only reads"),
        ("selec 1", "syntax error"),
        ("select nope from kpi_daily", "nope"),
        ("select 1::varchar::date from kpi_daily", "Conversion Error"),
    ],
)
def test_what_it_refuses_it_says_in_one_line(tmp_path: Path, sql: str, said: str) -> None:
    lake = Lake(str(tmp_path))
    lake.publish("kpi_daily", DAY, None)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(QueryError, match=said) as error:
        ask(lake, sql)
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_same_on_s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    lake = Lake(f"{s3_server.create_bucket('lake-query')}/a/lake")
    lake.publish("kpi_daily", DAY, None)
    _ledger(lake, [1, 2, 3])
    sql = "select dau from kpi_daily join lake.hour_ledger on p_ingest_date_utc = date order by 1"
    assert ask(lake, sql) == [(5,), (6,)]
    assert lake_tables(lake) == {"published": ["kpi_daily"], "lake": ["hour_ledger"]}
    with pytest.raises(QueryError, match="there are: hour_ledger, kpi_daily"):
        ask(lake, "from nope")
    with pytest.raises(QueryError, match="Permission"):
        ask(lake, "from read_parquet('s3://another/x.parquet')")


@pytest.mark.parametrize(
    ("sql", "bounds", "setting"),
    [
        ("select count(*) from range(10000000000000) a", Bounds("1GB", 0.3), "KPI_QUERY_SECONDS"),
        (
            "select a.range, b.range from range(10000000) a, range(100000) b order by all",
            Bounds("60MB", 60),
            "KPI_QUERY_MEMORY",
        ),
    ],
)
def test_a_query_is_stopped_at_its_bounds(
    tmp_path: Path, sql: str, bounds: Bounds, setting: str
) -> None:
    started = time.monotonic()
    with (
        pytest.raises(QueryError, match=setting),
        run_query(Lake(str(tmp_path)), sql, bounds) as rows,
    ):
        rows.fetchall()
    assert time.monotonic() - started < 30
