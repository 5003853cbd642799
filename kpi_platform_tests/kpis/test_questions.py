"""The question tables equal the slow reference, whatever order their hours were loaded in."""

import random
from collections.abc import Iterable
from datetime import datetime, timedelta

import polars as pl
import pytest

from kpi_platform.schemas.kpi_definitions import read_definitions
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform.storage.kpi_database.embedded import affected_periods_to_publish, connect
from kpi_platform_tests.kpis.builds import NO_SOURCES, WAREHOUSE, Build, Lake, by_hour, utc
from kpi_platform_tests.kpis.reference.reference_kpis import KnownSource, World
from kpi_platform_tests.kpis.reference.reference_questions import Questions
from kpi_platform_tests.reference import Event, Row

TABLES = (
    *("version_adoption", "version_distribution", "version_shutdown_impact"),
    *("upgrade_notifications", "feature_use_by_version", "issues_by_version"),
    *("ab_test_results", "install_sources", "version_engagement", "version_focus"),
    *("release_cadence", "version_behaviour", "dim_service", "kpi_coverage"),
)
DAYS = 84
SERVICES = pl.DataFrame(
    [("launcher", "release_day")], ["service_name", "version_order"], orient="row"
)
# Few ingest hours, as each load costs; what is older than its hour comes late.
INGEST_HOURS = [utc(1) + timedelta(days=days, hours=5) for days in (14, 28, 42, 56, 70, DAYS)]
SOURCES = {
    "alpha": KnownSource("alpha", "one"),
    "silent": KnownSource("alpha", "two"),
    "stray": KnownSource("unassigned", "stray"),
}
KNOWN = {name: (known.studio, known.game) for name, known in SOURCES.items()}
# Versions by the day on which they come out; the devices of those left behind get no newer one.
RELEASES = [(0, "1.9"), (24, "1.10"), (50, "1.10.1"), (70, "2.0-beta")]
DEVICES = ("deck", "phone", "all")
# Twice as many are told blue than red.
VARIANTS = ("control", "blue", "blue", "red", "control")
# The formula of t's quantile is right to 0.2 %: of a bound's distance from its figure.
CLOSE = 2e-3


def source_frame() -> pl.DataFrame:
    """The configured sources, one without any data; the third is known by its data alone."""
    rows = [
        (name, "alpha", SOURCES[name].game, "global", None, None) for name in ("alpha", "silent")
    ]
    return pl.DataFrame(rows, NO_SOURCES.schema, orient="row")


def world(seed: int, players: int) -> dict[datetime, list[Event]]:
    """Players with habits over weeks: upgrades, downgrades, late and repeated events."""
    random_ = random.Random(seed)
    events: list[Event] = []
    for number in range(players):
        events += habits(random_, f"p{number:02d}")
    copies = [
        Event(e.session, e.at, e.name, INGEST_HOURS[-1], e.attributes, e.txn, e.source, e.service)
        for e in random_.sample(events, len(events) // 50)
    ]
    return by_hour([*events, *copies], INGEST_HOURS)


def habits(random_: random.Random, player: str) -> list[Event]:
    """All that one player does."""
    events: list[Event] = []
    start, keen = random_.randrange(DAYS - 20), random_.random()
    device = random_.choice(DEVICES)
    leaves = random_.choice([DAYS, DAYS, start + 20])
    for day in range(start, DAYS):
        if day > leaves or random_.random() > 0.12 + 0.2 * keen:
            continue
        lag = 8 * (1 - keen) if device != "phone" else 40
        known = [version for since, version in RELEASES if since + lag <= day] or ["1.9"]
        version = random_.choice([known[-1], known[-1], known[-1], random_.choice(known)])
        version = random_.choice([version] * 20 + ["0.8", "3.0-dev", f"v{version}", "undefined"])
        events += session(random_, player, day, device, version, is_first=day == start)
    return events


def session(
    random_: random.Random, player: str, day: int, device: str, version: str, *, is_first: bool
) -> list[Event]:
    """The events of one session; it may begin late in the day and tell no version at all."""
    at = utc(1) + timedelta(days=day, minutes=random_.randrange(0, 24 * 60 - 1))
    service = random_.choice(["game", "game", "game", "launcher"])
    source = random_.choice(["alpha", "alpha", "stray"])
    name = f"{player}-{day}"
    platform = random_.choice([{"Platform": "pc"}, {"Platform": "all"}, {}])
    told: list[tuple[str, dict[str, str]]] = [("SessionStart", {"PlayerId": player} | platform)]
    if is_first or random_.random() < 0.1:
        told.append(("Install", {"Source": random_.choice(["ad", "organic"])}))
    if random_.random() < 0.75:
        own = {"Device": random_.choice([device, device, "deck"])} if random_.random() < 0.9 else {}
        told.append(("SoftwareVersion", {"Version": version} | own))
    if random_.random() < 0.3:
        told.append(
            (
                "ExperimentAssigned",
                {
                    "Experiment": random_.choice(["shop", "shop", "map"]),
                    "Variant": VARIANTS[int(player[1:]) % 5 if random_.random() < 0.9 else 0],
                },
            )
        )
    for _ in range(random_.randrange(5)):
        told.append(anything(random_, version))
    if random_.random() < 0.5:
        told.append(("SessionEnd", {"DurationSeconds": str(random_.randrange(1, 9000))}))
    return [
        Event(
            name,
            moment,
            kind,
            next(hour for hour in INGEST_HOURS if hour >= moment or hour == INGEST_HOURS[-1]),
            attributes,
            txn,
            source,
            service,
        )
        for txn, (kind, attributes) in enumerate(told)
        for moment in [at + timedelta(minutes=txn * random_.choice([0, 1, 40]))]
    ]


def anything(random_: random.Random, version: str) -> tuple[str, dict[str, str]]:
    """What happens in the middle of a session."""
    code = {"Code": random_.choice(["E1", "E2", "all"])}
    severity = {"Severity": random_.choice(["low", "high"])} if random_.random() < 0.7 else {}
    status = random_.choice(["sent", "shown", "accepted", "dismissed"])
    targets = [*(name for _, name in RELEASES), "v1.10.0", "9.9"]
    target = random_.choice([{}, *({"TargetVersion": name} for name in targets)])
    features = ["map", "shop"] + (["garage"] if version.startswith("1.10") else [])
    return random_.choice(
        [
            ("FeatureUsed", {"Feature": random_.choice(features)}),
            ("FeatureUsed", {"Feature": random_.choice(features)}),
            ("FeatureUsed", {}),
            ("Crash", code | severity),
            ("Issue", code | severity),
            ("Purchase", {"Amount": random_.choice(["5", "9.99", "-3"]), "Currency": "USD"}),
            ("Notification", {"Kind": "VersionUpgrade", "Status": status} | target),
            ("Notification", {"Kind": "DailyReward", "Status": status}),
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "players"), [(1, 110), (2, 25)])
def test_tables_equal_the_reference_in_whatever_order_they_grew(seed: int, players: int) -> None:
    final = world(seed, players)
    late = INGEST_HOURS[2]
    build = Build(source_frame(), services=SERVICES)
    build.step(Lake({hour: events for hour, events in final.items() if hour != late}, KNOWN))
    build.step(Lake(final, KNOWN))

    expected = Questions(World(final, SOURCES), {"launcher"})
    for table in TABLES:
        given = [requirements()] if table == "kpi_coverage" else []
        rows = getattr(expected, table)(*given)
        assert rows, table
        columns = sorted(rows[0])
        found = build.rows(f"select {', '.join(columns)} from marts.{table}")
        assert_equal(table, [dict(zip(columns, row, strict=True)) for row in found], rows)
    assert_same_tables_from_scratch(build, final)


def requirements() -> list[tuple[str, str]]:
    """KPI and what it requires, as the definitions say."""
    definitions = read_definitions(read_manifest())
    return [(each.kpi, needed) for each in definitions for needed in each.requires]


def assert_equal(table: str, found: Iterable[Row], expected: Iterable[Row]) -> None:
    """The same rows by their texts and dates, and the same figures within rounding."""
    mine, theirs = ({identity(row): row for row in rows} for rows in (found, expected))
    assert sorted(mine, key=repr) == sorted(theirs, key=repr), table
    for key, row in theirs.items():
        for name, value in row.items():
            other = mine[key][name]
            if isinstance(value, float) and other is not None:
                close = pytest.approx(value, rel=1e-9, abs=1e-6 + CLOSE * width(row, name))
                assert other == close, (table, key, name)
            else:
                assert other == value, (table, key, name)


def width(row: Row, name: str) -> float:
    """How wide the interval is that a bound belongs to; 0 for a figure that is no bound."""
    figure = name.removesuffix("_low").removesuffix("_high")
    return float(row[f"{figure}_high"] - row[f"{figure}_low"]) if figure != name else 0


def identity(row: Row) -> tuple[object, ...]:
    """What tells a row from the others: its texts and dates."""
    return tuple((name, row[name]) for name in sorted(KEYS & set(row)))


KEYS = {
    *("date", "service_name", "version", "device", "target_version", "feature", "kind", "code"),
    *("experiment", "variant", "install_source", "name", "measure", "studio", "game"),
    *("kpi", "platform"),
}


def assert_same_tables_from_scratch(build: Build, final: dict[datetime, list[Event]]) -> None:
    """Not a bit differs between what grew and one build over the final contents."""
    grown = {table: build.rows(f"from marts.{table}") for table in TABLES}
    scratch = Build(source_frame(), services=SERVICES)
    scratch.step(Lake(final, KNOWN))
    for table in TABLES:
        assert grown[table] == scratch.rows(f"from marts.{table}"), table


def test_an_hour_later_without_news_publishes_no_question_again() -> None:
    events = world(3, 12)
    build = Build(source_frame())
    build.step(Lake(events, KNOWN))

    build.load(Lake(events | {INGEST_HOURS[-1] + timedelta(hours=1): []}, KNOWN))
    build.run()

    with connect(WAREHOUSE) as con:
        changed = affected_periods_to_publish(con)
    assert "kpi_daily" in changed or changed == {}
    assert sorted(set(changed) & set(TABLES)) == []
