"""The KPI tables of any order of loads equal a build from scratch and the slow reference."""

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

import polars as pl
import pytest

from kpi_platform_tests.kpis.builds import NO_SOURCES, Lake, by_hour, utc
from kpi_platform_tests.kpis.fast_builds import FastBuild, fast_builds
from kpi_platform_tests.kpis.reference.reference_kpis import KnownSource, World
from kpi_platform_tests.reference import Event, Row

# Enough days for every trailing window to open and close; few ingest hours, as each load costs.
INGEST_HOURS = [
    utc(1) + timedelta(hours=hours) for hours in (3, 4, 27, 100, 180, 400, 401, 760, 775, 1100)
]
SOURCES = {
    "alpha-pc": KnownSource("alpha", "one"),
    "alpha-mobile": KnownSource("alpha", "one", since=utc(2)),
    "beta": KnownSource("all", "all", since=utc(1, 12), until=utc(20, 6)),
    "silent": KnownSource("beta", "quiet", since=utc(10), until=utc(11)),
}
FOLDERS = [*list(SOURCES)[:3], "stray"]
TABLES = (
    *("kpi_hourly", "kpi_daily", "kpi_monthly", "kpi_retention"),
    *("kpi_values", "fact_version"),
    *("dim_version", "dim_device", "active_versions"),
)
ATTRIBUTES = {
    "SoftwareVersion": {
        "Version": ["1.9", "1.10", "", " v1.10\u200b", "Undefined"],
        "Device": ["deck", "phone"],
    },
    "SessionStart": {"PlayerId": ["p1", "p2", "p3", "p4"], "Platform": ["pc", "all", "console"]},
    "SessionEnd": {"DurationSeconds": ["60", "7.25", "nan"]},
    "Purchase": {
        "Amount": ["9.99", "-9.99", "20", "1e9", "free", "0.1"],
        "Currency": ["USD", "eur", "JPY", "XXX"],
        "PurchaseId": ["b1", "b2", "0"],
        "RefundOf": ["b1", "", "null", "", ""],
    },
    "FeatureUsed": {"UserId": ["p1", "p5"], "Platform": ["pc", "phone"]},
    "Crash": {},
    "Install": {"Source": ["ad"]},
    "Notification": {},
}


def world(seed: int, events_per_hour: int) -> dict[datetime, list[Event]]:
    """Events by ingest hour: late ones, copies in other hours, sessions across days."""
    random_ = random.Random(seed)
    events = []
    for hour in INGEST_HOURS:
        for _ in range(random_.randrange(events_per_hour)):
            name = random_.choice(list(ATTRIBUTES))
            late = timedelta(seconds=random_.choice([900, 1800, -3000, 4000, 90_000, 600_000]))
            copies = {hour, random_.choice([hour, hour, random_.choice(INGEST_HOURS)])}
            event: Row = {
                "session": random_.choice(["s1", "s2", "s3", " "]),
                "at": hour + timedelta(minutes=50) - late,
                "name": name,
                "txn": random_.randrange(3),
                "service": random_.choice(["game", "launcher"]),
                "source": random_.choice(FOLDERS),
                "attributes": {
                    key: random_.choice(values)
                    for key, values in ATTRIBUTES[name].items()
                    if random_.random() < 0.8
                },
            }
            events += [Event(ingest_hour=each, **event) for each in sorted(copies)]
    return by_hour(events, INGEST_HOURS)


def source_frame() -> pl.DataFrame:
    """The configured sources, as the sources file gives them."""
    rows = [
        (name, known.studio, known.game, "global", known.since, known.until)
        for name, known in SOURCES.items()
    ]
    return pl.DataFrame(rows, NO_SOURCES.schema, orient="row")


def lake_of(hours: dict[datetime, list[Event]]) -> Lake:
    """The hours with the studios that the configuration names."""
    known = {name: (source.studio, source.game) for name, source in SOURCES.items()}
    return Lake(hours, known | {"stray": ("unassigned", "stray")})


def loads(seed: int, events_per_hour: int) -> list[dict[datetime, list[Event]]]:
    """The hours as they are at each load, up to the final ones: out of order, some corrected."""
    random_ = random.Random(-seed)
    final, wrong = world(seed, events_per_hour), world(seed + 1000, events_per_hour)
    order = random_.sample(INGEST_HOURS, len(INGEST_HOURS))
    first, second = set(order[:6]), set(order[:8])
    corrected, emptied = order[0], order[1]
    final[emptied] = []
    return [
        {hour: wrong[hour] if hour in {corrected, emptied} else final[hour] for hour in first},
        {hour: wrong[hour] if hour == emptied else final[hour] for hour in second},
        dict(final),
    ]


@pytest.fixture(scope="module")
def make_build() -> Iterator[Callable[..., FastBuild]]:
    with fast_builds() as make:
        yield make


# Where much happens, sessions and copies collide; where little does, first days and starts move.
@pytest.mark.parametrize(("seed", "events_per_hour"), [(1, 14), (2, 3), (3, 6)])
def test_tables_equal_a_build_from_scratch_and_the_reference(
    make_build: Callable[..., FastBuild], seed: int, events_per_hour: int
) -> None:
    build = make_build(sources=source_frame())
    for hours in loads(seed, events_per_hour):
        build.step(lake_of(hours))
    grown = {table: build.rows(f"from marts.{table}") for table in TABLES}

    if seed == 2:
        by_day = make_build(sources=source_frame())
        by_day.step(lake_of(hours), 1)
        assert {table: by_day.rows(f"from marts.{table}") for table in TABLES} == grown

    scratch = make_build(sources=source_frame())
    scratch.step(lake_of(hours))

    for table in TABLES:
        assert grown[table] == scratch.rows(f"from marts.{table}"), table
    assert_equals_reference(scratch, World(hours, SOURCES))


def assert_equals_reference(build: FastBuild, expected: World) -> None:
    """Every table holds the reference's rows, whatever order they are in."""
    for table, rows in (
        ("attributed_events", expected.attributed_events()),
        ("fact_version", expected.fact_version()),
        ("active_versions", expected.active_versions()),
        ("kpi_hourly", expected.kpi_hourly()),
        ("kpi_daily", expected.kpi_daily()),
        ("kpi_monthly", expected.kpi_monthly()),
        ("kpi_retention", expected.kpi_retention()),
    ):
        columns = list(rows[0]) if rows else ["*"]
        # What is of one run is in a database of its own.
        place = "events_window." if table == "attributed_events" else ""
        found = build.rows(f"select {', '.join(columns)} from {place}marts.{table}")
        named = [dict(zip(columns, row, strict=True)) for row in found]
        assert rounded(named) == rounded(rows), table


def rounded(rows: Iterable[Row]) -> list[list[tuple[str, object]]]:
    """The rows in one order, with doubles to a millionth."""
    return sorted(
        (
            [
                (key, round(value, 6) if isinstance(value, float) else value)
                for key, value in row.items()
            ]
            for row in rows
        ),
        key=repr,
    )
