"""Rows of a studio's table -> versions to keep: their key, watermark, hour and text.

Belongs here: what is captured of a row, as a function of the row alone. Does not: reading rows,
and which version counts in the end.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl
import polars_hash as plh

from kpi_platform.arrivals.studios.text_rows import row_texts, text_columns
from kpi_platform.schemas.sources_file.mapped_values import instant_of
from kpi_platform.schemas.sources_file.source_tables import Captured
from kpi_platform.schemas.tables import TABLES

_VERSIONS = TABLES["raw_studio_events"].polars_schema
_DIMENSION = TABLES["studio_dimensions"].polars_schema
# Keys in which a column is null; the row's own text stands in, so that no two rows become one.
_KEYLESS = "no key: "


@dataclass(frozen=True)
class CapturedTable:
    """A table to capture for a source; `first_hour` takes everything that is older."""

    source: str
    schema: str
    table: str
    mapping: Captured
    ignored: tuple[str, ...]
    needed: frozenset[str]
    first_hour: datetime

    def versions(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows as `raw_studio_events`: each in the hour of its watermark, none before the
        first."""
        texts = row_texts(rows)
        first = pl.lit(self.first_hour.replace(tzinfo=None)).cast(pl.Datetime("us", "UTC"))
        hour = pl.max_horizontal(first, pl.col("watermark_at").dt.truncate("1h"))
        return (
            pl.DataFrame([texts, self._keys(rows, texts), self._watermarks(rows)])
            .with_columns(hour=hour.fill_null(first), content_hash=_hash("row"))
            .select(
                source=pl.lit(self.source),
                table_name=pl.lit(self.table),
                row_key="row_key",
                watermark_at="watermark_at",
                content_hash="content_hash",
                row="row",
                p_ingest_date_utc=pl.col("hour").dt.date(),
                p_ingest_hour_utc=pl.col("hour").dt.hour().cast(pl.Int32),
            )
            .select(pl.col(name).cast(dtype) for name, dtype in _VERSIONS.items())
        )

    def dimension(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows as `studio_dimensions`."""
        texts = row_texts(rows)
        keyed = pl.DataFrame([texts, self._keys(rows, texts)])
        return keyed.select(
            source=pl.lit(self.source), table_name=pl.lit(self.table), row_key="row_key", row="row"
        ).select(list(_DIMENSION))

    def _keys(self, rows: pl.DataFrame, texts: pl.Series) -> pl.Series:
        names = self.mapping.key
        if not names:
            return texts.alias("row_key")
        columns = text_columns(rows, set(names))
        whole = columns[names[0]] if len(names) == 1 else row_texts(columns)
        if not any(column.null_count() for column in columns):
            return whole.alias("row_key")
        is_null = columns.select(pl.any_horizontal(pl.all().is_null())).to_series()
        own = pl.DataFrame({"text": texts}).select(pl.lit(_KEYLESS) + pl.col("text")).to_series()
        return whole.zip_with(~is_null, own).alias("row_key")

    def _watermarks(self, rows: pl.DataFrame) -> pl.Series:
        watermark = self.mapping.watermark
        if watermark is None:
            return pl.Series("watermark_at", [None] * rows.height, pl.Datetime("us", "UTC"))
        dtype = rows.schema[watermark.column]
        if isinstance(dtype, pl.Datetime) and (dtype.time_zone or watermark.zone == "UTC"):
            # What its text would be read as, without writing and reading it.
            zoned = rows[watermark.column].cast(pl.Datetime("us", dtype.time_zone))
            naive = zoned.dt.convert_time_zone("UTC") if dtype.time_zone else zoned
            return naive.dt.replace_time_zone("UTC").alias("watermark_at")
        column = text_columns(rows, {watermark.column})
        return column.select(watermark_at=instant_of(watermark)).to_series()


def _hash(column: str) -> pl.Expr:
    return plh.NonCryptographicHashingNameSpace(pl.col(column)).xxh3_64().reinterpret(signed=True)
