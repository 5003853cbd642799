"""Sets of hours as ranges, so that ten years without a hole are one row and not 87,600.

Belongs here: pure operations on ranges. Does not: what the hours of a set have in common.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# From the start of the first hour to the end of the last: half-open.
Range = tuple[datetime, datetime]


def named_range(first: str, last: str) -> str:
    """How a range of hours is written everywhere: the key of its one hour, or of its first and last
    as `A...B`, which Dagster's `--partition-range` takes."""
    return first if first == last else f"{first}...{last}"


def ranges_of(hours: Iterable[datetime]) -> list[Range]:
    """The hours as the fewest ranges, in order."""
    return merged((hour, hour + HOUR) for hour in hours)


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The union of ranges as the fewest ranges, in order; empty ones vanish."""
    union: list[Range] = []
    for first, end in sorted(ranges):
        if first >= end:
            continue
        if union and first <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((first, end))
    return union


def intersected(ranges: Iterable[Range], first: datetime, end: datetime) -> list[Range]:
    """What of the ranges lies from `first` to `end`."""
    return merged((max(start, first), min(stop, end)) for start, stop in ranges)


def subtracted(ranges: Iterable[Range], holes: Iterable[Range]) -> list[Range]:
    """What of the ranges lies in none of the holes."""
    missing = merged(holes)
    left: list[Range] = []
    for first, end in merged(ranges):
        at = first
        for start, stop in missing:
            if stop <= at:
                continue
            if start >= end:
                break
            left.append((at, start))
            at = stop
        left.append((at, end))
    return merged(left)


def differing(one: Sequence[Range], other: Sequence[Range]) -> list[Range]:
    """What is in one of two sets and not in the other."""
    return merged([*subtracted(one, other), *subtracted(other, one)])


def replaced_days(
    ranges: Iterable[Range], days: Iterable[date], hours: Iterable[datetime]
) -> list[Range]:
    """The ranges after these days, whole, came to hold the hours given and no others."""
    holes = [(_midnight(day), _midnight(day) + DAY) for day in days]
    return merged([*subtracted(ranges, holes), *ranges_of(hours)])


def hours_within(ranges: Iterable[Range]) -> list[datetime]:
    """The start of every hour in the ranges, in order."""
    return [first + n * HOUR for first, end in ranges for n in range(-(-(end - first) // HOUR))]


def days_within(ranges: Iterable[Range]) -> list[date]:
    """Every UTC date that a range meets, in order."""
    days = set()
    for first, end in ranges:
        day = first.date()
        while _midnight(day) < end.replace(tzinfo=None):
            days.add(day)
            day += DAY
    return sorted(days)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 (ranges are UTC without a zone)
