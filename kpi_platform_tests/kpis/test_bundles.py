"""Tables have rows of the largest names and of `other`, whatever clients name; totals stay.

Belongs here: worlds in which clients name more than tables have room for. Does not: which names are
bundled first, which the unit test of `bundled_names` says, and the tables of few names.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from kpi_platform_tests.kpis.builds import Lake, by_hour, utc
from kpi_platform_tests.kpis.fast_builds import FastBuild, fast_builds
from kpi_platform_tests.reference import Event

HOURS = [utc(1, 5), utc(2, 5), utc(3, 5)]
FEW = {
    "most_services": 2,
    "most_versions": 3,
    "most_devices": 2,
    "most_names": 2,
    "most_variants": 2,
}
HONEST = "service"
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
# Of what stands there once, whatever it is called: tables whose rows of a service add up.
ADD_UP = {
    "dim_version": "sightings",
    "active_versions": "sightings",
    "feature_use_by_version": "uses",
    "issues_by_version": "issues",
    "install_sources": "installs",
    "upgrade_notifications": "sent",
}
# Whatever hours the last run was of.
ALL_WARNED = {
    ("FeatureUsed", "subjects"),
    ("Crash", "subjects"),
    ("Install", "subjects"),
    ("ExperimentAssigned", "subjects"),
    ("Notification", "targets"),
}
JUDGED = ["version_engagement", "version_behaviour", "version_focus", "release_cadence"]
COMPARED = ["dim_service", "version_distribution", "version_shutdown_impact", "ab_test_results"]


def world(seed: int) -> dict[datetime, list[Event]]:
    """Twelve honest players, twelve forgers and eight who forge services too, on three days."""
    random_ = random.Random(seed)
    events = []
    for number in range(32):
        player = f"p{number:02d}"
        is_forger = number >= 12
        for day, hour in enumerate(HOURS):
            for session in range(random_.randrange(3)):
                at = hour + timedelta(minutes=random_.randrange(40))
                # Seldom the same: a player is in several on one day.
                service = f"tool{random_.randrange(6)}" if number >= 24 else HONEST
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
                    name_of_session = f"{player}{day}{session}"
                    events.append(
                        Event(name_of_session, moment, name, hour, body, txn, service=service)
                    )
    return by_hour(events, HOURS)


def rows(build: FastBuild, query: str) -> list[tuple[object, ...]]:
    return sorted(build.connection.execute(query).fetchall(), key=repr)


def counted(build: FastBuild, table: str) -> dict[str, int]:
    """What a table counts by name in the honest service, totals left out."""
    name, figure = COUNTED[table]
    where = "where device = 'all'" if table == "version_distribution" else "where true"
    where += " and code <> 'all'" if table == "issues_by_version" else ""
    where += f" and service_name = '{HONEST}'" if table != "dim_device" else ""
    query = f"select {name}, sum({figure}) from marts.{table} {where} group by {name}"
    return {str(key): int(value) for key, value in build.connection.execute(query).fetchall()}


@dataclass(frozen=True)
class Told:
    """What the tables of one build tell."""

    names: dict[str, dict[str, int]]
    sessions: dict[str, int]
    services: dict[str, set[str]]
    sums: dict[str, int]
    of_other: dict[str, list[tuple[object, ...]]]


def told_by(build: FastBuild) -> Told:
    sessions = rows(
        build,
        f"select version, sessions from marts.active_versions where service_name = '{HONEST}'",
    )
    tables = [*ADD_UP, *COMPARED, *JUDGED, "version_adoption"]
    return Told(
        names={table: counted(build, table) for table in COUNTED},
        sessions={str(version): int(str(count)) for version, count in sessions},
        services={
            table: {str(row[0]) for row in rows(build, f"select service_name from marts.{table}")}
            for table in tables
        },
        sums={
            table: int(str(rows(build, f"select sum({figure}) from marts.{table}")[0][0]))
            for table, figure in ADD_UP.items()
        },
        of_other={
            table: rows(build, f"select * from marts.{table} where service_name = 'other'")
            for table in tables
        },
    )


@pytest.fixture(scope="module")
def builds() -> Iterator[dict[str, Told]]:
    """What tables of few names tell, of all names, and of the others called `other` beforehand."""
    hours = world(1)
    found = {}
    with fast_builds(FEW) as make:
        build = make()
        for last in (2, 3):
            build.load(
                Lake({hour: hours[hour] if n < last else [] for n, hour in enumerate(HOURS)})
            )
            build.run()
            assert warned(build) == ALL_WARNED
        assert build.differences() == {}
        found["few"] = told_by(build)
        bundled = set(rows(build, "select kind, name from staging.bundled_names"))
        services = {str(row[0]) for row in rows(build, "from staging.bundled_services")}
        # An hour that names nothing does not end the warning.
        quiet = HOURS[-1] + timedelta(hours=1)
        build.load(Lake({**hours, quiet: []}))
        build.run()
        assert warned(build) == ALL_WARNED
    assert len(services) == 5
    with fast_builds() as make:
        for which, these in (("all", hours), ("called", called_other(hours, bundled, services))):
            build = make()
            build.load(Lake(these))
            build.run()
            assert warned(build) == set()
            found[which] = told_by(build)
    yield found


def warned(build: FastBuild) -> set[tuple[object, ...]]:
    """Which names of the honest service, by event, the check says are too many."""
    told = build.rows_of_test("clients_name_few_subjects")
    return {(event, kind) for service, event, kind, _ in told if service == HONEST}


def called_other(
    hours: dict[datetime, list[Event]], bundled: set[tuple[object, ...]], services: set[str]
) -> dict[datetime, list[Event]]:
    """The world in which clients say `other` themselves."""
    # How many devices there are is counted, whatever they are called.
    renamed = NAMES.keys() - {"Device"}
    kinds = {"Version": "version", "Device": "device", "Feature": "FeatureUsed", "Code": "Crash"}

    def said(event: Event) -> Event:
        is_bundled = event.service in services
        body = {
            key: "other"
            if (kinds.get(key), value) in bundled or (is_bundled and key in renamed)
            else value
            for key, value in event.attributes.items()
        }
        service = "other" if is_bundled else event.service
        return replace(event, attributes=body, service=service)

    return {hour: [said(event) for event in events] for hour, events in hours.items()}


@pytest.mark.parametrize("table", COUNTED)
def test_names_are_few_and_their_total_is_that_of_all(builds: dict[str, Told], table: str) -> None:
    few, every = builds["few"].names[table], builds["all"].names[table]
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
    ["active_versions", "version_distribution", "feature_use_by_version", "issues_by_version"],
)
def test_a_bundle_counts_as_if_its_names_were_one(builds: dict[str, Told], table: str) -> None:
    assert builds["few"].names[table] == builds["called"].names[table]


def test_a_session_with_several_names_of_a_bundle_is_one(builds: dict[str, Told]) -> None:
    assert builds["few"].sessions == builds["called"].sessions


def test_services_are_few_and_their_total_is_that_of_all(builds: dict[str, Told]) -> None:
    few, every = builds["few"], builds["all"]
    assert few.sums == every.sums
    assert len(every.services["dim_service"]) == 7
    for table in (*ADD_UP, *COMPARED):
        assert few.services[table] <= few.services["dim_service"], table
        assert len(few.services[table] - {"other"}) <= 2, table
        assert "other" in few.services[table], table
    # Of each day its own largest ones.
    assert "other" in few.services["version_adoption"]


@pytest.mark.parametrize("table", JUDGED)
def test_what_is_judged_has_no_row_of_a_bundle(builds: dict[str, Told], table: str) -> None:
    for told in builds.values():
        assert "other" not in told.services[table]


@pytest.mark.parametrize("table", [*ADD_UP, *COMPARED])
def test_bundled_services_count_as_if_they_were_one(builds: dict[str, Told], table: str) -> None:
    assert builds["few"].of_other[table] == builds["called"].of_other[table] != []
