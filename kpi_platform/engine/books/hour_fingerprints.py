"""What each table consumed per hour, and what it made of it: how unchanged hours are known.

Belongs here: reading and recording fingerprints. Does not: how a fingerprint is computed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, hours_in

TABLE = "hour_fingerprints"


@dataclass(frozen=True)
class Consumed:
    """What a table holds of an hour: the input it read, the content it wrote, its rows."""

    input: str
    content: str
    rows: int


def read_consumed(lake: Lake, table: str, hours: Iterable[datetime]) -> dict[datetime, Consumed]:
    """What `table` consumed of these hours; an hour never consumed is absent."""
    rows = lake.scan_hours(TABLE, hours).filter(pl.col("table_name") == table).collect()
    return {
        datetime.combine(day, datetime.min.time(), UTC).replace(hour=hour): Consumed(*values)
        for _, day, hour, *values in rows.select(TABLES[TABLE].polars_schema.names()).iter_rows()
    }


def newest_hour(lake: Lake, table: str) -> datetime | None:
    """The newest hour that `table` consumed; None if there is none."""
    partitions = lake.partitions(TABLE)
    days = [key for key in partitions.signatures if key[0] == table]
    if not days:
        return None
    return hours_in(partitions.read(max(days)))[-1]


def record_consumed(lake: Lake, table: str, consumed: Mapping[datetime, Consumed]) -> None:
    """Record what `table` consumed, after its commit: a crash in between repeats the hour."""
    if not consumed:
        return
    rows = pl.DataFrame(
        [
            (table, hour.date(), hour.hour, item.input, item.content, item.rows)
            for hour, item in consumed.items()
        ],
        schema=TABLES[TABLE].polars_schema,
        orient="row",
    )
    lake.replace_hours(TABLE, rows, list(consumed), where=f"table_name = '{table}'")


def forget_consumed(lake: Lake, table: str, hours: Sequence[datetime]) -> None:
    """Forget these hours, so that the next run works on them whatever their input."""
    # To find nothing to forget costs a fraction of deleting nothing.
    if hours and read_consumed(lake, table, hours):
        nothing = TABLES[TABLE].polars_schema.to_frame()
        lake.replace_hours(TABLE, nothing, hours, where=f"table_name = '{table}'")
