"""What the warehouse benchmarks capture: the sources, and an hour through the step that does it.

Belongs here: driving the real step. Does not: measuring, and making the rows.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import polars as pl

from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.engine.hour_steps import HourReport, work_through
from kpi_platform.schemas.sources_file.sources import Sources, Studio, parse_sources
from kpi_platform.storage.lake.lake import Lake, hours_in
from kpi_platform.storage.studio_databases import StudioWarehouse, open_warehouse

_TABLE = """
      - table: {table}
        key: id
        watermark: at
        event: Purchase
        event_at: at
        player_id: player
        session_id: session
        attributes: {{Amount: amount, Currency: currency}}"""
_STUDIO = """
- key: {key}
  warehouse: {warehouse}
  games:
  - key: {key}-game
    sources:
    - key: {key}-db
      schema: {schema}
      tables: {tables}"""


def bench_sources(*schemas: str, tables: int = 1, folder: Path | None = None) -> Sources:
    """A studio per schema, in the server of `BENCH_DSN`, or in a DuckDB file each in `folder`."""
    names = ["events", *(f"events_{n}" for n in range(1, tables))]
    texts = (
        _STUDIO.format(
            key=schema,
            schema=schema,
            warehouse="{kind: postgres, dsn_env: BENCH_DSN}"
            if folder is None
            else f"{{kind: duckdb, path: {folder}/studio-{schema}.duckdb}}",
            tables="".join(_TABLE.format(table=name) for name in names),
        )
        for schema in schemas
    )
    return parse_sources(f"studios:{''.join(texts)}\n", "bench.yaml")


def capture_hour(lake_folder: Path, sources: Sources, hour: datetime) -> dict[datetime, HourReport]:
    """Capture an hour as the asset does; the lake's first partition is the first hour captured."""
    return {report.hour: report for report in _captured(lake_folder, sources, hour)}


def _captured(lake_folder: Path, sources: Sources, hour: datetime) -> Iterator[HourReport]:
    lake = Lake(str(lake_folder))
    first = min([hour, *_hours_before(lake)])
    with closing(CaptureStep(lake, sources, _opened, first)) as step:
        for reports in work_through(lake, step, [hour], 1):
            yield from reports


def _hours_before(lake: Lake) -> list[datetime]:
    own = pl.col("table_name") == "raw_studio_events"
    return hours_in(lake.scan("hour_fingerprints").filter(own).collect())


def _opened(studio: Studio) -> StudioWarehouse:
    if studio.warehouse is None:
        raise ValueError(f"{studio.key} has no warehouse")
    return open_warehouse(studio.warehouse, Path(), os.environ.get)
