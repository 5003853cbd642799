"""Reading the finished marts out of the warehouse.

Belongs here: queries that hand marts to whoever publishes them. Does not: building or loading.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Any, Protocol

import duckdb
import polars as pl
from psycopg2.extensions import connection

# PostgreSQL's numbers of types, as marts use them.
_TYPES: dict[int, pl.DataType] = {
    16: pl.Boolean(),
    20: pl.Int64(),
    23: pl.Int32(),
    701: pl.Float64(),
    1082: pl.Date(),
    1114: pl.Datetime("us"),
    1700: pl.Decimal(38, 6),
}


class Marts(Protocol):
    """Read access to the schema `marts` of a warehouse; timestamps there are UTC without a zone."""

    def read(self, table: str, column: str, starts: Sequence[datetime] | None) -> pl.DataFrame:
        """The rows of a mart, or of the periods whose `column` is one of `starts`.

        Timestamps come back with their zone.
        """
        ...

    def last_complete(
        self, table: str, column: str, before: datetime | None = None
    ) -> datetime | date | None:
        """Start of the last period up to which every row is complete, of those that start `before`.

        None if no period is, or if the mart does not say.
        """
        ...

    def row_counts(self) -> dict[str, int]:
        """About how many rows every table has that dbt has built; views are left out."""
        ...

    def period_rows(self, table: str, column: str) -> dict[datetime, int]:
        """Rows of a mart by the start (UTC) of their period, which `column` holds."""
        ...


class EmbeddedMarts:
    """The marts of an open embedded warehouse."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def read(self, table: str, column: str, starts: Sequence[datetime] | None) -> pl.DataFrame:
        """The rows of a mart, or of the periods whose `column` is one of `starts`."""
        rows = self._con.table(f"marts.{table}")
        if starts is not None:
            values = [duckdb.ConstantExpression(start) for start in starts]
            rows = rows.filter(duckdb.ColumnExpression(column).isin(*values))
        return _with_zone(rows.pl())

    def last_complete(
        self, table: str, column: str, before: datetime | None = None
    ) -> datetime | date | None:
        """Start of the last period up to which every row is complete, of those `before`."""
        if "is_complete" not in self._con.table(f"marts.{table}").columns:
            return None
        found = self._con.execute(_last_complete(table, column, before)).fetchall()
        last: datetime | date | None = found[0][0]
        return last

    def row_counts(self) -> dict[str, int]:
        """Rows of every table that dbt has built; counting views would compute them.

        DuckDB keeps these counts itself: no table is read.
        """
        found = self._con.execute(
            "select table_name, estimated_size from duckdb_tables()"
            " where schema_name in ('marts', 'staging') and not temporary"
        ).fetchall()
        return dict(found)

    def period_rows(self, table: str, column: str) -> dict[datetime, int]:
        """Rows of a mart by the start (UTC) of their period, which `column` holds."""
        return _by_start(self._con.execute(_period_rows(table, column)).fetchall())


class PostgresMarts:
    """The marts of PostgreSQL, or of Redshift, which speaks its language."""

    def __init__(self, connect: Callable[[], connection]) -> None:
        self._connect = connect

    def read(self, table: str, column: str, starts: Sequence[datetime] | None) -> pl.DataFrame:
        """The rows of a mart, or of the periods whose `column` is one of `starts`."""
        where, values = ("", ()) if starts is None else (f" where {column} in %s", (tuple(starts),))
        if starts is not None and not starts:
            where, values = " where false", ()
        with closing(self._connect()) as opened, opened.cursor() as cursor:
            cursor.execute(f"select * from marts.{table}{where}", values)
            columns = cursor.description or ()
            schema = {each.name: _TYPES.get(each.type_code, pl.String()) for each in columns}
            return _with_zone(pl.DataFrame(cursor.fetchall(), pl.Schema(schema), orient="row"))

    def last_complete(
        self, table: str, column: str, before: datetime | None = None
    ) -> datetime | date | None:
        """Start of the last period up to which every row is complete, of those `before`."""
        says = self._rows(
            "select 1 from information_schema.columns where table_schema = 'marts'"
            f" and table_name = '{table}' and column_name = 'is_complete'"
        )
        last: datetime | date | None = (
            self._rows(_last_complete(table, column, before))[0][0] if says else None
        )
        return last

    def row_counts(self) -> dict[str, int]:
        """About how many rows every table has that dbt has built, as the statistics say."""
        return dict(
            self._rows(
                "select c.relname, greatest(c.reltuples, 0)::bigint from pg_class c"
                " join pg_namespace n on n.oid = c.relnamespace"
                " where n.nspname in ('marts', 'staging') and c.relkind = 'r'"
            )
        )

    def period_rows(self, table: str, column: str) -> dict[datetime, int]:
        """Rows of a mart by the start (UTC) of their period, which `column` holds."""
        return _by_start(self._rows(_period_rows(table, column)))

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(self._connect()) as opened, opened.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()


def _last_complete(table: str, column: str, before: datetime | None) -> str:
    bound = "" if before is None else f" and {column} < timestamp '{before:%Y-%m-%d %H:%M:%S}'"
    return (
        f"select max({column}) from marts.{table} where {column} < coalesce("
        f"(select min({column}) from marts.{table} where not is_complete), date '9999-12-31')"
        f"{bound}"
    )


def _period_rows(table: str, column: str) -> str:
    return f"select {column}::timestamp, count(*) from marts.{table} group by 1"


def _by_start(rows: Sequence[tuple[Any, ...]]) -> dict[datetime, int]:
    return {start.replace(tzinfo=UTC): int(count) for start, count in rows}


def _with_zone(rows: pl.DataFrame) -> pl.DataFrame:
    naive = [name for name, dtype in rows.schema.items() if dtype == pl.Datetime]
    return rows.with_columns(pl.col(naive).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
