"""Whatever order hours come in, again, late and corrected: every table equals a full refresh.

Belongs here: worlds in which windows, cohorts and sessions collide, and the moves on them. Does
not: how the models are run (`fast_builds`), and what they should hold (`test_order_law`).
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_platform_tests import reference
from kpi_platform_tests.kpis.builds import HOUR, Lake, utc
from kpi_platform_tests.kpis.fast_builds import FastBuild, fast_builds
from kpi_platform_tests.reference import Event

MakeBuild = Callable[..., FastBuild]
ONE = ("one", "one")
STUDIOS = {"one": ("alpha", "one"), "two": ("beta", "two")}
# Days apart as windows are: the day after, a week, 28 to 30 days, a month's end, and beyond.
DAYS = [0, 1, 2, 7, 8, 27, 28, 29, 30, 31, 59]
HOURS = st.builds(
    lambda day, hour: utc(1) + timedelta(days=day, hours=hour),
    st.sampled_from(DAYS),
    st.sampled_from([0, 23]),
)
LATE = st.sampled_from([0, 0, 0, 1, 24, 7 * 24, 29 * 24]).map(lambda hours: timedelta(hours=hours))
PLAYERS = st.sampled_from(["p1", "p2", "p3"])
VERSIONS = st.sampled_from(["1.9", "1.10"])
BOUGHT = st.sampled_from(["b1", "b2"])
NAMED: dict[str, st.SearchStrategy[dict[str, str]]] = {
    "SessionStart": st.fixed_dictionaries(
        {"PlayerId": PLAYERS}, optional={"Platform": st.sampled_from(["pc", "all"])}
    ),
    "SoftwareVersion": st.fixed_dictionaries({"PlayerId": PLAYERS, "Version": VERSIONS}),
    "Purchase": st.fixed_dictionaries(
        {"Amount": st.sampled_from(["5", "-5"]), "Currency": st.sampled_from(["USD", "EUR"])},
        optional={"PlayerId": PLAYERS, "PurchaseId": BOUGHT, "RefundOf": BOUGHT},
    ),
    "FeatureUsed": st.fixed_dictionaries(
        {"PlayerId": PLAYERS, "Feature": st.sampled_from(["map", "shop"])}
    ),
    "Crash": st.just({"Code": "C1"}),
    "Install": st.fixed_dictionaries({"PlayerId": PLAYERS, "Source": st.just("ad")}),
    "ExperimentAssigned": st.fixed_dictionaries(
        {"PlayerId": PLAYERS, "Experiment": st.just("shop"), "Variant": st.sampled_from(["a", "b"])}
    ),
    "Notification": st.fixed_dictionaries(
        {"PlayerId": PLAYERS, "Kind": st.just("VersionUpgrade"), "TargetVersion": VERSIONS}
    ),
}
PLAYED = ["SessionStart", "SessionStart", "SoftwareVersion", "Purchase", *NAMED]


@dataclass(frozen=True)
class Move:
    """An hour now contains these events; whether a build began and finished before the next."""

    hour: datetime
    events: Sequence[Event]
    is_built: bool = True
    is_finished: bool = True


@st.composite
def moves(draw: st.DrawFn) -> Move:
    """An hour comes, new, late, corrected, emptied or once more as it was, as it falls."""
    hour = draw(HOURS)
    events = []
    for number in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(PLAYED))
        at = hour + timedelta(minutes=10 * number) - draw(LATE)
        session = draw(st.sampled_from(["s1", "s2", " "]))
        source = draw(st.sampled_from(["one", "two"]))
        events.append(Event(session, at, name, hour, draw(NAMED[name]), number, source, source))
    is_built = draw(st.sampled_from([True, True, False]))
    is_finished = draw(st.sampled_from([True, True, True, False]))
    return Move(hour, events, is_built, is_finished)


def play(build: FastBuild, played: Sequence[Move]) -> dict[str, int]:
    """Make the moves; per table the rows in which it then differs from a full refresh."""
    hours: dict[datetime, list[Event]] = {}
    for move in played:
        hours[move.hour] = list(move.events)
        build.load(Lake(hours, STUDIOS))
        if move.is_built:
            build.run(is_finished=move.is_finished)
    build.run()
    return build.differences()


@pytest.fixture(scope="module")
def make_build() -> Iterator[MakeBuild]:
    with fast_builds() as make:
        yield make


IS_SOAK = os.environ.get("KPI_LAWS") == "soak"


@settings(
    max_examples=int(os.environ.get("KPI_LAWS_EXAMPLES", "20000" if IS_SOAK else "3")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(played=st.lists(moves(), min_size=2, max_size=20 if IS_SOAK else 7))
def test_every_table_equals_a_full_refresh(make_build: MakeBuild, played: list[Move]) -> None:
    assert play(make_build(), played) == {}


def test_sessions_between_scattered_dates_keep_their_sightings(make_build: MakeBuild) -> None:
    first, came = utc(1), utc(1) + timedelta(days=40)
    seen, used = {"PlayerId": "p1", "Version": "1.9"}, {"PlayerId": "p1", "Feature": "map"}
    # More late dates than stand in a statement as ranges, and a session twice seen on each between.
    sighted_twice = [
        Event(f"s{day}", first + timedelta(days=day), "SoftwareVersion", came, seen, number, *ONE)
        for day in range(1, 21, 2)
        for number in (0, 1)
    ]
    later = came + timedelta(hours=1)
    late = [
        Event(f"l{day}", first + timedelta(days=day), "FeatureUsed", later, used, 0, *ONE)
        for day in range(0, 22, 2)
    ]

    assert play(make_build(), [Move(came, sighted_twice), Move(later, late)]) == {}


def test_a_session_that_falls_apart_keeps_the_sightings_of_its_first_part(
    make_build: MakeBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = utc(1)
    told = {"PlayerId": "p1", "Version": "1.9"}
    events = [
        # Of the first part nothing moves but its end.
        Event("s", start, "SoftwareVersion", start, told, 0, *ONE),
        Event("s", start + HOUR, "SoftwareVersion", start, told, 1, *ONE),
        Event("s", start + 2 * HOUR, "SessionEnd", start, {"DurationSeconds": "7200"}, 2, *ONE),
        Event("s", start + 49 * HOUR, "SoftwareVersion", start, told, 3, *ONE),
    ]
    lake, build = Lake({start: events}, STUDIOS), make_build(only="repeated_sightings")
    for silence in (72, 24, 72):
        monkeypatch.setattr(reference, "SILENCE", silence * HOUR)
        build.load(lake)
        build.run()
        assert build.differences() == {}, silence


def at_day(day: int, *players: str) -> Move:
    """A day on whose first hour these players start a session."""
    hour = utc(1) + timedelta(days=day)
    return Move(
        hour,
        [
            Event(f"s-{p}-{day}", hour, "SessionStart", hour, {"PlayerId": p}, 0, "one", "one")
            for p in players
        ],
    )


def sighted(day: int, player: str) -> Move:
    """A day on whose first hour the player is sighted with a version."""
    hour = utc(1) + timedelta(days=day)
    body = {"PlayerId": player, "Version": "1.9"}
    return Move(hour, [Event(f"v-{day}", hour, "SoftwareVersion", hour, body, 0, "one", "one")])


def in_one_session(hour: int, *events: tuple[int, str]) -> Move:
    """An hour in which events of one session come that happened at these hours of two days."""
    start, came = utc(1), utc(1) + timedelta(hours=hour)
    body = {"PlayerId": "p1", "Version": "1.9", "Feature": "map"}
    return Move(
        came,
        [
            Event("s", start + timedelta(hours=at), name, came, body, at, "one", "one")
            for at, name in events
        ],
    )


def using(day: int, *features: str, is_finished: bool = True) -> Move:
    """A day on whose first hour a player uses these features, always in one session."""
    hour = utc(1) + timedelta(days=day)
    bodies = [{"PlayerId": "p1", "Feature": feature} for feature in features]
    events = [
        Event("s", hour, "FeatureUsed", hour, body, number, "one", "one")
        for number, body in enumerate(bodies)
    ]
    return Move(hour, events, is_finished=is_finished)


def paying(day: int, amount: str, days_late: int = 0, **ids: str) -> Move:
    """A day on whose first hour a purchase or refund of p1 in euros comes, maybe late."""
    hour = utc(1) + timedelta(days=day)
    body = {"PlayerId": "p1", "Amount": amount, "Currency": "EUR"} | ids
    at = hour - timedelta(days=days_late)
    return Move(hour, [Event(f"b-{day}", at, "Purchase", hour, body, 0, "one", "one")])


# Models that are wrong in one place, and moves that they get wrong: the right ones get them right.
BROKEN: Mapping[str, tuple[Mapping[str, tuple[str, str]], Sequence[Move], str]] = {
    "the trailing month is cut short by a day": (
        {"affected_kpi_dates": ("numbers(30)", "numbers(29)")},
        [at_day(0, "p1"), at_day(29, "p1"), at_day(0, "p1", "p2")],
        "kpi_daily",
    ),
    "the cohort of a changed first day is forgotten": (
        {
            "affected_play_cohort_dates": (
                "select distinct first_active_date as date",
                "select distinct date '1970-01-01' as date",
            )
        },
        [at_day(0, "p1"), at_day(1, "p1", "p2"), at_day(29, "p1"), at_day(0, "p1", "p2")],
        "kpi_retention",
    ),
    "whoever was only seen later is forgotten": (
        {"affected_cohort_dates": ("from moved m", "from (select * from moved limit 0) m")},
        [at_day(0, "p1"), at_day(40, "p2"), at_day(31, "p1")],
        "kpi_retention",
    ),
    "the day after a changed day is not looked for": (
        {"next_days": ("days_after=30", "days_after=0")},
        [at_day(0, "p1"), at_day(7, "p1"), at_day(29, "p1"), at_day(7, "p2")],
        "next_days",
    ),
    "a version told late is not carried on": (
        {"affected_version_dates": ("where not is_built", "where is_built")},
        [at_day(7, "p1"), sighted(0, "p1")],
        "version_player_days",
    ),
    "what affected players did in other hours of the date is left out": (
        {"attributed_events": ("where {{ on_dates }} and not", "where false and not")},
        [in_one_session(1, (1, "FeatureUsed")), in_one_session(5, (5, "FeatureUsed"))],
        "service_player_days",
    ),
    "whose session stayed the same is forgotten": (
        {"affected_activity_players": ("where s.player_id is not null", "where false")},
        [using(0, "map", "map"), using(0, "map", "shop")],
        "service_subject_days",
    ),
    "what somebody tells anew is forgotten": (
        {
            "recent_subject_players": (
                "{{ among_recent_players(ref('affected_activity_players')) }}",
                "player_id = ''",
            )
        },
        [using(0, "map"), using(0, "map", "map")],
        "recent_subjects",
    ),
    "a refund's purchase is not looked for": (
        {"attributed_events": ("on p.source = r.source", "on p.source = r.source and false")},
        [paying(8, "-5", RefundOf="b1"), paying(7, "5", days_late=20, PurchaseId="b1")],
        "player_days",
    ),
    "a refund alone makes a player active": (
        {"last_days": ("where is_active and {{", "where {{")},
        [at_day(0, "p1"), paying(2, "-5")],
        "last_days",
    ),
    "the last 28 days stay where they were": (
        {"affected_recent_days": ("(date = today - 1 or date = today + 1)", "date = today + 1")},
        [at_day(0, "p1"), at_day(29, "p2")],
        "recent_version_players",
    ),
    "where a session began is forgotten": (
        {
            "affected_sighted_sessions": (
                "spans_predicate('started_at', 'ended_at',",
                "spans_predicate('started_at', 'started_at',",
            )
        },
        [
            in_one_session(44, (0, "SoftwareVersion"), (20, "FeatureUsed"), (44, "FeatureUsed")),
            # On the second day alone, and no end of the session.
            in_one_session(45, (34, "SoftwareVersion")),
        ],
        "repeated_sightings",
    ),
    "sightings of somebody else's session are looked at in part": (
        {"affected_sighted_sessions": ("and (s.player_id is null or", "and (true or")},
        [
            in_one_session(1, (1, "SoftwareVersion")),
            in_one_session(3, (3, "SoftwareVersion")),
            at_day(0, "p2"),
        ],
        "repeated_sightings",
    ),
    "who came by a failed build and left by another was never there": (
        {
            "affected_play_cohort_dates": (
                "count(distinct coalesce(first_purchase_date, date '0001-01-01')) <> 2",
                "false",
            )
        },
        [
            at_day(0, "p1"),
            replace(at_day(32, "p3"), is_finished=False),
            replace(at_day(2, "p3"), is_finished=False),
        ],
        "cohort_play",
    ),
    "a last day only ever comes later": (
        {"last_days": ("max(case when d.date is null then 1 else 0 end)", "0")},
        [at_day(0, "p1", "p2"), at_day(7, "p1", "p2"), at_day(31, "p2"), at_day(7, "p2")],
        "last_days",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_model_does_not_get_past(make_build: MakeBuild, how: str) -> None:
    changed, played, table = BROKEN[how]

    # The right models are built whole in the hunt alone: it costs three times as much.
    assert play(make_build(only=None if IS_SOAK else table), played) == {}
    assert table in play(make_build(changed, only=table), played)
