"""How rows become files of a Delta table, and writes that another writer's commit overtakes.

Belongs here: encodings, the MERGE of changed rows, the columns that a contract has gained, trying
again. Does not: which rows of which table are written (lake.py).
"""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import polars as pl
import pyarrow as pa
from deltalake import ColumnProperties, DeltaTable, Schema, WriterProperties
from deltalake.exceptions import CommitFailedError

from kpi_platform.schemas.tables import Table
from kpi_platform.storage.lake.leases import check_leases

T = TypeVar("T")

ROW_GROUP_ROWS = 250_000
_TRIES = 12
_OPERATION = "_operation"


def to_arrow_table(frame: pl.DataFrame) -> pa.Table:
    """A frame as Arrow without copying its texts, which is most of the work of converting it."""
    return frame.to_arrow(compat_level=pl.CompatLevel.newest())


def writer_properties(contract: Table) -> WriterProperties:
    """How files are written: dictionaries only where they can be of use.

    Free texts lie one after the other, their lengths apart: a third less time to write than
    lengths between the texts, less to read, and smaller once compressed.
    """
    distinct = ColumnProperties(dictionary_enabled=False)
    free = ColumnProperties(dictionary_enabled=False, encoding="DELTA_LENGTH_BYTE_ARRAY")
    schema = contract.polars_schema
    numbers = [name for name, dtype in _paths(schema) if dtype in (pl.Int64, pl.Datetime)]
    return WriterProperties(
        compression="SNAPPY",
        # Writers and readers hold whole row groups.
        max_row_group_size=ROW_GROUP_ROWS,
        column_properties=dict.fromkeys(numbers, distinct)
        | dict.fromkeys(contract.free_texts, free),
    )


def table_properties(contract: Table) -> dict[str, str]:
    """What a table is made with."""
    named = ",".join(contract.statistics)
    return {
        "delta.checkpointInterval": "50",
        **({"delta.dataSkippingStatsColumns": named} if named else {}),
    }


def _paths(schema: pl.Schema) -> Iterator[tuple[str, pl.DataType]]:
    """The columns as files name them: those within lists of structs by their path."""
    for name, dtype in schema.items():
        if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
            fields = pl.Schema(dtype.inner.to_schema())
            yield from ((f"{name}.list.element.{field}", kind) for field, kind in fields.items())
        else:
            yield name, dtype


def add_missing_columns(target: DeltaTable, contract: Table) -> None:
    """Give a table of an earlier release the columns that its contract has gained since."""
    wanted = Schema.from_arrow(pl.DataFrame(schema=contract.polars_schema).to_arrow().schema)
    known = {field.name for field in target.schema().fields}
    missing = [field for field in wanted.fields if field.name not in known]
    if missing:
        target.alter.add_columns(missing)


def changes_of(contract: Table, upserts: pl.DataFrame, deletes: pl.DataFrame) -> pl.DataFrame:
    """What `merge` is to do: rows to insert or update, and keys to delete, in one frame.

    A row that is deleted from one partition and inserted into another moves: it is looked for
    where it was (`_in_<partition column>`), and inserted only as the row found there.
    """
    columns = contract.polars_schema.names()
    found_in = {_found_in(name): name for name in contract.partition_by}
    held = deletes.select(*contract.keys, **found_in)
    rows = upserts.select(columns).join(held, on=contract.keys, how="left")
    is_move = pl.col(next(iter(found_in))).is_not_null()
    moves_or_stays = pl.when(is_move).then(pl.lit("move")).otherwise(pl.lit("upsert"))
    stays_in = {new: pl.coalesce(new, name) for new, name in found_in.items()}
    gone = held.join(upserts, on=contract.keys, how="anti")
    return pl.concat(
        [
            rows.with_columns(moves_or_stays.alias(_OPERATION), **stays_in),
            gone.with_columns(pl.lit("delete").alias(_OPERATION)),
        ],
        how="diagonal",
    ).select(*columns, *found_in, _OPERATION)


def merge(target: DeltaTable, contract: Table, changes: pl.DataFrame) -> None:
    """Insert, update, move and delete rows by key in one commit; `changes` as `changes_of` gives
    them. Repeated, it leaves the same rows: a commit may have been made and its answer lost.
    """
    values = {name: f"s.{name}" for name in contract.polars_schema.names()}
    same = [f"t.{name} = s.{name}" for name in contract.keys]
    there = [f"t.{name} = s.{_found_in(name)}" for name in contract.partition_by]
    (
        target.merge(
            changes,
            " AND ".join([_partitions_to_search(contract, changes), *there, *same]),
            source_alias="s",
            target_alias="t",
            writer_properties=writer_properties(contract),
        )
        .when_matched_delete(f"s.{_OPERATION} = 'delete'")
        .when_matched_update(values)
        .when_not_matched_insert(values, predicate=f"s.{_OPERATION} = 'upsert'")
        .execute()
    )


def _found_in(partition_column: str) -> str:
    return f"_in_{partition_column}"


def _partitions_to_search(contract: Table, changes: pl.DataFrame) -> str:
    """The partitions in which a row may have to be changed, as SQL.

    Those to which rows only move are neither read nor copied. Named as values, partitions are left
    out before their files are read; as columns, after.
    """
    found_in = [_found_in(name) for name in contract.partition_by]
    partitions = changes.select(
        pl.col(found_in).name.map(lambda n: n.removeprefix("_in_"))
    ).unique()
    *outer, _ = contract.partition_by
    alike = partitions.partition_by(outer) if outer else [partitions]
    named = (
        " AND ".join(f"t.{name} IN ({_literals(some[name])})" for name in contract.partition_by)
        for some in alike
    )
    return "(" + " OR ".join(f"({some})" for some in named) + ")"


def _literals(values: pl.Series) -> str:
    """The distinct values (texts, dates or whole numbers) as SQL."""
    texts = (str(value).replace("'", "''") for value in values.unique().sort())
    return ", ".join(texts if values.dtype.is_integer() else (f"'{text}'" for text in texts))


def retried(write: Callable[[], T]) -> T:
    """Repeat a write that another writer's commit overtook; any other error is raised at once.

    Raises LeaseLostError instead of writing under a lease that may be another run's by now.
    """
    for attempt in range(_TRIES):
        check_leases()
        try:
            return write()
        except CommitFailedError:
            if attempt == _TRIES - 1:
                raise
            time.sleep(min(0.05 * 2**attempt, 2.0))
    raise AssertionError("unreachable: the last attempt returns or raises")
