"""Files of a published table that hold one month each, and replacing periods in one commit.

Belongs here: which files hold which months, the files of new rows, and the commit of both. Does
not: which rows a period has.

`write_deltalake` fills files as rows come, so that a table without partitions becomes one file,
which each change of a day writes anew whole. A partition by month would need a column that the mart
does not have. So the files are written here, and the entry of the log with them: what is added,
what is removed, and the stamps, as Delta's protocol has them.
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import BytesIO
from urllib.parse import unquote

import obstore
import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

from kpi_platform.storage.lake.delta.delta_writes import COMPRESSION, ROW_GROUP_ROWS, arrow_schema
from kpi_platform.storage.lake.delta.lake_files import files_of

_MONTH = "__month"
# Longer texts are of no use to who skips files by them.
_MOST_LETTERS = 64
_Json = dict[str, object]


@dataclass(frozen=True)
class MonthFiles:
    """The files of the table at `root`, `store` having the objects below it; `column` is the date
    or the instant (UTC) at which a row's period starts."""

    store: ObjectStore
    root: str
    column: str

    def replace(
        self,
        snapshot: DeltaTable,
        rows: pl.DataFrame,
        starts: Sequence[datetime] | None,
        stamps: Mapping[str, int],
    ) -> int:
        """Replace the rows of the periods that start then, or all of them; the new version.

        Files that hold several months, as an earlier release wrote them, are written anew by
        months. Raises CommitFailedError if another writer's commit came between.
        """
        gone = files_of(snapshot)
        if starts is not None:
            gone = gone.filter(_holds_one_of(gone, self.column, starts))
            rows = pl.concat([self._kept(gone, rows, starts), rows])
        now = int(time.time() * 1000)
        removed = gone.select("path", "size_bytes")
        actions = [
            _commit_info(now),
            *({"txn": _stamp(name, number, now)} for name, number in stamps.items()),
            *({"remove": _removed(path, size, now)} for path, size in removed.iter_rows()),
            *({"add": added} for added in self._written(rows, now)),
        ]
        version = snapshot.version() + 1
        entry = "\n".join(json.dumps(action, allow_nan=False) for action in actions).encode()
        try:
            obstore.put(self.store, f"_delta_log/{version:020}.json", entry, mode="create")
        except AlreadyExistsError as error:
            raise CommitFailedError(f"version {version} is another writer's") from error
        return version

    def _kept(
        self, files: pl.DataFrame, like: pl.DataFrame, starts: Sequence[datetime]
    ) -> pl.DataFrame:
        """The rows of these files of other periods."""
        paths = [f"{self.root}/{unquote(path)}" for path in files["path"]]
        if not paths:
            return like.clear()
        stored = pl.scan_parquet(paths, glob=False).select(
            pl.col(name).cast(dtype) for name, dtype in like.schema.items()
        )
        values = _starts(starts, like.schema[self.column]).implode()
        is_replaced = pl.col(self.column).is_in(values).fill_null(value=False)
        return stored.filter(~is_replaced).collect()

    def _written(self, rows: pl.DataFrame, now: int) -> Iterator[_Json]:
        """Write a file per month, and say what the log has to know of it."""
        by_month = (
            rows.with_columns(_month(self.column).alias(_MONTH))
            .sort(_MONTH, self.column, maintain_order=True)
            .partition_by(_MONTH, maintain_order=True, include_key=False)
        )
        for part in by_month:
            path = f"part-{uuid.uuid4()}-c000.zstd.parquet"
            content = BytesIO()
            table = part.to_arrow().cast(arrow_schema(part.schema))
            pq.write_table(table, content, row_group_size=ROW_GROUP_ROWS, **COMPRESSION)
            obstore.put(self.store, path, content.getvalue())
            yield {
                "path": path,
                "partitionValues": {},
                "size": content.tell(),
                "modificationTime": now,
                "dataChange": True,
                "stats": json.dumps(_statistics(part), allow_nan=False),
            }


def has_columns_of(snapshot: DeltaTable, rows: pl.DataFrame) -> bool:
    """Whether the table has the columns of `rows`, in name, type and order."""
    wanted = Schema.from_arrow(arrow_schema(rows.schema))
    here, there = (
        [(field.name, field.type) for field in schema.fields]
        for schema in (snapshot.schema(), wanted)
    )
    return here == there


def _month(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Date).dt.month_start()


def _starts(starts: Sequence[datetime], dtype: pl.DataType) -> pl.Series:
    naive = pl.Series([start.replace(tzinfo=None) for start in starts], dtype=pl.Datetime("us"))
    return naive.cast(pl.Date) if dtype == pl.Date else naive.dt.replace_time_zone("UTC")


def _holds_one_of(files: pl.DataFrame, column: str, starts: Sequence[datetime]) -> pl.Expr:
    """True for files of a month of one of these, of several months, or that do not say."""
    named = (f"min.{column}", f"max.{column}")
    if not set(named) <= set(files.columns):
        return pl.lit(value=True)
    first, last = (_month(name) for name in named)
    months = pl.Series([start.date().replace(day=1) for start in starts], dtype=pl.Date).unique()
    return ((first != last) | first.is_in(months.implode())).fill_null(value=True)


def _commit_info(now: int) -> _Json:
    parameters = {"mode": "Overwrite", "partitionBy": "[]"}
    return {
        "commitInfo": {"timestamp": now, "operation": "WRITE", "operationParameters": parameters}
    }


def _stamp(name: str, number: int, now: int) -> _Json:
    return {"appId": name, "version": number, "lastUpdated": now}


def _removed(path: str, size: int, now: int) -> _Json:
    return {
        "path": path,
        "deletionTimestamp": now,
        "dataChange": True,
        "extendedFileMetadata": True,
        "partitionValues": {},
        "size": size,
    }


def _statistics(rows: pl.DataFrame) -> _Json:
    """What lets a reader skip the file: its rows, and per column its bounds and nulls."""
    least: _Json = {}
    greatest: _Json = {}
    for name, dtype in rows.schema.items():
        if dtype in (pl.Date, pl.Datetime, pl.String) or dtype.is_integer():
            for bounds, bound in ((least, rows[name].min()), (greatest, rows[name].max())):
                if bound is not None and len(str(bound)) <= _MOST_LETTERS:
                    bounds[name] = _as_json(bound, is_last=bounds is greatest)
    flat = [name for name, dtype in rows.schema.items() if not dtype.is_nested()]
    return {
        "numRecords": rows.height,
        "minValues": least,
        "maxValues": greatest,
        "nullCount": rows.select(flat).null_count().row(0, named=True),
    }


def _as_json(value: object, *, is_last: bool) -> object:
    """A bound as the log has it: instants in whole milliseconds, of which the last is no earlier
    than the row's."""
    if isinstance(value, datetime):
        rounded = value + timedelta(microseconds=999 if is_last else 0)
        return rounded.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    return value.isoformat() if isinstance(value, date) else value
