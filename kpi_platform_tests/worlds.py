"""Random small worlds of events for property tests, made to collide in every way that matters.

Belongs here: what may happen to events before they reach us. Does not: what should come out.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain

from hypothesis import strategies as st

from kpi_platform_tests.reference import Event

# Before the turn of a month, at which intervals change their partition.
START = datetime(2026, 1, 30, tzinfo=UTC)
# Steps of 8 h meet the silence of 24 h from both sides and exactly.
TIMES = st.integers(0, 11).map(lambda step: START + timedelta(hours=8 * step))
HOURS = st.integers(0, 3).map(lambda hour: START + timedelta(hours=22 + hour))
# Mostly a single copy: where everything is copied everywhere, no two parts are ever disjoint.
INGEST_HOURS = st.one_of(HOURS.map(lambda hour: {hour}), st.sets(HOURS, min_size=1))
SESSIONS = st.sampled_from(["s1", "s1", "s1", "s2", "s2", "", " "])
PLAYERS = st.sampled_from(["p1", "p2", "p3", " ", ""])
DEVICES = st.sampled_from(["deck", "phone", "unknown", " "])
VERSIONS = st.sampled_from(["1.0", "1.9", "1.10", "", " "])
DURATIONS = st.sampled_from(
    ["0", "10", "1e3", " 7.5 ", "86400", "86400.5", "-1", "-0", "nan", "inf", "1_0", "0x1", "", "x"]
)


def _optional(**values: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({}, optional=values)


NAMED_ATTRIBUTES = {
    "SoftwareVersion": _optional(Version=VERSIONS, Device=DEVICES, PlayerId=PLAYERS),
    "SessionStart": _optional(
        PlayerId=PLAYERS, UserId=PLAYERS, AccountId=PLAYERS, Platform=DEVICES, Country=DEVICES
    ),
    "SessionEnd": _optional(DurationSeconds=DURATIONS),
    "DeviceInfo": _optional(Device=DEVICES, Platform=DEVICES),
    "Crash": _optional(DurationSeconds=DURATIONS),
    "FeatureUsed": _optional(Feature=VERSIONS),
}
NAMES = ["SoftwareVersion", "SoftwareVersion", "SessionStart", *NAMED_ATTRIBUTES, "Purchase"]


@st.composite
def events(draw: st.DrawFn, hours: st.SearchStrategy[datetime] = HOURS) -> Event:
    """One event, in one ingest hour."""
    name = draw(st.sampled_from(NAMES))
    session = draw(SESSIONS)
    at, hour = draw(TIMES), draw(hours)
    attributes = draw(NAMED_ATTRIBUTES.get(name, st.just({})))
    txn = draw(st.integers(0, 2))
    source = draw(st.sampled_from(["studio-a", "studio-a", "studio-a", "studio-b"]))
    service = draw(st.sampled_from(["game-a", "game-a", "game-a", "game-b"]))
    return Event(session, at, name, hour, attributes, txn, source, service)


@st.composite
def _copies(draw: st.DrawFn) -> list[Event]:
    """One event with its copies, each in another ingest hour."""
    event = draw(events())
    return [replace(event, ingest_hour=hour) for hour in sorted(draw(INGEST_HOURS))]


def worlds() -> st.SearchStrategy[list[Event]]:
    """Worlds of up to 30 events and their copies."""
    # Left alone, lists stay near five events, in which little ever meets.
    sizes = st.lists(_copies(), max_size=8) | st.lists(_copies(), min_size=15, max_size=30)
    return sizes.map(lambda events: list(chain.from_iterable(events)))
