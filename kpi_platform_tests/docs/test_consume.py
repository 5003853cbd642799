"""The SQL of docs/consume.md: DuckDB's is run on a lake, the others are parsed and equal it."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlglot

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake import Lake
from kpi_platform.storage.lake_query import run_query

PAGE = (Path(__file__).parents[2] / "docs" / "consume.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```sql (duckdb|redshift|spark)\n(.*?)```", PAGE, re.DOTALL))
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
        ("p", "Client", "deck", "1.9", START, START + 5 * HOUR, START.date()),
        ("p", "Client", "deck", "1.10", START + 5 * HOUR, None, START.date()),
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
