"""Ranges of hours do what sets of hours do."""

from datetime import date, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kpi_platform.schemas.hours.hour_ranges import (
    HOUR,
    days_within,
    differing,
    hours_within,
    intersected,
    ranges_of,
    replaced_days,
    subtracted,
)

START = datetime(2026, 1, 28)  # noqa: DTZ001
HOURS = [START + n * HOUR for n in range(75)]
sets = st.sets(st.sampled_from(HOURS))


@given(sets, sets, st.sampled_from(HOURS), st.sampled_from(HOURS))
def test_ranges_are_sets(
    one: set[datetime], other: set[datetime], first: datetime, end: datetime
) -> None:
    ranges = ranges_of(one)

    assert set(hours_within(ranges)) == one
    assert all(stop < start for (_, stop), (start, _) in pairwise(ranges))
    assert subtracted(ranges, ranges_of(other)) == ranges_of(one - other)
    assert differing(ranges, ranges_of(other)) == ranges_of(one ^ other)
    assert intersected(ranges, first, end) == ranges_of(h for h in one if first <= h < end)
    assert days_within(ranges) == sorted({hour.date() for hour in one})


@given(sets, sets, st.sets(st.sampled_from([date(2026, 1, 28), date(2026, 1, 30)])))
def test_days_are_replaced_whole(old: set[datetime], new: set[datetime], days: set[date]) -> None:
    now = {hour for hour in new if hour.date() in days}

    assert replaced_days(ranges_of(old), days, now) == ranges_of(
        now | {hour for hour in old if hour.date() not in days}
    )
