"""The files of a table as its log tells of them, and reading some of them only.

Belongs here: which files may hold what is looked for. Does not: which snapshot is read.

Polars asks every file of a table whether a filter may hold in it: 25 to 40 ms for 6,000 files,
however few of them are read. What is looked for in hours or between two instants is known before.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable

Span = tuple[str, str]
"""The columns with the first and the last instant of what a row is about; may be the same."""
# Delta tells of instants in whole milliseconds, the greatest rounded down.
_ROUNDED = timedelta(milliseconds=1)
_INSTANT = pl.Datetime("us", "UTC")
# As many stretches of time as are looked for at once, and the time between two that are one.
MOST_ISLANDS = 16
_TOGETHER = timedelta(hours=1)
# What other writers write for the same types.
_CASTS = pl.ScanCastOptions(
    integer_cast="upcast",
    datetime_cast=("nanosecond-downcast", "millisecond-upcast", "convert-timezone"),
    missing_struct_fields="insert",
    extra_struct_fields="ignore",
)


class Layout(Protocol):
    """What of a table's contract tells how to read its files."""

    @property
    def polars_schema(self) -> pl.Schema:
        """The columns, in order."""

    @property
    def partition_by(self) -> Sequence[str]:
        """Those of them that name the files' folders."""


def files_of(snapshot: DeltaTable) -> pl.DataFrame:
    """A table's files as its log tells of them, partition columns by their own names."""
    files = pl.DataFrame(snapshot.get_add_actions(flatten=True))
    return files.rename(lambda name: name.removeprefix("partition."))


def islands(since: pl.Series, until: pl.Series) -> pl.DataFrame:
    """The stretches of time that the pairs of `since` and `until` cover, `first` to `last`.

    Stretches less than an hour apart are one, and beyond `MOST_ISLANDS` those with the least time
    between them: one event that is 30 days late does not make the 30 days be read.
    """
    pairs = pl.DataFrame({"first": since.cast(_INSTANT), "last": until.cast(_INSTANT)}).sort(
        "first"
    )
    gap = pairs.select(pl.col("first") - pl.col("last").cum_max().shift()).to_series()
    widest = gap.top_k(MOST_ISLANDS).drop_nulls()
    apart = [_TOGETHER, *widest.to_list()[MOST_ISLANDS - 1 :]]
    is_start = (gap > max(apart)).fill_null(value=False)
    return (
        pairs.group_by(is_start.cum_sum().alias("island"), maintain_order=True)
        .agg(pl.col("first").min(), pl.col("last").max())
        .drop("island")
    )


def meets(least: pl.Expr, greatest: pl.Expr, times: pl.DataFrame) -> pl.Expr:
    """True where the time from `least` to `greatest` meets one of the `times` (of `islands`)."""
    within = (greatest >= times["first"].min()) & (least <= times["last"].max())
    if times.height == 1:
        return within
    # The whole of them first: Parquet's statistics are asked about simple terms only.
    return within & pl.any_horizontal(
        (greatest >= first) & (least <= last) for first, last in times.iter_rows()
    )


def may_meet(files: pl.DataFrame, span: Span, times: pl.DataFrame) -> pl.Expr:
    """True for the files that may hold a row whose span meets one of the `times` (of `islands`);
    one that does not say may hold anything."""
    least, greatest = (
        (pl.col(name) if name in files.columns else pl.lit(None, _INSTANT)).cast(_INSTANT)
        for name in (f"min.{span[0]}", f"max.{span[1]}")
    )
    within = meets(least, greatest + _ROUNDED, times)
    return within.fill_null(value=True)


def scan_files(
    root: str, contract: Layout, files: pl.DataFrame, path_column: str | None = None
) -> pl.LazyFrame:
    """A lazy reader of these files (rows of `files_of`) of the table at `root`, with the columns
    of its contract; those that the table lacks are null. `path_column` adds each row's file."""
    schema = contract.polars_schema
    named = [path_column] if path_column else []
    if files.is_empty():
        return pl.LazyFrame(schema={**schema, **dict.fromkeys(named, pl.String)})
    parts = {name: schema[name] for name in contract.partition_by}
    return pl.scan_parquet(
        [f"{root}/{unquote(path)}" for path in files["path"]],
        schema={name: dtype for name, dtype in schema.items() if name not in parts},
        # A table in one piece has none, and an empty one is refused.
        hive_schema=parts or None,
        hive_partitioning=bool(parts),
        glob=False,
        cast_options=_CASTS,
        missing_columns="insert",
        extra_columns="ignore",
        include_file_paths=path_column,
    ).select(*schema, *named)
