"""Rows of the hour's ledger from the records of its files.

Belongs here: the sums per source. Does not: reading and writing either ledger.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.engine.books.file_ledger import FileKind, FileRecord
from kpi_platform.engine.books.hour_ledger import empty_rows

_SUMMED = (
    "bytes",
    "lines",
    "quarantined",
    "quarantined_on_read",
    "duplicates",
    "left_out",
    "suppressed",
    "sealed",
)
_DECODED = ("status", "error", "rows", "min_event_at", "max_event_at")


def ledger_rows(
    hour: datetime,
    kind: FileKind,
    files: Sequence[FileRecord],
    known: pl.DataFrame,
    expected: Collection[str],
    looks: Mapping[str, str],
) -> pl.DataFrame:
    """Rows of `hour_ledger` of a kind of source: one per source that is expected or has files.

    `known`: the rows so far, from which is taken what only the decoding tells, where no line
    waits for it. `looks`: per source how its files were listed.
    """
    by_source: dict[str, list[FileRecord]] = {}
    for file in files:
        if file.is_current:
            by_source.setdefault(file.source, []).append(file)
    sources = sorted({*expected, *by_source})
    parts = [by_source.get(source, []) for source in sources]
    rows = empty_rows(hour, sources, kind).with_columns(
        files=_column([len(part) for part in parts]),
        truncated_files=_column([sum(f.is_truncated for f in part) for part in parts]),
        unreadable_files=_column([sum(f.state == "unreadable" for f in part) for part in parts]),
        fingerprint=pl.Series([looks.get(source, "") for source in sources], dtype=pl.String),
        **{
            name: _column([sum(getattr(f, name) for f in part) for part in parts])
            for name in _SUMMED
        },
    )
    is_waiting = pl.Series([any(f.rows is None for f in part) for part in parts], dtype=pl.Boolean)
    decoded = known.select("source", pl.col(_DECODED).name.suffix("_known"), is_known=True)
    summed = _column([sum(f.rows or 0 for f in part) for part in parts])
    # Rows of streams are known when they are read, all others when they are decoded.
    is_said = pl.col("is_known").fill_null(value=False) & pl.lit(kind != "stream")
    return (
        rows.with_columns(is_waiting=is_waiting, summed=summed)
        .join(decoded, on="source", how="left", maintain_order="left")
        .with_columns(
            rows=pl.when(~pl.col("is_waiting")).then(
                pl.when(is_said).then("rows_known").otherwise("summed")
            ),
            min_event_at="min_event_at_known",
            max_event_at="max_event_at_known",
            status=_unless_waiting("status"),
            error=_unless_waiting("error"),
        )
        .select(rows.columns)
    )


def _unless_waiting(name: str) -> pl.Expr:
    keep = pl.col("is_known").fill_null(value=False) & ~pl.col("is_waiting")
    return pl.when(keep).then(f"{name}_known").otherwise(name)


def _column(values: Sequence[int]) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64)
