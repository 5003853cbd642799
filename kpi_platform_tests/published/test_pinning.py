"""The documented lines that pin the last complete publication do."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl

from kpi_platform.published.publish import Publication, publication_rows, publish
from kpi_platform.storage.kpi_database.marts import EmbeddedMarts
from kpi_platform.storage.lake.complete_lake import CompleteLake
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.lake_query import run_query

PAGE = Path(__file__).parents[2] / "docs" / "completeness.md"
DAILY = Publication("kpi_daily", "date", "date")


def test_the_documented_lines_read_what_was_complete(tmp_path: Path) -> None:
    lake, con = Lake(str(tmp_path)), duckdb.connect()
    con.execute("create schema marts")
    con.execute(
        "create table marts.kpi_daily as from (values (date '2026-01-01', 5, true),"
        " (date '2026-01-02', 6, false)) t(date, dau, is_complete)"
    )
    done = publish(lake, EmbeddedMarts(con), [DAILY], {})
    lake.add_published("publications", publication_rows(done, datetime(2026, 1, 3, tzinfo=UTC)))
    # A version that the books do not know yet, as between the two steps of a publication.
    con.execute("update marts.kpi_daily set dau = 50")
    publish(lake, EmbeddedMarts(con), [DAILY], {"*": []})

    sql = "select date, dau from kpi_daily"
    with run_query(CompleteLake(str(tmp_path)), sql) as result:
        assert result.fetchall() == [(date(2026, 1, 1), 5)]
    with run_query(lake, sql) as result:
        assert len(result.fetchall()) == 2

    [lines] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, object] = {"pl": pl, "lake": str(tmp_path)}
    exec(lines, names)

    days = names["days"]
    assert isinstance(days, pl.DataFrame)
    assert days.select("date", "dau").rows() == [(date(2026, 1, 1), 5)]


def test_what_was_never_complete_has_no_rows_and_what_has_no_periods_has_all(
    tmp_path: Path,
) -> None:
    lake = Lake(str(tmp_path))
    day = pl.DataFrame({"date": [date(2026, 1, 1)], "dau": [5], "is_complete": [False]})
    lake.publish("kpi_daily", day, None)
    lake.publish("dim_device", pl.DataFrame({"device": ["PC"]}), None)
    for sql, rows in (("from kpi_daily", 0), ("from dim_device", 1)):
        with run_query(CompleteLake(str(tmp_path)), sql) as result:
            assert len(result.fetchall()) == rows, sql
