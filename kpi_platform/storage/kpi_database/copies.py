"""Warehouses other than the embedded one, in which the models run: their copies of lake tables.

Belongs here: the one contract of loading a partition into a warehouse, and its adapters, PostgreSQL
and Redshift. Does not: which partitions differ, and the embedded warehouse itself (warehouse.py),
which keeps the books of loading whichever warehouse the models run in.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import obstore
import polars as pl
import psycopg2
from obstore.store import from_url
from psycopg2.extensions import connection, cursor, make_dsn

from kpi_platform.settings import Settings
from kpi_platform.storage.kpi_database.embedded import WarehouseError, schema_statements

# What stands for null in the text that is copied: strings are quoted, so none is taken for it.
_NULL = r"\N"

# Columns that tables of earlier releases lack: there `create table if not exists` adds none.
_ADDED_COLUMNS = (("cleaned_events", "own_platform", "varchar"),)
# Tables of earlier releases, with a row of each event.
_LEFT = (("staging", "player_events"), ("lake", "affected_events"))

# A statement and the values of its parameters.
Statement = tuple[str, tuple[str | int, ...]]


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

    def replace_events(self, frames: Iterable[pl.DataFrame]) -> None:
        """Replace the events of a run (lake.cleaned_events), in one transaction."""
        ...

    def clear(self) -> None:
        """Forget everything that was copied."""
        ...

    def take_changes(self, forget: Sequence[str]) -> pl.DataFrame:
        """The rows of lake.changed_periods; they and those of the tables `forget` are removed."""
        ...

    def drop(self, mart: str) -> None:
        """Drop a mart that is of one run."""
        ...

    def connect(self) -> connection:
        """A connection to the warehouse, which the caller closes."""
        ...


class PostgresCopy:
    """The copies in PostgreSQL, written by `COPY … FROM STDIN`.

    `address` is what libpq takes; it may hold a password and is never repeated in errors.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        with closing(self.connect()) as open_, open_, open_.cursor() as to:
            for statement in schema_statements():
                to.execute(statement)
            for table, column, data_type in _ADDED_COLUMNS:
                to.execute(
                    "select 1 from information_schema.columns where table_schema = 'lake'"
                    " and table_name = %s and column_name = %s",
                    (table, column),
                )
                if not to.fetchall():
                    to.execute(f"alter table lake.{table} add column {column} {data_type}")
            for schema, table in _LEFT:
                to.execute(
                    "select 1 from information_schema.tables"
                    " where table_schema = %s and table_name = %s",
                    (schema, table),
                )
                if to.fetchall():
                    to.execute(f"drop table {schema}.{table} cascade")

    def partitions(self) -> list[Partition]:
        """Every partition that the warehouse holds."""
        with closing(self.connect()) as open_, open_.cursor() as to:
            to.execute(
                "select table_name, partition_key, partition_id, signature"
                " from lake.loaded_partitions"
            )
            return [Partition(*row) for row in to.fetchall()]

    def replace(self, partition: Partition, rows: pl.DataFrame) -> None:
        """Replace a partition by these rows (the table's columns, `partition_id` included)."""
        with closing(self.connect()) as open_, open_, open_.cursor() as to:
            for statement, values in removal(partition):
                to.execute(statement, values)
            if rows.height:
                self._write(to, partition, rows)
            for statement, values in entry(partition):
                to.execute(statement, values)

    def replace_tables(self, tables: Mapping[str, pl.DataFrame]) -> None:
        """Replace small tables of the schema `lake` whole, all in one transaction."""
        with closing(self.connect()) as open_, open_, open_.cursor() as to:
            for name, rows in tables.items():
                to.execute(f"delete from lake.{name}")
                copy_rows(to, name, rows)

    def replace_events(self, frames: Iterable[pl.DataFrame]) -> None:
        """Replace the events of a run (lake.cleaned_events), in one transaction."""
        with closing(self.connect()) as open_, open_, open_.cursor() as to:
            # Of what is deleted PostgreSQL keeps the room until it is vacuumed.
            to.execute("truncate table lake.cleaned_events")
            for number, rows in enumerate(frames):
                self._write(to, Partition("cleaned_events", "", number, None), rows)

    def clear(self) -> None:
        """Forget everything that was copied."""
        tables = sorted({partition.table for partition in self.partitions()})
        with closing(self.connect()) as open_, open_, open_.cursor() as to:
            for name in (*tables, "loaded_partitions"):
                to.execute(f"delete from lake.{name}")

    def take_changes(self, forget: Sequence[str]) -> pl.DataFrame:
        """The rows of lake.changed_periods; they and those of the tables `forget` are removed."""
        with closing(self.connect()) as open_, open_, open_.cursor() as to:
            to.execute("select distinct table_name, period from lake.changed_periods")
            schema = pl.Schema({"table_name": pl.String(), "period": pl.Datetime("us")})
            found = pl.DataFrame(to.fetchall(), schema, orient="row")
            for name in ("changed_periods", *forget):
                to.execute(f"delete from lake.{name}")
        return found

    def drop(self, mart: str) -> None:
        """Drop a mart that is of one run."""
        with closing(self.connect()) as open_, open_, open_.cursor() as to:
            to.execute(f"drop table if exists marts.{mart} cascade")

    def connect(self) -> connection:
        """A connection to the warehouse, which the caller closes. Raises WarehouseError."""
        try:
            return psycopg2.connect(self._address)
        except psycopg2.OperationalError as error:
            line = str(error).strip().splitlines()[0]
            raise WarehouseError(f"KPI_WAREHOUSE_HOST: {line}") from None

    def _write(self, to: cursor, partition: Partition, rows: pl.DataFrame) -> None:
        copy_rows(to, partition.table, rows)


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

    def _write(self, to: cursor, partition: Partition, rows: pl.DataFrame) -> None:
        file = self._stage(f"{partition.table}/{partition.number}.parquet", rows)
        to.execute(parquet_copy(partition.table, rows.columns, file, self._iam_role))


def open_copy(settings: Settings) -> WarehouseCopy | None:
    """The warehouse that the settings name; None for the embedded one.

    Raises WarehouseError if it cannot be reached or a setting is missing.
    """
    if settings.warehouse == "duckdb":
        return None
    is_redshift = settings.warehouse == "redshift"
    address = make_dsn(
        host=settings.warehouse_host,
        port=settings.warehouse_port or (5439 if is_redshift else 5432),
        user=settings.warehouse_user,
        password=settings.warehouse_password.get_secret_value(),
        dbname=settings.warehouse_database,
    )
    if not is_redshift:
        return PostgresCopy(address)
    for name in ("warehouse_staging_uri", "warehouse_iam_role"):
        if not getattr(settings, name):
            raise WarehouseError(f"KPI_{name.upper()}: Redshift cannot be loaded without it")
    staging = settings.warehouse_staging_uri.rstrip("/")
    return RedshiftCopy(address, parquet_stage(staging), settings.warehouse_iam_role)


def parquet_stage(uri: str) -> Callable[[str, pl.DataFrame], str]:
    """A function that writes rows to `<uri>/<name>` as one Parquet file and returns its address."""

    def stage(name: str, rows: pl.DataFrame) -> str:
        content = io.BytesIO()
        rows.write_parquet(content)
        obstore.put(from_url(uri), name, content.getvalue())
        return f"{uri}/{name}"

    return stage


def removal(partition: Partition) -> list[Statement]:
    """The statements, with their values, that take a partition and its entry away."""
    entry = "lake.loaded_partitions where table_name = %s and partition_key = %s"
    values = (partition.table, partition.key)
    return [
        (
            f"delete from lake.{partition.table}"
            f" where partition_id in (select partition_id from {entry})",
            values,
        ),
        (f"delete from {entry}", values),
    ]


def entry(partition: Partition) -> list[Statement]:
    """The statement, with its values, that enters a partition in the books; none if it is gone."""
    if partition.signature is None:
        return []
    columns = "table_name, partition_key, partition_id, signature"
    values = (partition.table, partition.key, partition.number, partition.signature)
    return [(f"insert into lake.loaded_partitions ({columns}) values (%s, %s, %s, %s)", values)]


def copy_rows(to: cursor, table: str, rows: pl.DataFrame) -> None:
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
    to.copy_expert(f"copy lake.{table} ({columns}) from stdin (format csv, null '{_NULL}')", text)


def parquet_copy(table: str, columns: Sequence[str], file: str, iam_role: str) -> str:
    """Redshift's statement that appends one Parquet file to a table of the schema `lake`."""
    return (
        f"copy lake.{table} ({', '.join(columns)}) from {_literal(file)}"
        f" iam_role {_literal(iam_role)} format as parquet"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
