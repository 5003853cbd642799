"""Reading the finished marts out of the embedded warehouse.

Belongs here: queries that hand marts to whoever publishes them. Does not: building or loading.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import duckdb
import polars as pl


class Marts:
    """Read access to the schema `marts` of an open warehouse."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def read(self, table: str, column: str, starts: Sequence[datetime] | None) -> pl.DataFrame:
        """The rows of a mart, or of the periods whose `column` is one of `starts`.

        Timestamps, naive UTC in the warehouse, come back with their zone.
        """
        rows = self._con.table(f"marts.{table}")
        if starts is not None:
            values = [duckdb.ConstantExpression(start) for start in starts]
            rows = rows.filter(duckdb.ColumnExpression(column).isin(*values))
        return _with_zone(rows.pl())

    def last_complete(self, table: str, column: str) -> datetime | date | None:
        """Start of the last period up to which every row is complete.

        None if no period is, or if the mart does not say.
        """
        if "is_complete" not in self._con.table(f"marts.{table}").columns:
            return None
        found = self._con.execute(
            f"select max({column}) from marts.{table} where {column} < coalesce("
            f"(select min({column}) from marts.{table} where not is_complete), date '9999-12-31')"
        ).fetchall()
        last: datetime | date | None = found[0][0]
        return last


def row_counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows of every table that dbt has built; views are left out, as counting them computes them.

    DuckDB keeps these counts itself: no table is read.
    """
    found = con.execute(
        "select table_name, estimated_size from duckdb_tables()"
        " where schema_name in ('marts', 'staging') and not temporary"
    ).fetchall()
    return dict(found)


def period_rows(con: duckdb.DuckDBPyConnection, table: str, column: str) -> dict[datetime, int]:
    """Rows of a mart by the start (UTC) of their period, which `column` holds."""
    found = con.execute(
        f"select {column}::timestamp, count(*) from marts.{table} group by 1"
    ).fetchall()
    return {start.replace(tzinfo=UTC): rows for start, rows in found}


def _with_zone(rows: pl.DataFrame) -> pl.DataFrame:
    naive = [name for name, dtype in rows.schema.items() if dtype == pl.Datetime]
    return rows.with_columns(pl.col(naive).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
