"""Where the models run when that is not the embedded warehouse: its copies of lake tables, elsewhere.

Belongs here: the one contract of loading a partition into a warehouse, and its adapters, PostgreSQL
and Redshift. Does not: which partitions differ, and the embedded warehouse itself (warehouse.py),
which keeps the books of loading whichever warehouse the models run in.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import polars as pl
import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from kpi_platform.storage.warehouse import schema_statements

# What stands for null in the text that PostgreSQL copies; strings are quoted, so none is taken for it.
_NULL = r"\N"


@dataclass(frozen=True)
class Partition:
    """A partition of a copied table: its key and number in the books, and what it holds.

    `signature` is None where the partition is gone.
    """

    table: str
    key: str
    number: int
    signature: str | None


class WarehouseCopy(Protocol):
    """The contract: whole partitions, one after the other, each in one transaction.

    Replacing a partition again, or with the same rows, leaves the same table.
    """

    def partitions(self) -> list[Partition]:
        """Every partition that the warehouse holds."""
        ...

    def replace(self, partition: Partition, rows: pl.DataFrame) -> None:
        """Replace a partition by these rows (the table's columns, `partition_id` included)."""
        ...

    def replace_tables(self, tables: Mapping[str, pl.DataFrame]) -> None:
        """Replace small tables of the schema `lake` whole, all in one transaction."""
        ...

    def clear(self) -> None:
        """Forget everything that was copied."""
        ...

    def take_changes(self, forget: Sequence[str]) -> pl.DataFrame:
        """The rows of lake.changed_periods; they and those of the tables `forget` are removed."""
        ...


class PostgresCopy:
    """The copies in PostgreSQL, written by `COPY … FROM STDIN`.

    `address` is what libpq takes; it may hold a password and is never repeated in errors.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            for statement in schema_statements():
                cursor.execute(statement)

    def partitions(self) -> list[Partition]:
        """Every partition that the warehouse holds."""
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            cursor.execute(
                "select table_name, partition_key, partition_id, signature"
                " from lake.loaded_partitions"
            )
            return [Partition(*row) for row in cursor.fetchall()]

    def replace(self, partition: Partition, rows: pl.DataFrame) -> None:
        """Replace a partition by these rows (the table's columns, `partition_id` included)."""
        with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            for statement, values in removal(partition):
                cursor.execute(statement, values)
            if rows.height:
                self._write(cursor, partition, rows)
            for statement, values in entry(partition):
                cursor.execute(statement, values)

    def replace_tables(self, tables: Mapping[str, pl.DataFrame]) -> None:
        """Replace small tables of the schema `lake` whole, all in one transaction."""
        with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            for name, rows in tables.items():
                cursor.execute(f"delete from lake.{name}")
                copy_rows(cursor, name, rows)

    def clear(self) -> None:
        """Forget everything that was copied."""
        tables = sorted({partition.table for partition in self.partitions()})
        with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            for name in (*tables, "loaded_partitions"):
                cursor.execute(f"delete from lake.{name}")

    def take_changes(self, forget: Sequence[str]) -> pl.DataFrame:
        """The rows of lake.changed_periods; they and those of the tables `forget` are removed."""
        with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute("select distinct table_name, period from lake.changed_periods")
            schema = pl.Schema({"table_name": pl.String(), "period": pl.Datetime("us")})
            found = pl.DataFrame(cursor.fetchall(), schema, orient="row")
            for name in ("changed_periods", *forget):
                cursor.execute(f"delete from lake.{name}")
        return found

    def _connect(self) -> Connection:
        return psycopg2.connect(self._address)

    def _write(self, cursor: Cursor, partition: Partition, rows: pl.DataFrame) -> None:
        copy_rows(cursor, partition.table, rows)


class RedshiftCopy(PostgresCopy):
    """The copies in Redshift, each partition by a single `COPY … FORMAT AS PARQUET`.

    `stage(name, rows)` writes the rows as one Parquet file to S3 and returns its address;
    `iam_role` is the role by which the cluster reads it.
    """

    def __init__(
        self, address: str, stage: Callable[[str, pl.DataFrame], str], iam_role: str
    ) -> None:
        super().__init__(address)
        self._stage = stage
        self._iam_role = iam_role

    def _write(self, cursor: Cursor, partition: Partition, rows: pl.DataFrame) -> None:
        file = self._stage(f"{partition.table}/{partition.number}.parquet", rows)
        cursor.execute(parquet_copy(partition.table, rows.columns, file, self._iam_role))


def removal(partition: Partition) -> list[tuple[str, tuple[str, ...]]]:
    """The statements, with their values, that take a partition and its entry away."""
    known = "lake.loaded_partitions where table_name = %s and partition_key = %s"
    values = (partition.table, partition.key)
    return [
        (
            f"delete from lake.{partition.table}"
            f" where partition_id in (select partition_id from {known})",
            values,
        ),
        (f"delete from {known}", values),
    ]


def entry(partition: Partition) -> list[tuple[str, tuple[str | int, ...]]]:
    """The statement, with its values, that enters a partition in the books; none if it is gone."""
    if partition.signature is None:
        return []
    columns = "table_name, partition_key, partition_id, signature"
    values = (partition.table, partition.key, partition.number, partition.signature)
    return [(f"insert into lake.loaded_partitions ({columns}) values (%s, %s, %s, %s)", values)]


def copy_rows(cursor: Cursor, table: str, rows: pl.DataFrame) -> None:
    """Append rows to a table of the schema `lake` by `COPY … FROM STDIN`."""
    text = io.BytesIO()
    rows.write_csv(
        text,
        include_header=False,
        quote_style="non_numeric",
        null_value=_NULL,
        datetime_format="%Y-%m-%d %H:%M:%S%.6f",
    )
    text.seek(0)
    columns = ", ".join(rows.columns)
    cursor.copy_expert(
        f"copy lake.{table} ({columns}) from stdin (format csv, null '{_NULL}')", text
    )


def parquet_copy(table: str, columns: Sequence[str], file: str, iam_role: str) -> str:
    """Redshift's statement that appends one Parquet file to a table of the schema `lake`."""
    return (
        f"copy lake.{table} ({', '.join(columns)}) from {_literal(file)}"
        f" iam_role {_literal(iam_role)} format as parquet"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
