"""The ledger of hours, completed by what decoding told: where every line and captured row went.

Belongs here: figures. Does not: reading or writing the ledger.
"""

import polars as pl

from kpi_platform.cleaned.mapped_rows import RowAccount
from kpi_platform.engine.books.file_ledger import HOLDING
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES

_KEY = [*INGEST_HOUR, "source"]
_LEDGER = TABLES["hour_ledger"].polars_schema
_FILE = [*_KEY, "path"]
_DECODED = ("rows", "duplicates", "undecoded", "left_out", "sealed")
_SUMMED = ("rows", "duplicates", "quarantined")
_COUNTED = ("rows", "duplicates", "undecoded", "min_event_at", "max_event_at")
_MAPPED = ("lines", "figures", "left_out", "sealed", "duplicates")
# Tells the errors of cleaning from those of reading, which only reading again can take back.
MAPPING_FAILED = "its mapping cannot be applied: "


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
        "left_out": _count("left_out_mapped"),
        # Of captured rows none is: what a ledger says of them is an earlier release's deletions.
        "suppressed": pl.when(is_captured).then(0).otherwise(_count("suppressed")).cast(pl.Int64),
        "sealed": pl.when(pl.col("kind").is_in(["warehouse", "console"]))
        .then(_count("sealed_mapped"))
        .otherwise(_count("sealed"))
        .cast(pl.Int64),
        "quarantined": pl.col("quarantined_on_read") + _count("undecoded_counted"),
        "min_event_at": _unless(is_stream, "min_event_at"),
        "max_event_at": _unless(is_stream, "max_event_at"),
    }
    return joined.with_columns(**figures).select(list(_LEDGER))


def _source_error() -> pl.Expr:
    of_reading = pl.when(~pl.col("source_error").str.starts_with(MAPPING_FAILED)).then(
        "source_error"
    )
    return pl.coalesce(of_reading, pl.lit(MAPPING_FAILED) + pl.col("mapping_error"))


def _count(name: str) -> pl.Expr:
    return pl.col(name).fill_null(0)


def _unless(is_stream: pl.Expr, name: str) -> pl.Expr:
    return pl.when(is_stream).then(name).otherwise(f"{name}_counted")


def table_ledger(account: RowAccount) -> pl.DataFrame:
    """One row per ingest hour, source and warehouse table: columns of `table_ledger`."""
    every = account.table().with_columns(pl.col("rows") + pl.col("figures"))
    rows = every.filter(pl.col("table_name").is_not_null())
    return rows.with_columns(suppressed=pl.lit(0, pl.Int64)).select(
        pl.col(name).cast(dtype) for name, dtype in TABLES["table_ledger"].polars_schema.items()
    )


def counted_files(
    files: pl.DataFrame,
    taken: pl.DataFrame,
    accounts: pl.DataFrame,
    left_out: pl.DataFrame,
    sealed: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Rows of `file_ledger` with what became of the lines of those that were `taken`.

    `accounts` as `EventCleaner.file_accounts`; `left_out`: ingest hour, `source` and `file_name`
    of every row that is no event; `sealed`: of consoles' rows that come too late. Rows of streams
    are counted when they are read.
    """
    counted = accounts
    none = left_out.clear()
    for name, rows in (("left_out", left_out), ("sealed", none if sealed is None else sealed)):
        aside = rows.rename({"file_name": "path"}).group_by(_FILE).agg(pl.len().alias(name))
        counted = counted.join(aside, on=_FILE, how="full", coalesce=True)
    found = pl.col(*_DECODED).fill_null(0).cast(pl.Int64).name.suffix("_found")
    seen = taken.select(*_FILE, "content_hash", is_taken=True)
    joined = files.join(seen, on=[*_FILE, "content_hash"], how="left").join(
        counted.select(*_FILE, found), on=_FILE, how="left"
    )
    is_counted = (
        pl.col("is_taken").fill_null(value=False)
        & pl.col("state").is_in(HOLDING)
        & (pl.col("kind") != "stream")
    )
    figures = {
        **{name: _count(f"{name}_found") for name in ("rows", "duplicates", "left_out")},
        "quarantined": pl.col("quarantined_on_read") + _count("undecoded_found"),
        # Telemetry's lines are sealed when they are read.
        "sealed": pl.when(pl.col("kind") == "console")
        .then(_count("sealed_found"))
        .otherwise("sealed"),
    }
    return joined.with_columns(
        **{n: pl.when(is_counted).then(figure).otherwise(n) for n, figure in figures.items()}
    ).select(files.columns)


def summed_files(ledger: pl.DataFrame, files: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Rows of `hour_ledger` of which those of telemetry are completed by the sums of their files.

    `spans`: of each source in the hour `min_event_at` and `max_event_at`; of one whose events are
    gone, the ledger's stay. Other sources' rows stay.
    """
    sums = (
        files.filter(pl.col("state").is_in(HOLDING), pl.col("kind") == "telemetry")
        .group_by(_KEY)
        .agg(pl.col(_SUMMED).sum())
        .join(spans.select(*_KEY, "min_event_at", "max_event_at"), on=_KEY, how="left")
    )
    names = [*_SUMMED, "min_event_at", "max_event_at"]
    joined = ledger.join(sums, on=_KEY, how="left", suffix="_summed")
    is_file = pl.col("kind").fill_null("telemetry") == "telemetry"
    figures = {
        n: pl.when(is_file).then(pl.coalesce(f"{n}_summed", n)).otherwise(n) for n in names
    } | {name: pl.when(is_file).then(_count(f"{name}_summed")).otherwise(name) for name in _SUMMED}
    processed = {
        "status": pl.when(is_file).then(pl.lit("processed")).otherwise("status"),
        "error": pl.when(is_file).then(pl.lit(None, pl.String)).otherwise("error"),
    }
    return joined.with_columns(**figures, **processed).select(ledger.columns)


def moved_rows(files: pl.DataFrame, copies: pl.DataFrame) -> pl.DataFrame:
    """Rows of `file_ledger` after events met copies that other files had before.

    `copies`: of each such event its `source`, the first of its new files (`path`) and of the files
    before (`path_before`). Of both, the first by path keeps the row, the other has a copy.
    """
    loser = pl.when(pl.col("path") < pl.col("path_before")).then("path_before").otherwise("path")
    lost = copies.select("source", path=loser).group_by("source", "path").agg(lost=pl.len())
    joined = files.join(lost, on=["source", "path"], how="left", maintain_order="left")
    less = pl.when(pl.col("state").is_in(HOLDING)).then(_count("lost")).otherwise(0)
    return joined.with_columns(
        rows=pl.col("rows") - less, duplicates=pl.col("duplicates") + less
    ).select(files.columns)
