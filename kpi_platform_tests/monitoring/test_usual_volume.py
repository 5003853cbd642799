"""Usual volume over a simulated quarter: weekends, holidays, releases, growth, files sent at once.

The sizes of the world stand in decision 123, where more of it was measured.
"""

import math
import random
from datetime import UTC, date, datetime, timedelta
from statistics import NormalDist

import polars as pl
import pytest

from kpi_platform.monitoring.usual_volume import Fall, falls, judge, volume_findings
from kpi_platform.monitoring.usual_windows import family_spreads
from kpi_platform.monitoring.volume_counts import volume_counts

START = datetime(2026, 1, 5, tzinfo=UTC).replace(tzinfo=None)
HOURS = 91 * 24
HOUR = timedelta(hours=1)
BASES = (10, 30, 60, 200, 400, 1000, 2000, 5000)
HOLIDAYS, RELEASES, SENT_AT_ONCE = (38, 39, 61, 74), (28, 56), (45 * 24 + 3, 66 * 24 + 11)
AT = 70 * 24 + 3


def quarter(base: float, seed: int) -> list[int]:
    """Hourly counts of a source of about so many an hour."""
    chance = random.Random(seed)
    days = [chance.gauss(0, 0.04) for _ in range(91)]
    growth, noise, counts = chance.choice((-0.02, 0, 0.03, 0.1)), 0.0, []
    for hour in range(HOURS):
        day, clock = divmod(hour, 24)
        noise = 0.6 * noise + chance.gauss(0, 0.05)
        expected = base * (1 + 0.7 * math.sin((clock - 10) / 24 * math.tau))
        expected *= (1.4 if day % 7 >= 5 else 1.0) * (1 + growth) ** (hour / 168)
        if day in HOLIDAYS:
            expected *= 1.5 if clock < 16 else 0.75
        for release in RELEASES:
            if release <= day < release + 10:
                expected *= 1 + 0.7 * math.exp(-(hour - release * 24) / 72)
        expected *= math.exp(noise + days[day]) * (5 if hour in SENT_AT_ONCE else 1)
        counts.append(max(0, round(chance.gauss(expected, math.sqrt(expected)))))
    return counts


def frame(counts: dict[str, list[int | None]]) -> pl.DataFrame:
    rows = [
        (source, "", "", START + number * HOUR, count)
        for source, its in counts.items()
        for number, count in enumerate(its)
        if count is not None
    ]
    types = dict.fromkeys(("source", "service_name", "event_name"), pl.String)
    schema = types | {"hour": pl.Datetime("us"), "count": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row")


@pytest.fixture(scope="module")
def world() -> dict[str, list[int]]:
    return {str(base): quarter(base, base) for base in BASES}


def since(
    world: dict[str, list[int]], share: object, *, together: int = 3, hours: int = 200
) -> dict[str, int | None]:
    """Source -> hours until it is told, if from `AT` on only `share(hours since)` of it comes, for
    so many of the sources `together`; of the `hours` after it."""
    found: dict[str, int | None] = {}
    for number in range(0, len(world), together):
        falling = list(world)[number : number + together]
        changed: dict[str, list[int | None]] = {
            source: [
                count if source not in falling or n < AT else round(count * share(n - AT))  # type: ignore[operator]
                for n, count in enumerate(counts[: AT + hours])
            ]
            for source, counts in world.items()
        }
        told = judge(frame(changed)).filter(
            pl.col("kind") != "", pl.col("hour") >= START + AT * HOUR
        )
        first = dict(told.group_by("source").agg(pl.col("hour").min()).iter_rows())
        found |= {
            source: (first[source] - START) // HOUR - AT + 1 if source in first else None
            for source in falling
        }
    return found


def test_a_quarter_brings_one_false_alarm_a_month_at_most(world: dict[str, list[int]]) -> None:
    told = judge(frame({**world})).filter(pl.col("kind") != "").sort("source", "hour")
    apart = (pl.col("hour").diff().over("source") > timedelta(hours=24)).fill_null(value=True)
    assert told.filter(apart).height <= 3


def test_a_dead_source_is_told_within_two_hours(world: dict[str, list[int]]) -> None:
    told = since(world, lambda _: 0, hours=3)
    assert all(hours is not None and hours <= 2 for hours in told.values()), told


def test_a_halved_source_is_told_within_two_hours_and_a_small_one_within_a_day(
    world: dict[str, list[int]],
) -> None:
    told = since(world, lambda _: 0.5, hours=24)
    for source, hours in told.items():
        assert hours is not None and hours <= (2 if int(source) >= 200 else 24), told


def test_a_fall_of_all_sources_is_told_unless_a_holiday_explains_it(
    world: dict[str, list[int]],
) -> None:
    big = {source: counts for source, counts in world.items() if int(source) >= 200}
    for share, is_told in ((0.5, True), (0, True), (0.75, False)):
        told = since(big, lambda _, share=share: share, together=len(big), hours=2)
        assert all((hours is not None) is is_told for hours in told.values()), (share, told)


def test_the_more_series_there_are_the_rarer_each_of_them_cries() -> None:
    chance = NormalDist()
    for series in (24, 240, 2400):
        spreads = family_spreads(4.0, series)
        assert chance.cdf(-spreads) * series == pytest.approx(chance.cdf(-4.0) * 24)
    assert family_spreads(4.0, 1) == family_spreads(4.0, 24) == pytest.approx(4.0)


def test_a_source_that_stays_halved_is_told_without_a_gap_for_a_day(
    world: dict[str, list[int]],
) -> None:
    big: dict[str, list[int | None]] = {s: [*its] for s, its in world.items() if int(s) >= 400}
    for number in range(AT, AT + 30):
        big["1000"][number] = world["1000"][number] // 2
    told = judge(frame({s: its[: AT + 30] for s, its in big.items()})).filter(
        pl.col("source") == "1000", pl.col("hour") >= START + (AT + 2) * HOUR
    )
    assert "" not in told["kind"].to_list()


def test_a_holiday_of_some_sources_is_told_of_none_of_them(world: dict[str, list[int]]) -> None:
    day = 80
    of_some = ("200", "400", "1000", "5000")
    shares = [1.5 if clock < 16 else 0.75 for clock in range(24)]
    changed: dict[str, list[int | None]] = {s: [*its] for s, its in world.items()}
    for source in of_some:
        for clock, share in enumerate(shares):
            changed[source][day * 24 + clock] = round(world[source][day * 24 + clock] * share)
    told = judge(frame(changed)).filter(
        pl.col("kind") != "",
        pl.col("hour").is_between(START + day * 24 * HOUR, START + 82 * 24 * HOUR),
    )
    assert told.filter(pl.col("source").is_in(of_some)).is_empty(), told


def test_hours_that_are_asked_for_are_told_as_if_all_were(world: dict[str, list[int]]) -> None:
    counts: dict[str, list[int | None]] = {
        s: [*its[:AT], *(round(count * 0.5) for count in its[AT : AT + 3])]
        if int(s) in (60, 1000)
        else [*its[: AT + 3]]
        for s, its in world.items()
    }
    # Half of them are services.
    service = pl.when(pl.col("source").cast(pl.Int64) < 1000).then(pl.lit("App"))
    rows = frame(counts).with_columns(service_name=service.otherwise(pl.lit("")))
    of_all = judge(rows).filter(pl.col("kind") != "")
    for number in (AT + 1, AT + 2):
        asked = judge(rows, [START + number * HOUR]).filter(pl.col("kind") != "")
        for each in (of_all, asked):
            assert not each.is_empty()
        at = pl.col("hour") == START + number * HOUR
        assert asked.filter(at).equals(of_all.filter(at))


def test_a_decline_of_thirty_percent_in_a_week_is_told_within_that_week(
    world: dict[str, list[int]],
) -> None:
    told = since(world, lambda hours: max(0.7, 1 - 0.3 * hours / 168), hours=168)
    big = {source: hours for source, hours in told.items() if int(source) >= 60}
    assert all(hours is not None and hours <= 168 for hours in big.values()), told


def test_a_level_that_holds_for_two_weeks_is_the_new_usual() -> None:
    counts: list[int | None] = [100 if number < 60 * 24 else 50 for number in range(HOURS)]
    told = judge(frame({"a": counts})).filter(pl.col("kind") != "")
    last = told["hour"].max()
    assert isinstance(last, datetime)
    assert START + 60 * 24 * HOUR < last < START + 76 * 24 * HOUR


@pytest.mark.parametrize("days", [15, 21, 28])
def test_a_source_that_tripled_two_weeks_ago_or_more_and_halves_is_told(
    world: dict[str, list[int]], days: int
) -> None:
    tripled = {
        source: [3 * count if n >= AT - days * 24 else count for n, count in enumerate(counts)]
        for source, counts in world.items()
        if int(source) >= 200
    }
    told = since(tripled, lambda _: 0.5, together=2, hours=3)
    assert all(hours is not None and hours <= 3 for hours in told.values()), told


def test_before_three_weeks_only_what_stops_is_told() -> None:
    halved: list[int | None] = [100 if number < 200 else 50 for number in range(300)]
    stopped: list[int | None] = [100 if number < 298 else 0 for number in range(300)]
    newest = START + 299 * HOUR
    assert falls(frame({"halved": halved, "stopped": stopped}), [newest]) == [
        Fall("stopped", "", "", "stopped", newest, 2, 0, 200.0)
    ]


def test_a_source_that_fell_is_one_finding_whatever_of_it_fell() -> None:
    def fall(*names: str) -> Fall:
        return Fall(*names, "fell", START, 2, 10, 100.0)

    found = volume_findings(
        [
            fall("a", "", ""),
            fall("a", "App", ""),
            fall("b", "App", "Login"),
            fall("b", "App", "Buy"),
        ]
    )
    assert [(each.kind, each.source) for each in found] == [
        ("source_silent", "a"),
        ("attribute_silent", "b"),
    ]
    assert found[1].cause == (
        "b App Login: 10 events in the 2 hours until 2026-01-05 01:00 UTC, usual are 100; "
        "b App Buy: 10 events in the 2 hours until 2026-01-05 01:00 UTC, usual are 100"
    )


def test_hours_that_are_not_known_are_no_zeros() -> None:
    counts: list[int | None] = [100] * 700
    counts[650:690] = [None] * 40
    assert judge(frame({"a": counts})).filter(pl.col("kind") != "").is_empty()


def test_nothing_is_said_of_nothing() -> None:
    assert falls(frame({}), [START]) == []


def ledger(*rows: tuple[int, str, int | None]) -> pl.DataFrame:
    """(hour, source, lines); None: not read."""
    values = [
        (date(2026, 1, 5), hour, source, "processed", lines, lines) for hour, source, lines in rows
    ]
    names = ("p_ingest_date_utc", "p_ingest_hour_utc", "source", "status", "lines", "rows")
    types = (pl.Date, pl.Int32, pl.String, pl.String, pl.Int64, pl.Int64)
    return pl.DataFrame(values, dict(zip(names, types, strict=True)), orient="row")


def test_counts_are_of_hours_that_were_read_and_zero_where_nothing_came() -> None:
    events = pl.DataFrame(
        {
            "p_ingest_date_utc": [date(2026, 1, 5)] * 3,
            "p_ingest_hour_utc": pl.Series([1, 1, 1], dtype=pl.Int32),
            "source": ["a"] * 3,
            "service_name": ["App"] * 3,
            "event_name": ["", "Login", "Login"],
            "attribute": ["", "", "Version"],
            "events": [9, 4, 4],
        }
    )
    counts = volume_counts(ledger((0, "a", 5), (1, "a", 9), (2, "a", None), (3, "a", 0)), events)
    assert [row[1:] for row in counts.iter_rows()] == [
        *(("", "", START + n * HOUR, count) for n, count in ((0, 5), (1, 9), (3, 0))),
        *(("App", "", START + n * HOUR, count) for n, count in ((1, 9), (3, 0))),
        *(("App", "Login", START + n * HOUR, count) for n, count in ((1, 4), (3, 0))),
    ]
