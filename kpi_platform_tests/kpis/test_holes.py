"""Hours that never ran, in the marts: what is provisional because of them until they are run."""

from datetime import date, timedelta

import pytest

from kpi_platform_tests.kpis.builds import Lake, by_hour, hours_from, utc
from kpi_platform_tests.kpis.fast_builds import FastBuild, fast_builds
from kpi_platform_tests.reference import Event

DAYS = 34
HOURS = hours_from(utc(1), DAYS * 24)
HOLE = [utc(3, 5), utc(3, 6)]
FLAGS = ("is_complete", "is_wau_complete", "is_mau_complete", "is_churn_complete")


def world(*, with_hole: bool) -> Lake:
    """A player on every day, and another in the hour that is missing first."""
    events = [
        Event(f"s{n}", at, "SessionStart", at, {"PlayerId": "p1"}, n, "one", "one")
        for n in range(DAYS)
        for at in [utc(1) + timedelta(days=n, hours=1)]
    ]
    late = Event("late", HOLE[0], "SessionStart", HOLE[0], {"PlayerId": "p2"}, 1, "one", "one")
    hours = by_hour([*events, late], HOURS)
    if with_hole:
        hours = {hour: found for hour, found in hours.items() if hour not in HOLE}
    return Lake(hours, {"one": ("alpha", "one")})


def provisional(build: FastBuild, flag: str) -> set[int]:
    """The days, counted from 1, that the portfolio's flag denies though they are long over."""
    rows = build.connection.execute(
        f"select date from marts.kpi_daily where studio = 'all' and not {flag}"
    )
    return {(day - date(2025, 12, 31)).days for (day,) in rows.fetchall()}


@pytest.mark.timeout(1800)
def test_a_hole_keeps_provisional_what_looks_at_it_until_it_is_run() -> None:
    with fast_builds() as make:
        build = make()
        build.load(world(with_hole=True))
        build.run()

        assert provisional(build, "is_complete") == {3}
        assert provisional(build, "is_wau_complete") == set(range(3, 10))
        assert provisional(build, "is_mau_complete") == set(range(3, 33))
        # The last 28 days are not over for churn.
        assert provisional(build, "is_churn_complete") == {1, 2, 3, *range(7, DAYS + 1)}
        months = build.connection.execute(
            "select is_complete from marts.kpi_monthly where studio = 'all' order by month"
        )
        assert months.fetchall() == [(False,), (False,)]
        values = build.connection.execute(
            "select kpi, is_complete from marts.kpi_values where studio = 'all'"
            " and period = date '2026-01-20' and kpi in ('dau', 'mau', 'stickiness', 'wau')"
            " order by kpi"
        )
        assert values.fetchall() == [
            *(("dau", True), ("mau", False), ("stickiness", False), ("wau", True))
        ]

        build.load(world(with_hole=False))
        build.run()

        assert build.differences() == {}
        assert [provisional(build, flag) for flag in FLAGS] == [
            *(set(), set(), set(), set(range(7, DAYS + 1)))
        ]
