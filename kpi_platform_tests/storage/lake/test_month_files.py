"""Published tables lie by months: a day's change writes its month, and the rows are the mart's."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.storage.lake.delta.lake_files import files_of
from kpi_platform.storage.lake.delta.month_files import MonthFiles
from kpi_platform.storage.lake.lake import Lake, open_store
from kpi_platform.storage.lake.maintenance import maintain

FIRST = date(2025, 1, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(0, 400, 5)]


def _mart(values: dict[date, int]) -> pl.DataFrame:
    """Two rows a day, with what has tripped writers before: nulls, floats that are none, lists."""
    rows = [
        (day, game, datetime(day.year, day.month, day.day, 23, 59, 59, 999_999, UTC), value, share)
        for day, value in values.items()
        for game, share in (("it's ü", float("nan")), (None, None))
    ]
    schema = {
        "date": pl.Date,
        "game": pl.String,
        "at": pl.Datetime("us", "UTC"),
        "value": pl.Int64,
        "share": pl.Float64,
    }
    return pl.DataFrame(rows, schema, orient="row").with_columns(days=pl.concat_list("date"))


def _starts(days: list[date]) -> list[datetime]:
    return [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days]


def _publish(lake: Lake, values: dict[date, int], changed: list[date] | None) -> int:
    rows = _mart(values)
    if changed is not None:
        rows = rows.filter(pl.col("date").is_in(changed))
    starts = None if changed is None else _starts(changed)
    return lake.publish_periods("kpi_daily", "date", rows, starts, {"moment": len(values)})


def _rows(lake: Lake) -> pl.DataFrame:
    rows = lake.published("kpi_daily")
    assert rows is not None
    return rows.collect().sort("date", "game")


def _files(lake: Lake) -> pl.DataFrame:
    return files_of(DeltaTable(lake.path("published/kpi_daily")))


def _months(lake: Lake) -> pl.DataFrame:
    return _files(lake).select(
        "path",
        first=pl.col("min.date").dt.month_start(),
        last=pl.col("max.date").dt.month_start(),
    )


def test_a_day_writes_its_month_and_leaves_the_others_files_alone(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    values = dict.fromkeys(DAYS, 1)
    _publish(lake, values, None)
    assert _files(lake).height == 1
    # The first change takes the table of an earlier release, all in one file, over.
    values[DAYS[30]] = 2
    _publish(lake, values, [DAYS[30]])
    before = _months(lake)
    assert before["first"].n_unique() == before.height == 13
    assert before["first"].equals(before["last"], check_names=False)
    values[DAYS[50]] = 3
    version = _publish(lake, values, [DAYS[50]])
    after = _months(lake)
    come = after.join(before, on="path", how="anti")
    assert come["first"].to_list() == [DAYS[50].replace(day=1)]
    assert after.height == before.height
    assert _rows(lake).equals(_mart(values).sort("date", "game"))
    assert lake.published_stamp("kpi_daily", "moment") == len(values)
    assert DeltaTable(lake.path("published/kpi_daily")).version() == version


CHANGE = st.dictionaries(st.sampled_from(DAYS), st.none() | st.integers(0, 9), max_size=4)


@settings(max_examples=12, deadline=None)
@given(st.lists(CHANGE, max_size=4), st.booleans())
def test_whatever_changes_the_table_is_the_mart(
    tmp_path_factory: pytest.TempPathFactory, changes: list[dict[date, int | None]], is_old: bool
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    values = dict.fromkeys(DAYS[:30], 0)
    _publish(lake, values, None)
    if not is_old:
        _publish(lake, values, None)
    for change in changes:
        values = {d: v for d, v in ({**values, **change}).items() if v is not None}
        if change:
            _publish(lake, values, list(change))
    assert _rows(lake).equals(_mart(values).sort("date", "game"))


def test_other_engines_read_it_and_upkeep_leaves_it_by_months(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    values = dict.fromkeys(DAYS, 1)
    _publish(lake, values, None)
    _publish(lake, values, DAYS[:1])
    files = _files(lake).height
    path = lake.path("published/kpi_daily")
    DeltaTable(path).create_checkpoint()
    for done in maintain(lake, timedelta(hours=1)):
        assert not done.error
    assert _files(lake).height == files
    old, new = (pl.read_delta(path, version=version) for version in (0, 1))
    assert old.sort("date", "game").equals(new.sort("date", "game"))
    uris = DeltaTable(path).file_uris()
    assert duckdb.read_parquet(uris).shape[0] == 2 * len(DAYS)
    # An instant is found by what the log says of its file, which knows milliseconds only.
    last = datetime(DAYS[-1].year, DAYS[-1].month, DAYS[-1].day, 23, 59, 59, 999_999, UTC)
    assert pl.scan_delta(path).filter(pl.col("at") == last).collect().height == 2
    write_deltalake(path, new.to_arrow(), mode="append")
    assert pl.read_delta(path).height == 4 * len(DAYS)


def test_a_commit_that_another_writer_overtook_is_made_anew(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    _publish(lake, dict.fromkeys(DAYS, 1), None)
    path = lake.path("published/kpi_daily")
    files = MonthFiles(open_store(path), path, "date")
    seen = DeltaTable(path)
    _publish(lake, dict.fromkeys(DAYS, 2), DAYS[:1])
    with pytest.raises(CommitFailedError):
        files.replace(seen, _mart({DAYS[1]: 3}), _starts([DAYS[1]]), {})
    values = {**dict.fromkeys(DAYS, 1), DAYS[0]: 2}
    assert _rows(lake).equals(_mart(values).sort("date", "game"))
