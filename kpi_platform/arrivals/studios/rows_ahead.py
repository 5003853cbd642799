"""The book of rows that no window takes yet: their watermark lies too far ahead, or is `infinity`.

Belongs here: the rows of `rows_ahead`. Does not: counting in a studio's database, and the check.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, named

TABLE = "rows_ahead"


def enter_rows_ahead(lake: Lake, source: str, counts: Mapping[str, int | None]) -> None:
    """Let the book say of a source how many rows of each table lie ahead (None: nobody could count
    them); tables with none are not in it. Nothing is written where it says so already."""
    schema = TABLES[TABLE].polars_schema
    stored = lake.scan(TABLE).filter(pl.col("source") == source).collect()
    rows_before = {row["table_name"]: row["rows"] for row in stored.iter_rows(named=True)}
    rows_now = {table: rows for table, rows in counts.items() if rows != 0}
    if rows_now == rows_before:
        return
    now = datetime.now(UTC)
    rows = [(source, table, count, now) for table, count in sorted(rows_now.items())]
    lake.replace(TABLE, pl.DataFrame(rows, schema, orient="row"), named("source", [source]))
