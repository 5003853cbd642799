"""How rows become files of a Delta table, and writes that another writer's commit overtakes.

Belongs here: types and encodings of files, the columns that a contract has gained, trying again.
Does not: which rows of which table are written (lake.py), rows changed by key (keyed_changes.py).

**Texts are Arrow's `string` in every file.** A Parquet file keeps the Arrow types that it was
written from, and pyarrow cannot filter, sort or join `string_view`, which Polars hands out without
a copy and which deltalake's MERGE, DELETE and UPDATE write whatever they are given. So frames pass
`arrow_stream`, and neither of the three is used.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Literal, TypedDict, TypeVar

import polars as pl
import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Schema,
    Transaction,
    WriterProperties,
)
from deltalake.exceptions import CommitFailedError, DeltaError
from obstore.exceptions import BaseError

from kpi_platform.schemas.tables import Table
from kpi_platform.storage.lake.lake_root import LakeError
from kpi_platform.storage.lake.leases import LeaseLostError, check_leases
from kpi_platform.storage.landing.s3_words import said_of_s3

T = TypeVar("T")


class _Compression(TypedDict):
    compression: Literal["ZSTD"]
    compression_level: int


ROW_GROUP_ROWS = 250_000
# Two fifths smaller than Snappy at the time that it takes to write, and read as quickly.
COMPRESSION: _Compression = {"compression": "ZSTD", "compression_level": 1}
_TRIES = 12
# Rows converted at a time. Offsets of `string` count to 2 GiB: 16,384 rows of the longest texts
# that we keep (64 KiB a raw line) stay below it.
_BATCH_ROWS = 16_384


def arrow_schema(schema: pl.Schema) -> pa.Schema:
    """The types that files have: those of the frame, texts as `string`, bytes as `binary`."""
    fields = pl.DataFrame(schema=schema).to_arrow().schema
    return pa.schema([field.with_type(_type_in_files(field.type)) for field in fields])


def arrow_stream(schema: pl.Schema, frames: Iterable[pl.DataFrame]) -> pa.RecordBatchReader:
    """Frames of this schema as a stream of Arrow, converted some rows at a time when it is read."""
    types = arrow_schema(schema)
    parts = (part for frame in frames for part in frame.iter_slices(_BATCH_ROWS))
    batches = (batch for part in parts for batch in part.to_arrow().cast(types).to_batches())
    return pa.RecordBatchReader.from_batches(types, batches)


def _type_in_files(of: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(of):
        return pa.string()
    if pa.types.is_large_binary(of):
        return pa.binary()
    if pa.types.is_large_list(of):
        return pa.list_(pa.field("element", _type_in_files(of.value_type)))
    if pa.types.is_struct(of):
        return pa.struct([field.with_type(_type_in_files(field.type)) for field in of])
    return of


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
        **COMPRESSION,
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
        # For how long the log remembers which hour a commit was about.
        "delta.setTransactionRetentionDuration": "interval 30 days",
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
    wanted = Schema.from_arrow(arrow_schema(contract.polars_schema))
    stored = {field.name for field in target.schema().fields}
    missing = [field for field in wanted.fields if field.name not in stored]
    if missing:
        target.alter.add_columns(missing)


def about_hours(hours: Iterable[datetime]) -> CommitProperties:
    """What a commit says of the hours that it is about: of two made at once from the same state
    of the table, the second fails."""
    now = int(time.time() * 1000)
    return CommitProperties(
        app_transactions=[Transaction(f"hour {hour:%Y-%m-%d-%H}", now, now) for hour in hours]
    )


def retried(write: Callable[[], T]) -> T:
    """Repeat a write that another writer's commit overtook; any other error is raised at once.

    Raises LakeError where S3 fails, and LeaseLostError instead of writing under a lease that may be
    another run's by now.
    """
    # Imported where lakes are written, not where they are read.
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

    def unless_lost() -> T:
        check_leases()
        return write()

    try:
        return Retrying(
            retry=retry_if_exception_type(CommitFailedError),
            stop=stop_after_attempt(_TRIES),
            wait=wait_exponential(0.05, max=2.0),
            reraise=True,
        )(unless_lost)
    except CommitFailedError:
        raise
    except (DeltaError, BaseError, OSError) as error:
        if isinstance(error, LeaseLostError) or (said := said_of_s3(error)) is None:
            raise
        raise LakeError(f"KPI_LAKE_URI: {said}") from None
