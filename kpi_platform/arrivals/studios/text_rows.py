"""Typed rows -> one JSON object of texts each, in a form that depends on the values alone.

Belongs here: how a value of every type is written as text. Does not: which rows there are.
"""

from collections.abc import Collection

import polars as pl


def row_texts(rows: pl.DataFrame) -> pl.Series:
    """Write every row as a JSON object of texts, its columns by name; a null column is null.

    Times with a zone are written in UTC, those without as they are; numbers exactly; bytes in
    hexadecimal; nested values as JSON text.
    """
    if not rows.width:
        return pl.Series("row", ["{}"] * rows.height, dtype=pl.String)
    columns = [_text(name, rows.schema[name]) for name in sorted(rows.columns)]
    return rows.select(row=pl.struct(columns).struct.json_encode()).to_series()


def text_columns(rows: pl.DataFrame, names: Collection[str]) -> pl.DataFrame:
    """These columns as the texts that `row_texts` writes."""
    return rows.select(_text(name, rows.schema[name]) for name in sorted(names))


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
        return column.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    if dtype == pl.Binary:
        return column.bin.encode("hex")
    if isinstance(dtype, pl.List | pl.Array | pl.Struct):
        whole = pl.struct(column.alias("_")).struct.json_encode()
        return pl.when(column.is_not_null()).then(whole.str.slice(5).str.head(-1)).alias(name)
    return column.cast(pl.String)
