"""Hours that a table has to be brought up to date for although no run was asked for them.

Belongs here: the queue. Does not: who puts hours there, and the work.

An hour is queued before the change that touches it, and leaves the queue after the work: a run
that is killed in between leaves it to the next one.
"""

import uuid
from collections.abc import Collection
from datetime import datetime

import polars as pl

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, hours_in

TABLE = "hour_queue"


def enqueue_hours(lake: Lake, table: str, hours: Collection[datetime]) -> None:
    """Put hours into the queue of `table`."""
    if not hours:
        return
    batch = uuid.uuid4().hex
    rows = [(table, batch, hour.date(), hour.hour) for hour in sorted(set(hours))]
    schema = TABLES[TABLE].polars_schema
    lake.append(TABLE, pl.DataFrame(rows, schema=schema, orient="row"))


def waiting_hours(lake: Lake, table: str) -> tuple[list[str], list[datetime]]:
    """The batches in the queue of `table`, and their hours."""
    rows = lake.scan(TABLE).filter(pl.col("table_name") == table).collect()
    return rows["batch_id"].unique().sort().to_list(), hours_in(rows)


def dequeue_hours(lake: Lake, table: str, batches: Collection[str]) -> None:
    """Remove batches, all of whose hours are done."""
    if batches:
        names = ", ".join(f"'{batch}'" for batch in batches)
        lake.delete(TABLE, f"table_name = '{table}' AND batch_id IN ({names})")
