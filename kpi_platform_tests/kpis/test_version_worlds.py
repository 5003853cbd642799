"""Small worlds of which people drew the wrong conclusion, and what the questions now say of them.

Belongs here: a service per world, all in one build, and its verdict. Does not: every column of the
tables, which the slow reference has (`test_questions`).
"""

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest

from kpi_platform_tests.kpis.builds import Lake, utc
from kpi_platform_tests.kpis.fast_builds import fast_builds
from kpi_platform_tests.reference import Event

# Day 1 is the first of January; now is the end of the last day.
DAYS = 60
HOUR = utc(1) + timedelta(days=DAYS - 1, hours=23)
More = list[tuple[str, dict[str, str]]]


class Worlds:
    """Events of all services, in one ingest hour."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, service: str, session: str, at: datetime, name: str, **attributes: str) -> None:
        """An event."""
        number = len(self.events)
        self.events.append(Event(session, at, name, HOUR, attributes, number, "game", service))

    def play(
        self,
        service: str,
        player: str,
        day: int,
        version: str | None = None,
        *,
        device: str = "deck",
        seconds: int = 600,
        more: More | None = None,
    ) -> None:
        """A session of a player on a day, with what else happens in it."""
        at = utc(1, 10) + timedelta(days=day - 1)
        session = f"{service}-{player}-{day}-{device}-{version}"
        self.add(service, session, at, "SessionStart", PlayerId=f"{service}-{player}")
        if version is not None:
            at += timedelta(seconds=1)
            self.add(service, session, at, "SoftwareVersion", Version=version, Device=device)
        for name, attributes in more or []:
            at += timedelta(seconds=1)
            self.add(service, session, at, name, **attributes)
        self.add(service, session, at, "SessionEnd", DurationSeconds=str(seconds))


def hotfix(worlds: Worlds) -> None:
    """Of thirty told to go to 2.0.0 twelve take the old branch's hotfix, three do as told."""
    told = {"Kind": "VersionUpgrade", "Status": "shown", "TargetVersion": "v2.0"}
    unknown = told | {"TargetVersion": "3.0"}
    for day in (35, 41, 43, 45, 50):
        for number in range(50):
            went = "1.9.5" if number < 12 else "2.0.0" if number < 15 else "1.9.4"
            old = "1.9.4" if day < 45 else went
            version = old if number < 30 else "1.9.4" if day < 41 else "2.0.0"
            notes: More = [("Notification", told), ("Notification", unknown)]
            notified = notes if number < 30 and day == 43 else None
            worlds.play("HotFix", f"{number}", day, version, more=notified)
    # A phone's upgrade is not the deck's.
    for player, device in (("two", "phone"), ("one", "deck")):
        first: More = [("Notification", told)]
        worlds.play("Devices", player, 43, "1.9", more=first)
        worlds.play("Devices", player, 45, "2.0.0", device=device)


def unreleased(worlds: Worlds) -> None:
    """Forty are on 5.0, a tester on what comes next, a straggler on what nobody has any more."""
    for day in (40, 45, 50, 55):
        for number in range(40):
            worlds.play("Dev", f"{number}", day, "4.0" if day < 45 else "5.0")
    worlds.play("Dev", "tester", 57, "6.0-dev")
    worlds.play("Dev", "old client", 57, "4.5")
    worlds.play("Dev", "broken client", 58, "undefined")


def alike(worlds: Worlds) -> None:
    """2.0 is out for two days, and its players do what they did before, but for the shop."""
    random_ = random.Random(5)
    for day in [*range(42, 52), 59, 60]:
        version = "1.0" if day < 59 else "2.0"
        for number in range(120):
            more: More = []
            for name, attributes, chance in (
                ("FeatureUsed", {"Feature": "map"}, 0.3),
                ("FeatureUsed", {"Feature": "chat"}, 0.1),
                ("FeatureUsed", {"Feature": "shop"}, 0.6 if version == "1.0" else 0.1),
                ("Crash", {"Code": "E1"}, 0.1),
                ("Issue", {"Code": "E2"}, 0.1 if version == "1.0" else 0.4),
            ):
                if random_.random() < chance:
                    more.append((name, attributes))
            worlds.play("Alike", f"{number}", day, version, more=more)


def churn(worlds: Worlds) -> None:
    """Half of sixty move on to 2.0; then a fifth of each half stays away."""
    for number in range(60):
        worlds.play("Churn", f"{number}", 5, "1.0")
        worlds.play("Churn", f"{number}", 20, "1.0" if number % 2 else "2.0")
        if number >= 12:
            worlds.play("Churn", f"{number}", 40, "2.0")


def shutdown(worlds: Worlds) -> None:
    """One of sixty is left on 1.0; five of a model, or twelve, have never seen 2.0."""
    for number in range(60):
        worlds.play("Left", f"{number}", 40, "1.0")
        worlds.play("Left", f"{number}", 55, "1.0" if number == 0 else "2.0")
        for service, left in (("Few", 5), ("Many", 12)):
            stays = number < left
            device, version = ("brick", "1.0") if stays else ("deck", "2.0")
            worlds.play(service, f"{number}", 40, "1.0", device=device)
            worlds.play(service, f"{number}", 55, version, device=device)


def arms(worlds: Worlds) -> None:
    """Who came earlier paid longer; five were told two variants; one arm has far fewer players."""
    bought: More = [("Purchase", {"Amount": "1", "Currency": "USD"})]

    def told(experiment: str, variant: str) -> More:
        return [("ExperimentAssigned", {"Experiment": experiment, "Variant": variant})]

    for number in range(40):
        for variant, day, source in (("control", 15, "ad"), ("blue", 48, "store")):
            player, install = f"{variant}{number}", ("Install", {"Source": source})
            worlds.play("Arms", player, day, more=[install, *told("shop", variant)])
            for later in (day + 3 + number % 2, day + 25):
                if later <= DAYS:
                    worlds.play("Arms", player, later, more=bought)
    for number in range(5):
        both = [*told("shop", "blue"), *told("shop", "control")]
        worlds.play("Arms", f"both{number}", 48, more=both)
    for number in range(60):
        variant = "control" if number < 50 else "blue"
        worlds.play("Arms", f"uneven{number}", 20, more=told("old", variant))


def drift(worlds: Worlds) -> None:
    """Sessions become longer by the day for everybody, and versions newer; nothing else."""
    random_ = random.Random(3)
    for number in range(160):
        day = 34 + number % 27
        length = 1000 + 60 * (day - 34) + random_.randrange(200)
        version = "1.0" if day < 47 else "2.0"
        worlds.play("Drift", f"{number}", day, version, seconds=length)
        # The same days, and sessions that are longer on the newer version alone.
        other, version = random_.choice([(1000, "1.0"), (2000, "2.0")])
        worlds.play("Better", f"{number}", day, version, seconds=other + random_.randrange(200))


def cadence(worlds: Worlds) -> None:
    """Releases come faster and faster."""
    releases = {1: "1.0", 3: "1.1", 20: "1.2", 34: "1.3", 45: "1.4", 53: "1.5", 58: "1.6"}
    for day, version in releases.items():
        for number in range(3):
            worlds.play("Cadence", f"{number}", day, version)


@pytest.fixture(scope="module")
def answers() -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse of all worlds."""
    worlds = Worlds()
    for world in (hotfix, unreleased, alike, churn, shutdown, arms, drift, cadence):
        world(worlds)
    with fast_builds() as make_build:
        build = make_build()
        build.load(Lake({HOUR: worlds.events}, {"game": ("studio", "game")}))
        build.run()
        yield build.connection


def ask(answers: duckdb.DuckDBPyConnection, query: str) -> dict[Any, Any]:
    """The rows of a query by their first column; of two columns the second alone."""
    rows = answers.execute(query).fetchall()
    return {key: rest[0] if len(rest) == 1 else tuple(rest) for key, *rest in rows}


def test_a_hotfix_of_an_old_branch_is_neither_newest_nor_an_upgrade(
    answers: duckdb.DuckDBPyConnection,
) -> None:
    order = ask(
        answers,
        "select version, previous_version, is_newest from staging.version_order"
        " where service_name = 'HotFix'",
    )
    told = ask(
        answers,
        "select service_name || target_version, players_measured, players_upgraded_7d,"
        " upgrade_rate_7d from marts.upgrade_notifications",
    )

    assert order == {
        "1.9.4": (None, False),
        "1.9.5": ("1.9.4", False),
        "2.0.0": ("1.9.5", True),
    }
    assert told == {
        "HotFixv2.0": (30, 3, 0.1),
        # Nobody was ever seen with it, which says nothing of who would have gone there.
        "HotFix3.0": (0, None, None),
        # On the device that was told.
        "Devicesv2.0": (2, 1, 0.5),
    }


def test_what_is_not_released_is_named_apart(answers: duckdb.DuckDBPyConnection) -> None:
    order = ask(
        answers,
        "select version, release_state, release_date, previous_version, is_newest"
        " from staging.version_order where service_name = 'Dev'",
    )
    verdicts = ask(
        answers,
        "select version, verdict from marts.version_shutdown_impact where service_name = 'Dev'",
    )

    assert order == {
        "4.0": ("released", date(2026, 2, 9), None, False),
        "4.5": ("straggler", None, "4.0", False),
        "5.0": ("released", date(2026, 2, 14), "4.0", True),
        "6.0-dev": ("tester", None, "5.0", False),
    }
    assert verdicts == {
        "4.0": "unused",
        "4.5": "cheap",
        "5.0": "newest",
        "6.0-dev": "not_released",
    }


def test_a_version_out_for_two_days_is_compared_day_by_day(
    answers: duckdb.DuckDBPyConnection,
) -> None:
    found = ask(
        answers,
        "select name, direction, share_of_players < previous_share_of_players / 2"
        " from marts.version_focus where service_name = 'Alike' and version = '2.0'",
    )

    assert {name: direction for name, (direction, _) in found.items()} == {
        **dict.fromkeys(["map", "chat", "E1"], "unclear"),
        "shop": "worse",
        "E2": "worse",
    }
    # By the share of players alone, chat and the crash would have looked far better or worse.
    assert found["chat"][1]
    assert found["E1"][1]


def test_churn_counts_a_player_once(answers: duckdb.DuckDBPyConnection) -> None:
    found = ask(
        answers,
        "select version, players_churn_28, churn_28 from marts.version_engagement"
        " where service_name = 'Churn'",
    )

    assert found == {"2.0": (30, 0.2)}


def test_who_remains_decides_what_a_shutdown_costs(answers: duckdb.DuckDBPyConnection) -> None:
    found = ask(
        answers,
        "select service_name, players_remaining, players_without_upgrade, players_device_unclear,"
        " verdict from marts.version_shutdown_impact"
        " where service_name in ('Left', 'Few', 'Many') and version = '1.0'",
    )

    assert found == {
        "Left": (1, 0, 0, "cheap"),
        "Few": (5, 0, 5, "costly"),
        "Many": (12, 12, 0, "strands_players"),
    }


def test_arms_and_sources_are_compared_over_equal_days(
    answers: duckdb.DuckDBPyConnection,
) -> None:
    found = ask(
        answers,
        "select experiment || ' ' || variant, players, players_two_variants, is_active,"
        " revenue_per_player_usd, revenue_d7_per_player_usd, revenue_d7_difference_usd,"
        " players_d30, verdict from marts.ab_test_results",
    )
    chances = ask(
        answers, "select experiment, max(sample_ratio_p) from marts.ab_test_results group by 1"
    )
    sources = ask(
        answers,
        "select install_source, revenue_per_player_usd, revenue_d7_per_player_usd, players_d30,"
        " revenue_d30_per_player_usd from marts.install_sources",
    )

    assert found["shop control"] == (40, 0, True, 2, 1, None, 40, None)
    assert found["shop blue"] == (40, 5, True, 1, 1, 0, 0, "no clear difference")
    assert chances["shop"] == pytest.approx(1)
    # 50 and 10 where 30 and 30 were to be expected.
    assert chances["old"] == pytest.approx(2.4e-7, rel=0.02)
    assert found["old blue"][2] is False
    assert found["old blue"][-1] == "uneven arms"
    assert sources == {"ad": (2, 1, 40, 2), "store": (1, 1, 0, None)}


def test_looking_every_day_has_its_price(answers: duckdb.DuckDBPyConnection) -> None:
    found = ask(
        answers,
        "select experiment, max(days_to_look), max(error_if_looked_daily)"
        " from marts.ab_test_results group by 1",
    )

    assert found == {"shop": (46, 0.248), "old": (41, 0.248)}


def test_what_only_follows_time_is_said_to(answers: duckdb.DuckDBPyConnection) -> None:
    found = ask(
        answers,
        "select service_name, only_follows_time, correlation > 0.5, same_day_correlation > 0.5"
        " from marts.version_behaviour where measure = 'session_length_seconds'"
        " and version = '2.0' and service_name in ('Drift', 'Better')",
    )

    assert found == {"Drift": (True, True, False), "Better": (False, True, True)}


def test_more_or_less_often_is_answered_or_not(answers: duckdb.DuckDBPyConnection) -> None:
    found = ask(
        answers,
        "select service_name, max(service_cadence), max(service_gaps),"
        " max(service_gap_trend_days) from marts.release_cadence"
        " where service_name in ('Cadence', 'HotFix') group by 1",
    )

    assert found == {"Cadence": ("more often", 5, -3), "HotFix": ("cannot tell", 1, None)}
