"""Books that name hours, each with how many rows it lost: `dropped_hours`, `emptied_hours`.

Belongs here: reading and writing such a book. Does not: what went, and what follows from it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import polars as pl

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, hours_in


def hours_noted(lake: Lake, book: str, hours: Iterable[datetime] | None = None) -> set[datetime]:
    """Those of these hours, or of all, that stand in the table `book`."""
    if hours is None:
        return set(hours_in(lake.scan(book).collect()))
    wanted = set(hours)
    return set(hours_in(lake.read_hours(book, wanted))) if wanted else set()


def note_hours(lake: Lake, book: str, rows: Mapping[datetime, int]) -> None:
    """Write these hours, each with its count of rows, into the table `book`."""
    frame = pl.DataFrame(
        [(hour.date(), hour.hour, count) for hour, count in rows.items()],
        schema=TABLES[book].polars_schema,
        orient="row",
    )
    lake.replace_hours(book, frame, list(rows))
