"""Keeps Delta tables small and quick: merges small files, writes checkpoints, removes old files.

Belongs here: one table's upkeep, and which tables there are. Does not: when it runs.

Rows never change. A file is removed only when no version that was current within the retention
names it, so a reader that opened a table within the retention reads on.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from urllib.parse import unquote

import obstore
import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable, WriterProperties
from deltalake.exceptions import DeltaError
from obstore.store import ObjectStore

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.delta.delta_writes import COMPRESSION, retried
from kpi_platform.storage.lake.lake import Lake, open_store
from kpi_platform.storage.lake.locks import FOLD_LOCK, lake_lock

# A partition with this many files or fewer is left alone: each rewrite is work for readers of
# what changed too.
FILES_PER_PARTITION = 4
# Tables that are written under the fold's lock; their files are merged under it, so that a fold
# and the upkeep never make each other start again.
FOLDED = {
    *("session_parts", "sessions", "sightings", "history_queue"),
    *("user_version_history", "user_version_intervals"),
}
# Tables asked for single players: sorted by player, a lookup reads one row group of a file.
SORTED_BY = {"user_version_history": "player_id", "user_version_intervals": "player_id"}
LOOKUP_ROW_GROUP = 20_000
# What sorting a partition holds in memory; the rest goes to temporary files.
SORT_BYTES = 1 << 30
_PUBLICATIONS = "publications"
# Copies of marts lie as publishing writes them: a month in a file. What is added to every run is
# merged.
_GROWING = {
    *("published/publications", "published/kpi_restatements", "published/kpi_value_books"),
}
_HOUR_SECONDS = 3600
_PARQUET_END = 8
# Delta's own default: versions older than this cannot be opened, whatever their files.
_LOG_DAYS = 30
_LOG_RETENTION = "delta.logRetentionDuration"


@dataclass(frozen=True)
class Maintained:
    """What upkeep did to a table: its data files and bytes before and after, the files removed
    from storage, seconds, and the error that ended it early, if one did."""

    table: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    removed: int
    seconds: float
    error: str = ""


def maintain(lake: Lake, retention: timedelta) -> Iterator[Maintained]:
    """Maintain every table of the lake, one after the other; one upkeep at a time.

    `retention`: how long versions stay readable after they were replaced. A table that another
    writer keeps busy is reported with its error, and the others go on.
    """
    with lake_lock(lake.uri, "maintenance"):
        pinned = _pinned_versions(lake, retention)
        for table in lake.tables():
            yield _maintain(lake, table, retention, pinned.get(table, []))


def _maintain(lake: Lake, table: str, retention: timedelta, pinned: Sequence[int]) -> Maintained:
    started = time.monotonic()
    before = _files(_open(lake, table))
    removed, error = 0, ""
    try:
        if table in TABLES or table in _GROWING:
            _merge_small_files(lake, table)
        if table in TABLES:
            retried(lambda: _limit_log(_open(lake, table), retention))
        removed = retried(lambda: _clean(_open(lake, table), retention, pinned))
    except DeltaError as failure:
        error = f"{type(failure).__name__}: {(str(failure).splitlines() or [''])[0]}"
    after = _files(_open(lake, table))
    return Maintained(
        table,
        before.height,
        after.height,
        int(before["size_bytes"].sum()),
        int(after["size_bytes"].sum()),
        removed,
        time.monotonic() - started,
        error,
    )


def _open(lake: Lake, table: str) -> DeltaTable:
    return DeltaTable(lake.path(table))


def _files(table: DeltaTable) -> pl.DataFrame:
    return pl.DataFrame(table.get_add_actions(flatten=True))


def _merge_small_files(lake: Lake, table: str) -> None:
    """Merge the files of each partition that has too many, or that is no longer sorted."""
    for partition in _to_merge(_open(lake, table), SORTED_BY.get(table)):
        filters = [(name, "=", value) for name, value in partition.items()]
        with _lock(lake, table):
            retried(lambda: _merge(_open(lake, table), table, filters))  # noqa: B023 (at once)


def _lock(lake: Lake, table: str) -> AbstractContextManager[None]:
    return lake_lock(lake.uri, FOLD_LOCK) if table in FOLDED else nullcontext()


def _merge(target: DeltaTable, table: str, filters: Sequence[tuple[str, str, str]]) -> None:
    where = list(filters) or None
    column = SORTED_BY.get(table)
    if column is None:
        target.optimize.compact(
            partition_filters=where, writer_properties=WriterProperties(**COMPRESSION)
        )
        return
    properties = WriterProperties(**COMPRESSION, max_row_group_size=LOOKUP_ROW_GROUP)
    target.optimize.z_order(
        [column],
        partition_filters=where,
        writer_properties=properties,
        max_spill_size=SORT_BYTES,
    )


def _to_merge(table: DeltaTable, sorted_by: str | None) -> list[Mapping[str, str]]:
    """The partitions (column -> value as text) that want to be written again; {} is a whole
    table."""
    columns = table.metadata().partition_columns
    files: dict[tuple[str, ...], list[str]] = defaultdict(list)
    names = [f"partition.{name}" for name in columns]
    for *values, path in _files(table).select(*names, "path").iter_rows():
        files[tuple(str(value) for value in values)].append(path)
    return [
        dict(zip(columns, values, strict=True))
        for values, paths in sorted(files.items())
        if len(paths) > FILES_PER_PARTITION
        or (sorted_by is not None and not _is_sorted(table, paths, sorted_by))
    ]


def _is_sorted(table: DeltaTable, paths: Sequence[str], column: str) -> bool:
    """Whether a value of the column can be in few row groups of each file only, as the files
    themselves say."""
    return all(_row_groups_follow(table.table_uri, path, column) for path in paths)


def _row_groups_follow(uri: str, path: str, column: str) -> bool:
    footer = _footer(open_store(uri), unquote(path))
    if footer.num_rows <= LOOKUP_ROW_GROUP:
        return True
    if footer.num_rows > footer.num_row_groups * LOOKUP_ROW_GROUP:
        return False
    number = footer.schema.to_arrow_schema().get_field_index(column)
    spans = [footer.row_group(g).column(number).statistics for g in range(footer.num_row_groups)]
    return all(a.max <= b.min for a, b in pairwise(spans))


def _footer(store: ObjectStore, path: str) -> pq.FileMetaData:
    """A Parquet file's own account of itself, read without the rows: it ends with the account,
    the account's length in four bytes, and four bytes of magic."""
    size = obstore.head(store, path)["size"]
    end = bytes(obstore.get_range(store, path, start=size - _PARQUET_END, end=size))
    length = int.from_bytes(end[:4], "little") + _PARQUET_END
    account = bytes(obstore.get_range(store, path, start=size - length, end=size))
    return pq.read_metadata(BytesIO(b"PAR1" + account))


def _limit_log(table: DeltaTable, retention: timedelta) -> None:
    """Let the log forget versions when their files go: every read and write lists the log, which
    grows by several commits an hour. Published tables keep Delta's own 30 days, for who pins a
    version of them."""
    wanted = f"interval {int(retention.total_seconds()) // _HOUR_SECONDS} hours"
    if table.metadata().configuration.get(_LOG_RETENTION) != wanted:
        table.alter.set_table_properties({_LOG_RETENTION: wanted})


def _clean(table: DeltaTable, retention: timedelta, pinned: Sequence[int]) -> int:
    """Write a checkpoint, then remove the log entries and files that nothing within the retention
    needs; returns the number of data files removed."""
    hours = int(retention.total_seconds()) // _HOUR_SECONDS
    table.create_checkpoint()
    if _LOG_RETENTION in table.metadata().configuration or retention <= timedelta(days=_LOG_DAYS):
        table.cleanup_metadata()
    keep = [version for version in pinned if version <= table.version()] or None
    # Looked for first: a vacuum without anything to remove would leave two commits all the same.
    if not _vacuum(table, hours, keep, is_dry=True):
        return 0
    return len(_vacuum(table, hours, keep, is_dry=False))


def _vacuum(table: DeltaTable, hours: int, keep: list[int] | None, *, is_dry: bool) -> list[str]:
    removed: list[str] = table.vacuum(
        retention_hours=hours,
        dry_run=is_dry,
        # Delta would refuse anything under a week; the setting is the user's word.
        enforce_retention_duration=False,
        # Files that a killed run left behind are named by no log entry: only this finds them.
        full=True,
        keep_versions=keep,
    )
    return removed


def _pinned_versions(lake: Lake, retention: timedelta) -> dict[str, list[int]]:
    """Per published table the versions that `publications` names and that must stay readable."""
    rows = lake.published(_PUBLICATIONS)
    if rows is None:
        return {}
    since = datetime.now(UTC) - min(retention, timedelta(days=_LOG_DAYS))
    recent = rows.filter(pl.col("published_at") >= since).select("table", "delta_version")
    versions: dict[str, list[int]] = defaultdict(list)
    for table, version in recent.unique().sort("table", "delta_version").collect().iter_rows():
        versions[f"published/{table}"].append(version)
    return versions
