"""Every table can be read by every reader of docs/consume.md, with filters, whatever wrote it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.delta.delta_writes import arrow_schema, arrow_stream
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.lake_query import run_query
from kpi_platform.storage.lake.maintenance import maintain

AT = datetime(2026, 1, 2, 3, tzinfo=UTC)
PUBLISHED = "published/kpi_values"


def _value(dtype: pl.DataType, number: int) -> object:
    """A value of any type that a contract has."""
    match dtype:
        case pl.String():
            return f"text_{number}"
        case pl.Boolean():
            return number % 2 == 0
        case pl.Date():
            return date(2026, 1, 2)
        case pl.Datetime():
            return AT
        case pl.List(inner=inner):
            return [_value(pl.Struct(inner.to_schema()), number)] if inner.is_nested() else []
        case pl.Struct():
            return {name: _value(of, number) for name, of in pl.Schema(dtype.to_schema()).items()}
        case _:
            return number


def _rows(table: str, *numbers: int) -> pl.DataFrame:
    """Rows of one partition that differ in everything else."""
    contract = TABLES[table]
    schema = contract.polars_schema
    rows = [
        [_value(of, 1 if name in contract.partition_by else n) for name, of in schema.items()]
        for n in numbers
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _text(table: str) -> str | None:
    """A column of texts that tells rows apart."""
    contract = TABLES[table]
    texts = (n for n, of in contract.polars_schema.items() if of == pl.String)
    return next((name for name in texts if name not in contract.partition_by), None)


def _one(table: str, number: int) -> str:
    column = _text(table)
    if column is not None:
        return f"{column} = 'text_{number}'"
    schema = TABLES[table].polars_schema
    for name, of in schema.items():
        if of == pl.Int64:
            return f"{name} = {number}"
    # Of days alone.
    (day,) = (name for name, of in schema.items() if of == pl.Date)
    return f"{day} = '{_value(schema[day], number)}'"


def _written(lake: Lake, table: str) -> Iterator[str]:
    """Write a table in every way there is; yields the name of the way after each."""
    lake.append(table, _rows(table, 1, 2, 3))
    yield "append"
    lake.replace(table, _rows(table, 3), _one(table, 3))
    yield "replace some"
    lake.delete(table, _one(table, 2))
    yield "delete some"
    # Tables in one piece are replaced, never changed by key.
    if TABLES[table].keys and TABLES[table].partition_by:
        lake.apply_changes(table, _rows(table, 1, 4, 5), _rows(table, 3))
        yield "change by key"
    for number in range(6, 11):
        lake.append(table, _rows(table, number))
    assert not [done.error for done in maintain(lake, timedelta(hours=1)) if done.error]
    yield "upkeep"
    lake.replace(table, _rows(table, 1, 4), "true")
    yield "replace all"


def _published(lake: Lake) -> Iterator[str]:
    rows = pl.DataFrame({"kpi": ["dau", "mau"], "day": [AT.date()] * 2, "value": [1.0, 2.0]})
    lake.publish("kpi_values", rows, None)
    yield "publish"
    lake.publish("kpi_values", rows.head(1), "kpi = 'dau'")
    yield "publish some"
    lake.add_published("kpi_values", rows)
    yield "add"


def _types(of: pa.DataType) -> Iterator[pa.DataType]:
    yield of
    for number in range(of.num_fields):
        yield from _types(of.field(number).type)


def _files(lake: Lake, table: str) -> list[Path]:
    return sorted(Path(lake.path(table)).glob("**/*.parquet"))


def _unreadable(lake: Lake, table: str) -> set[str]:
    """The types in a table's files that pyarrow cannot filter, or that other files do not have."""
    fields = (field for file in _files(lake, table) for field in pq.read_schema(file))
    types = {str(of) for field in fields for of in _types(field.type)}
    return {name for name in types if "view" in name or "large" in name}


def _filtered_by_pyarrow(lake: Lake, table: str, column: str, value: str) -> int:
    """What `pq.read_table(filters)`, `sort_by`, `group_by` and `join` make of current files."""
    snapshot = lake.open(table)
    assert snapshot is not None
    paths = [f"{lake.path(table)}/{name}" for name in _current(lake, table)]
    rows = pq.read_table(paths, filters=[(column, "=", value)], partitioning=None)
    everything = pq.read_table(paths, partitioning=None).sort_by(column)
    counts = everything.group_by(column).aggregate([([], "count_all")])
    assert counts.join(rows.select([column]), column, join_type="inner").num_rows == rows.num_rows
    assert everything.filter(pc.field(column) == value).num_rows == rows.num_rows
    return rows.num_rows


def _current(lake: Lake, table: str) -> list[str]:
    snapshot = lake.open(table)
    assert snapshot is not None
    return [unquote(path) for path in pl.DataFrame(snapshot.get_add_actions())["path"]]


@pytest.mark.parametrize("table", [*TABLES, PUBLISHED])
def test_every_reader_filters_every_table_after_every_kind_of_write(
    table: str, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path))
    is_published = table == PUBLISHED
    column, value = ("kpi", "dau") if is_published else (_text(table), "text_1")
    for way in _published(lake) if is_published else _written(lake, table):
        assert _unreadable(lake, table) == set(), way
        if column is None:
            continue
        wanted = pl.col(column) == value
        by_polars = pl.read_delta(lake.path(table)).filter(wanted)
        assert by_polars.height >= 1, way
        assert pl.scan_delta(lake.path(table)).filter(wanted).collect().height == by_polars.height
        assert _filtered_by_pyarrow(lake, table, column, value) == by_polars.height, way
        name = table.removeprefix("published/")
        with run_query(lake, f"from {name} where {column} = '{value}'") as rows:
            assert len(rows.fetchall()) == by_polars.height, way


_DELTALAKE = """
import json, os, sys
from deltalake import DeltaTable
counts = {}
for path, column, value in json.load(sys.stdin):
    filters = [(column, "=", value)]
    table = DeltaTable(path)
    found = table.to_pyarrow_table(filters=filters)
    assert table.to_pyarrow_dataset().to_table(filter=None).sort_by(column).num_rows
    counts[path] = found.num_rows
print(json.dumps(counts), flush=True)
# Leaving by way of Arrow's own threads aborts now and then, after all went well.
os._exit(0)
"""


def test_deltalake_reads_with_filters(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    asked: list[tuple[str, str, str]] = []
    for table in ("sessions", "user_version_history", "hour_ledger", "cleaned_events"):
        ways = _written(lake, table)
        while next(ways) != "delete some":
            pass
        next(ways)
        column = _text(table)
        assert column is not None
        asked.append((lake.path(table), column, "text_1"))
    done = subprocess.run(
        [sys.executable, "-c", _DELTALAKE],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {path: 1 for path, _, _ in asked}


_frames = st.lists(
    st.tuples(
        st.one_of(st.none(), st.text()),
        st.one_of(st.none(), st.binary()),
        st.lists(st.one_of(st.none(), st.text())),
    )
)


@settings(max_examples=50, deadline=None)
@given(_frames, st.integers(1, 3))
def test_a_stream_of_arrow_holds_the_rows_of_its_frames(
    rows: list[tuple[object, object, object]], parts: int
) -> None:
    schema = pl.Schema(
        {
            "text": pl.String(),
            "bytes": pl.Binary(),
            "nested": pl.List(pl.Struct({"of": pl.String()})),
        }
    )
    frame = pl.DataFrame(
        [(text, raw, [{"of": item} for item in items]) for text, raw, items in rows],
        schema=schema,
        orient="row",
    )
    frames = [frame.slice(at, parts) for at in range(0, frame.height, parts)]
    table = arrow_stream(schema, frames).read_all()
    assert table.schema == arrow_schema(schema)
    assert [str(field.type) for field in table.schema] == [
        "string",
        "binary",
        "list<element: struct<of: string>>",
    ]
    assert table.num_rows == frame.height
    assert pl.DataFrame(table).equals(frame) if frame.height else True
