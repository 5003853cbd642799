"""The hours: Dagster's hourly partitions and the ways from a key to an hour and back.

Belongs here: what an ingest hour is called. Does not: what happens in it.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import click
import dagster as dg

from kpi_platform.orchestration.dagster_internals import TimeWindowPartitionsSubset
from kpi_platform.schemas.hours.hour_ranges import named_range
from kpi_platform.settings import PARTITION_FORMAT, load_settings

HOUR = timedelta(hours=1)
# What people type instead of a key, most exact first.
_SPELLINGS = ("%Y-%m-%d-%H:%M", "%Y-%m-%d-%H", "%Y-%m-%d")


class PartitionKeyError(dg.DagsterError, click.ClickException):
    """A partition key, or a range of them, that names no hour; the message has the right one.

    Dagster's commands end with its message as one line, as with any mistake in what was typed.
    """


class HourlyPartitions(dg.HourlyPartitionsDefinition):
    """Dagster's hourly partitions, which say how a key is written when it is written otherwise.

    Dagster takes any minute for a key, and a range that ends before it begins for one without
    partitions: a run of either is green and has done nothing.
    """

    def has_partition_key(self, partition_key: str) -> bool:
        """Whether the key is that of a whole hour between the first partition and now."""
        return super().has_partition_key(partition_key) and partition_key == _meant(partition_key)

    def validate_partition_key(self, partition_key: str, context: object) -> None:
        """Raise PartitionKeyError unless the key is that of a partition."""
        if not self.has_partition_key(partition_key):
            raise PartitionKeyError(self._why_not(partition_key))

    def get_partition_keys_in_range(
        self, partition_key_range: dg.PartitionKeyRange
    ) -> Sequence[str]:
        """The keys from the first to the last of the range, both included."""
        window = dg.TimeWindow(
            self.start_time_for_partition_key(partition_key_range.start),
            self.end_time_for_partition_key(partition_key_range.end),
        )
        _refuse_reversed(window)
        return super().get_partition_keys_in_range(partition_key_range)

    def get_partition_subset_in_time_window(
        self, time_window: dg.TimeWindow
    ) -> TimeWindowPartitionsSubset:
        """The partitions of a window, of which a run that is created for a range is made."""
        _refuse_reversed(time_window)
        return super().get_partition_subset_in_time_window(time_window)

    def _why_not(self, key: str) -> str:
        right, first = _meant(key), key_of(self.start)
        if right is None:
            return f"{key} names no hour: write it like {first}, in UTC"
        if not super().has_partition_key(right):
            last = self.get_last_partition_key() or "the one that runs now"
            return f"{key} is no hour of the platform: its hours go from {first} to {last}"
        return f"{key} names no hour: write {right}"


def _refuse_reversed(window: dg.TimeWindow) -> None:
    if window.end <= window.start:
        first, last = key_of(window.end - HOUR), key_of(window.start)
        raise PartitionKeyError(
            f"the range {last}...{first} ends before it begins: write {first}...{last}"
        )


def _meant(text: str) -> str | None:
    """The key of the hour that somebody who wrote this meant; None if nobody can tell."""
    plain = text.strip().replace("T", "-").replace(" ", "-").removesuffix("Z")
    for spelling in _SPELLINGS:
        with suppress(ValueError):
            meant = datetime.strptime(plain, spelling).replace(minute=0, tzinfo=UTC)
            return key_of(meant)
    return None


def hourly_partitions(start: datetime) -> HourlyPartitions:
    """Hourly partitions in UTC from `start` on; keys look like `2026-01-01-05:00`."""
    return HourlyPartitions(start_date=start, timezone="UTC", fmt=PARTITION_FORMAT)


# The one setting that Dagster must know before any run: it decides which partitions exist.
HOURLY = hourly_partitions(load_settings().start_hour)


def hour_of(key: str) -> datetime:
    """The hour that a partition key names. Raises ValueError for anything else."""
    return datetime.strptime(key, PARTITION_FORMAT).replace(tzinfo=UTC)


def key_of(hour: datetime) -> str:
    """The partition key of an hour."""
    return hour.strftime(PARTITION_FORMAT)


def range_name(first: datetime, last: datetime) -> str:
    """The partition key of an hour, or the keys of a range's first and last as `A...B`."""
    return named_range(key_of(first), key_of(last))


def fold_ranges(hours: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Neighbouring hours as (first, last) ranges, in order; repeats count once."""
    ranges: list[tuple[datetime, datetime]] = []
    for hour in sorted(set(hours)):
        if ranges and hour - ranges[-1][1] == HOUR:
            ranges[-1] = (ranges[-1][0], hour)
        else:
            ranges.append((hour, hour))
    return ranges
