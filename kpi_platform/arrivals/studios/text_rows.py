"""Typed rows -> one JSON object of texts each, in a form that depends on the values alone.

Belongs here: how a value of every type is written as text. Does not: which rows there are.
"""

from collections.abc import Collection

import polars as pl

from kpi_platform.schemas.sources_file.mapped_values import field, field_name


def row_texts(rows: pl.DataFrame) -> pl.Series:
    """Write every row as a JSON object of texts, its columns by name; a null column is null.

    Times with a zone are written in UTC, those without as they are; numbers exactly; bytes in
    hexadecimal; durations by ISO 8601 (`PT5M`); nested values as JSON text.
    """
    if not rows.width:
        return pl.Series("row", ["{}"] * rows.height, dtype=pl.String)
    texts = pl.struct(_texts(rows, rows.columns))
    return _as_fields(rows).select(row=texts.struct.json_encode()).to_series()


def text_columns(rows: pl.DataFrame, names: Collection[str]) -> pl.DataFrame:
    """These columns as the texts that `row_texts` writes."""
    return _as_fields(rows).select(_texts(rows, names))


def _texts(rows: pl.DataFrame, names: Collection[str]) -> list[pl.Expr]:
    # Asked for once: a frame makes its schema anew each time, column by column.
    schema = rows.schema
    return [_text(name, schema[name]) for name in sorted(names)]


def _as_fields(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows under names that Polars takes for no pattern."""
    named = rows.clone()
    named.columns = [field_name(name) for name in rows.columns]
    return named


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    return _written(field(name), dtype).alias(name)


def _written(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
        return column.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    if dtype == pl.Binary:
        return column.bin.encode("hex")
    if isinstance(dtype, pl.Duration):
        return column.dt.to_string("iso")
    if isinstance(dtype, pl.List | pl.Array | pl.Struct | pl.Map):
        whole = pl.struct(column.alias("_")).struct.json_encode()
        return pl.when(column.is_not_null()).then(whole.str.slice(5).str.head(-1))
    return column.cast(pl.String)
