"""Tables have rows of the largest names and of `other`, whatever clients name; totals stay.

Belongs here: worlds in which clients name more than tables have room for. Does not: which names are
bundled first, which the unit test of `bundled_names` says, and the tables of few names.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from kpi_platform_tests.kpis.builds import Lake, by_hour, utc
from kpi_platform_tests.kpis.fast_builds import FastBuild, fast_builds
from kpi_platform_tests.reference import Event

HOURS = [utc(1, 5), utc(2, 5), utc(3, 5)]
FEW = {"most_versions": 3, "most_devices": 2, "most_names": 2, "most_variants": 2}
# Honest clients are many on few names; each forger is alone on several.
NAMES = {
    "Version": ["1.9", "1.10"],
    "Device": ["deck", "phone"],
    "Feature": ["map", "shop"],
    "Code": ["E1", "E2"],
    "Source": ["ad", "organic"],
    "Experiment": ["shop", "map"],
    "Variant": ["a", "b"],
    "TargetVersion": ["1.10", "1.9"],
}
TOLD = (
    ("SoftwareVersion", ("Version", "Device")),
    ("FeatureUsed", ("Feature",)),
    ("Crash", ("Code",)),
    ("Install", ("Source",)),
    ("ExperimentAssigned", ("Experiment", "Variant")),
    ("Notification", ("TargetVersion",)),
)
# What a table counts per service, and the name that it is counted by.
COUNTED = {
    "version_distribution": ("version", "players"),
    "version_adoption": ("version", "players"),
    "dim_version": ("version", "sightings"),
    "dim_device": ("device", "sightings"),
    "feature_use_by_version": ("feature", "uses"),
    "issues_by_version": ("code", "issues"),
    "install_sources": ("install_source", "installs"),
    "upgrade_notifications": ("target_version", "sent"),
    "active_versions": ("version", "sightings"),
}


def world(seed: int) -> dict[datetime, list[Event]]:
    """Twelve honest players and twelve forgers on three days, each some days and sessions."""
    random_ = random.Random(seed)
    events = []
    for number in range(24):
        player = f"p{number:02d}"
        is_forger = number >= 12
        for day, hour in enumerate(HOURS):
            for session in range(random_.randrange(3)):
                at = hour + timedelta(minutes=random_.randrange(40))
                names = {
                    key: f"{random_.randrange(99)}-{player}" if is_forger else random_.choice(known)
                    for key, known in NAMES.items()
                }
                told = [("SessionStart", {"PlayerId": player, "Platform": "pc"})]
                for name, keys in random_.choices(TOLD, k=6):
                    told.append((name, {key: names[key] for key in keys}))
                    if is_forger and name == "SoftwareVersion":
                        # A session with two versions is one session of their bundle.
                        told.append((name, {"Version": f"9.{number}", "Device": "deck"}))
                for txn, (name, attributes) in enumerate(told):
                    extra = {"Kind": "VersionUpgrade", "Status": "sent"}
                    body = attributes | (extra if name == "Notification" else {})
                    moment = at + timedelta(seconds=txn)
                    events.append(Event(f"{player}{day}{session}", moment, name, hour, body, txn))
    return by_hour(events, HOURS)


def rows(build: FastBuild, query: str) -> list[tuple[object, ...]]:
    return sorted(build.connection.execute(query).fetchall(), key=repr)


def counted(build: FastBuild, table: str) -> dict[str, int]:
    """What a table counts by name, totals left out."""
    name, figure = COUNTED[table]
    where = "where device = 'all'" if table == "version_distribution" else "where true"
    where += " and code <> 'all'" if table == "issues_by_version" else ""
    query = f"select {name}, sum({figure}) from marts.{table} {where} group by {name}"
    return {str(key): int(value) for key, value in build.connection.execute(query).fetchall()}


@pytest.fixture(scope="module")
def builds() -> Iterator[dict[str, dict[str, dict[str, int]]]]:
    """What tables of few names count, of all names, and of the others called `other` beforehand."""
    hours = world(1)
    found = {}
    with fast_builds(FEW) as make:
        build = make()
        for last in (2, 3):
            build.load(
                Lake({hour: hours[hour] if n < last else [] for n, hour in enumerate(HOURS)})
            )
            build.run()
            assert build.differences() == {}
        found["few"] = {table: counted(build, table) for table in COUNTED}
        found["few"]["sessions"] = sessions_of(build)
        bundled = set(rows(build, "select kind, name from staging.bundled_names"))
    with fast_builds() as make:
        for which, these in (("all", hours), ("called", called_other(hours, bundled))):
            build = make()
            build.load(Lake(these))
            build.run()
            found[which] = {table: counted(build, table) for table in COUNTED}
            found[which]["sessions"] = sessions_of(build)
    yield found


def sessions_of(build: FastBuild) -> dict[str, int]:
    return dict(
        build.connection.execute("select version, sessions from marts.active_versions").fetchall()
    )


def called_other(
    hours: dict[datetime, list[Event]], bundled: set[tuple[object, ...]]
) -> dict[datetime, list[Event]]:
    """The world in which clients say `other` themselves."""
    kinds = {"Version": "version", "Device": "device", "Feature": "FeatureUsed", "Code": "Crash"}

    def said(event: Event) -> Event:
        body = {
            key: "other" if (kinds.get(key), value) in bundled else value
            for key, value in event.attributes.items()
        }
        return replace(event, attributes=body)

    return {hour: [said(event) for event in events] for hour, events in hours.items()}


@pytest.mark.parametrize("table", COUNTED)
def test_names_are_few_and_their_total_is_that_of_all(
    builds: dict[str, dict[str, dict[str, int]]], table: str
) -> None:
    few, every = builds["few"][table], builds["all"][table]
    most = 3 if COUNTED[table][0] in ("version", "target_version") else 2
    # Of each day its own largest ones.
    most = most * len(HOURS) if table == "version_adoption" else most
    assert len(few.keys() - {"other", "unknown"}) <= most < len(every)
    assert "other" in few
    assert sum(few.values()) == sum(every.values())
    shown = few.keys() - {"other"} if table != "version_adoption" else set()
    assert {key: every[key] for key in shown} == {key: few[key] for key in shown}


@pytest.mark.parametrize(
    "table",
    [
        "active_versions",
        "version_distribution",
        "feature_use_by_version",
        "issues_by_version",
        "sessions",
    ],
)
def test_a_bundle_counts_as_if_its_names_were_one(
    builds: dict[str, dict[str, dict[str, int]]], table: str
) -> None:
    assert Counter(builds["few"][table]) == Counter(builds["called"][table])
