"""How long what arrived waited until its figures were published.

Belongs here: the seconds of one publishing. Does not: when a file arrived, which `file_ledger` has.
"""

import logging
from datetime import datetime, timedelta

import polars as pl

from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.damage import READ_ERRORS
from kpi_platform.storage.lake.lake import Lake

_LOG = logging.getLogger(__name__)
# What came longer ago is a backfill, or an hour that is worked on again: nobody waited for it.
_AWAITED = timedelta(days=7)
# The newest of the hours that changed: a first load of years looks at no more.
_MOST_HOURS = 168


def longest_wait(lake: Lake, hours: pl.Series, published_at: datetime) -> float | None:
    """Seconds from arrival to `published_at`, the longest of these ingest hours (UTC).

    Of each hour the newest file counts that was read, as it is what the hour's figures waited for:
    a late file is not laid to those that were published long before. Files that came more than a
    week ago say nothing. None if none of the hours has a file that is known to have arrived since,
    or if the ledger of files cannot be read, which its own checks say.
    """
    newest = hours.unique().sort(descending=True).head(_MOST_HOURS).to_list()
    if not newest:
        return None
    try:
        files = lake.scan_hours("file_ledger", newest).filter(
            pl.col("state") == "read",
            pl.col("arrived_at").is_between(published_at - _AWAITED, published_at),
        )
        arrived = files.group_by(INGEST_HOUR).agg(pl.col("arrived_at").max()).collect()
    except READ_ERRORS:
        _LOG.warning("file_ledger cannot be read: how long files waited is not known")
        return None
    first = arrived["arrived_at"].min()
    if not isinstance(first, datetime):
        return None
    return round((published_at - first).total_seconds(), 3)
