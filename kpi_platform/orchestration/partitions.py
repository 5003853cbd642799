"""The hours: Dagster's hourly partitions and the ways from a key to an hour and back.

Belongs here: what an ingest hour is called. Does not: what happens in it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dagster import HourlyPartitionsDefinition

from kpi_platform.settings import PARTITION_FORMAT, load_settings

HOUR = timedelta(hours=1)


def hourly_partitions(start: datetime) -> HourlyPartitionsDefinition:
    """Hourly partitions in UTC from `start` on; keys look like `2026-01-01-05:00`."""
    return HourlyPartitionsDefinition(start_date=start, timezone="UTC", fmt=PARTITION_FORMAT)


# The one setting that Dagster must know before any run: it decides which partitions exist.
HOURLY = hourly_partitions(load_settings().start_hour)


def hour_of(key: str) -> datetime:
    """The hour that a partition key names. Raises ValueError for anything else."""
    return datetime.strptime(key, PARTITION_FORMAT).replace(tzinfo=UTC)


def key_of(hour: datetime) -> str:
    """The partition key of an hour."""
    return hour.strftime(PARTITION_FORMAT)


def fold_ranges(hours: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Neighbouring hours as (first, last) ranges, in order; repeats count once."""
    ranges: list[tuple[datetime, datetime]] = []
    for hour in sorted(set(hours)):
        if ranges and hour - ranges[-1][1] == HOUR:
            ranges[-1] = (ranges[-1][0], hour)
        else:
            ranges.append((hour, hour))
    return ranges
