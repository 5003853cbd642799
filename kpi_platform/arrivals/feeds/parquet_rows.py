"""A Parquet file of a feed -> rows of texts, in batches, of a size that its own size bounds.

Belongs here: judging a file before it is unpacked, rows that cannot be written as text. Does not:
how a value is written (`text_rows.py`).
"""

import io
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kpi_platform.arrivals.feeds.text_lines import LONGEST_LINE
from kpi_platform.arrivals.studios.text_rows import row_texts
from kpi_platform.schemas.texts.row_faults import FAULTS, NOT_MAPPED

ROWS_AT_A_TIME = 4_096
# What a file may become: a value that is written once and used by every row costs its sender
# nothing, but us a copy a row.
_FREE_BYTES = 64 << 20
_TIMES_ITS_SIZE = 100


class TooLargeError(ValueError):
    """A file holds far more than its size lets expect."""


def parquet_rows(data: bytes) -> Iterator[tuple[pl.Series, pl.Series]]:
    """The rows as JSON texts (null: no such text can be made), and why a row is of no use (null:
    it is of use), in the order of the file.

    Raises TooLargeError before anything is unpacked if the file would become far larger than
    itself, and whatever the library raises for a file that it cannot read.
    """
    _judge(data)
    with pq.ParquetFile(io.BytesIO(data)) as file:
        for batch in file.iter_batches(ROWS_AT_A_TIME):
            yield from _texts(_frame(batch))


def _judge(data: bytes) -> None:
    limit = _FREE_BYTES + _TIMES_ITS_SIZE * len(data)
    with pq.ParquetFile(io.BytesIO(data)) as file:
        about = file.metadata
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        paths = [file.schema.column(place).path for place in range(len(file.schema))]
    if sum(group.total_byte_size for group in groups) > limit:
        raise TooLargeError("its pages unpack to more than a hundred times the file")
    total = 0
    # Read so, a value that many rows use stays in memory once.
    with pq.ParquetFile(io.BytesIO(data), read_dictionary=paths) as file:
        for batch in file.iter_batches(ROWS_AT_A_TIME):
            # Every row writes the names of its columns.
            total += batch.num_rows * (2 + sum(len(name) + 6 for name in batch.schema.names))
            total += sum(_unpacked_bytes(column) for column in batch.columns)
            if total > limit:
                raise TooLargeError("its rows are more than a hundred times the file")


def _unpacked_bytes(column: pa.Array) -> int:
    """What a column takes once every row has its own copy of its value."""
    kind = column.type
    if pa.types.is_dictionary(kind) and _is_text(kind.value_type):
        lengths = pc.binary_length(column.dictionary)
        return int(pc.sum(pc.take(lengths, column.indices)).as_py() or 0)
    if pa.types.is_map(kind):
        return _unpacked_bytes(column.keys) + _unpacked_bytes(column.items)
    if pa.types.is_struct(kind):
        return sum(_unpacked_bytes(part) for part in column.flatten())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _unpacked_bytes(column.flatten())
    return int(column.nbytes)


def _is_text(kind: pa.DataType) -> bool:
    return any(
        check(kind)
        for check in (
            pa.types.is_string,
            pa.types.is_binary,
            pa.types.is_large_string,
            pa.types.is_large_binary,
        )
    )


def _frame(batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 (what a batch becomes)
    return frame


def _texts(rows: pl.DataFrame) -> Iterator[tuple[pl.Series, pl.Series]]:
    """Halves what cannot be written until the rows at fault stand alone."""
    try:
        texts = row_texts(rows)
    except FAULTS:
        if rows.height <= 1:
            yield _series("row", None), _series("reason", NOT_MAPPED)
            return
        middle = rows.height // 2
        yield from _texts(rows[:middle])
        yield from _texts(rows[middle:])
        return
    is_long = texts.str.len_bytes() > LONGEST_LINE
    reasons = pl.select(pl.when(is_long).then(pl.lit("line_too_long")).alias("reason"))
    yield texts, reasons.to_series()


def _series(name: str, text: str | None) -> pl.Series:
    return pl.Series(name, [text], dtype=pl.String)
