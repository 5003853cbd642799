"""What the ledger of hours says of each hour and source: run, delivered, closed, not read.

Belongs here: reading rows of `hour_ledger`, as sets of hours. Does not: keeping the sets, and what
follows from them (completeness.py).

All times are UTC without a zone, as in the KPI database.
"""

from collections import defaultdict
from datetime import datetime

import polars as pl

RAN, DATA, CLOSED, NOT_READ = "ran", "data", "closed", "not_read"
# The source of what is true of an hour as a whole.
OF_THE_HOUR = ""
# (state, source).
Key = tuple[str, str]


def hours_by_state(ledger: pl.DataFrame) -> dict[Key, set[datetime]]:
    """What rows of `hour_ledger` say of hours and sources.

    Needs `p_ingest_date_utc`, `p_ingest_hour_utc`, `source`, `status`, `files`, `lines`, `rows` and
    `is_closed`. An hour has run if any source of it was read and decoded; a source of such an hour
    that was not is NOT_READ.
    """
    rows = ledger.select(
        "source",
        hour=pl.col("p_ingest_date_utc").cast(pl.Datetime("us"))
        + pl.duration(hours=pl.col("p_ingest_hour_utc")),
        is_read=(pl.col("status") == "processed") & pl.col("rows").is_not_null(),
        has_data=((pl.col("files") > 0) | (pl.col("lines") > 0)).fill_null(value=False),
        is_closed=pl.col("is_closed").fill_null(value=False),
    ).with_columns(has_run=pl.col("is_read").any().over("hour"))
    found: dict[Key, set[datetime]] = defaultdict(set)
    for source, hour, is_read, has_data, is_closed, has_run in rows.iter_rows():
        for state, key, holds in (
            (RAN, OF_THE_HOUR, has_run),
            (DATA, source, is_read and has_data),
            (CLOSED, source, is_read and is_closed),
            (NOT_READ, source, has_run and not is_read),
        ):
            if holds:
                found[state, key].add(hour)
    return dict(found)
