"""The ledger of hours, completed by what decoding told: where every line and captured row went.

Belongs here: figures. Does not: reading or writing the ledger.
"""

import polars as pl

from kpi_platform.cleaned.mapped_rows import RowAccount
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES

_KEY = [*INGEST_HOUR, "source"]
_LEDGER = TABLES["hour_ledger"].polars_schema
_COUNTED = ("rows", "duplicates", "undecoded", "min_event_at", "max_event_at")
_MAPPED = ("lines", "figures", "suppressed", "duplicates")
# Tells the errors of cleaning from those of reading, which only reading again can take back.
_MAPPING_FAILED = "its mapping cannot be applied: "


def completed_ledger(
    ledger: pl.DataFrame, accounts: pl.DataFrame, account: RowAccount
) -> pl.DataFrame:
    """Complete ledger rows by what became of their lines.

    `accounts` as `EventCleaner.accounts`. Rows of streams are complete as they are. A source that
    could not be read stays failed; its figures are of what is known of it. What was captured of
    a warehouse is counted here, a feed's lines were when they were read.
    """
    mapped = account.table().group_by(_KEY).agg(pl.col(*_MAPPED).sum())
    counted = accounts.select(*_KEY, pl.col(*_COUNTED).name.suffix("_counted"))
    of_rows = mapped.select(*_KEY, pl.col(*_MAPPED).name.suffix("_mapped"))
    joined = (
        ledger.with_columns(pl.col("kind").fill_null("telemetry"))
        .join(counted, on=_KEY, how="left")
        .join(of_rows, on=_KEY, how="left")
        .join(account.error_table(), on=_KEY, how="left")
        .with_columns(source_error=_source_error())
    )
    is_stream = pl.col("kind") == "stream"
    is_captured = pl.col("kind") == "warehouse"
    figures = {
        "status": pl.when(pl.col("source_error").is_null())
        .then(pl.lit("processed"))
        .otherwise(pl.lit("failed")),
        "error": pl.col("source_error"),
        "lines": pl.when(is_captured).then(_count("lines_mapped")).otherwise("lines"),
        "rows": pl.when(is_stream)
        .then(pl.col("lines") - pl.col("quarantined_on_read"))
        .otherwise(_count("rows_counted") + _count("figures_mapped")),
        "duplicates": _count("duplicates_counted") + _count("duplicates_mapped"),
        "suppressed": _count("suppressed_mapped"),
        "quarantined": pl.col("quarantined_on_read") + _count("undecoded_counted"),
        "min_event_at": _unless(is_stream, "min_event_at"),
        "max_event_at": _unless(is_stream, "max_event_at"),
    }
    return joined.with_columns(**figures).select(list(_LEDGER))


def _source_error() -> pl.Expr:
    of_reading = pl.when(~pl.col("source_error").str.starts_with(_MAPPING_FAILED)).then(
        "source_error"
    )
    return pl.coalesce(of_reading, pl.lit(_MAPPING_FAILED) + pl.col("mapping_error"))


def _count(name: str) -> pl.Expr:
    return pl.col(name).fill_null(0)


def _unless(is_stream: pl.Expr, name: str) -> pl.Expr:
    return pl.when(is_stream).then(name).otherwise(f"{name}_counted")


def table_ledger(account: RowAccount) -> pl.DataFrame:
    """One row per ingest hour, source and warehouse table: columns of `table_ledger`."""
    every = account.table().with_columns(pl.col("rows") + pl.col("figures"))
    rows = every.filter(pl.col("table_name").is_not_null())
    return rows.select(
        pl.col(name).cast(dtype) for name, dtype in TABLES["table_ledger"].polars_schema.items()
    )
