"""Sessions through parts of ingest hours, against the slow reference over all events at once."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings

from kpi_platform.cleaned.sessionization.sessions import (
    chain_parts,
    fold_sessions,
    rebuild_sessions,
    session_parts,
)
from kpi_platform.schemas.tables import SessionParts, Sessions
from kpi_platform_tests.reference import (
    PLAYER_ID_ATTRIBUTES,
    SILENCE,
    Event,
    cleaned_events,
    reference_sessions,
)
from kpi_platform_tests.worlds import worlds

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NIGHT = NOON + timedelta(hours=12)
INGEST_HOUR = ["p_ingest_date_utc", "p_ingest_hour_utc"]
NEEDED = ["source", "service_name", "session_id", *INGEST_HOUR]


def parts_by_hour(events: pl.DataFrame) -> pl.DataFrame:
    """The parts as the hours make them: each from its own events alone."""
    hours = events.partition_by(INGEST_HOUR) or [events]
    return pl.concat(session_parts(hour, PLAYER_ID_ATTRIBUTES, SILENCE) for hour in hours)


def engine_sessions(events: pl.DataFrame) -> pl.DataFrame:
    """The sessions as the assets make them: parts of hours, and only the events asked for."""

    def needed(keys: pl.DataFrame) -> pl.DataFrame:
        return events.join(keys, on=NEEDED, how="inner")

    return rebuild_sessions(parts_by_hour(events), needed, PLAYER_ID_ATTRIBUTES, SILENCE)


@given(worlds())
@settings(max_examples=100, deadline=None)
def test_sessions_equal_the_reference_however_events_lie_in_hours(world: list[Event]) -> None:
    events = cleaned_events(world)
    built = engine_sessions(events)
    assert built.sort("source", "service_name", "session_id", "started_at").to_dicts() == (
        reference_sessions(world)
    )
    Sessions.validate(built)
    SessionParts.validate(parts_by_hour(events))


@given(worlds())
@settings(max_examples=25, deadline=None)
def test_parts_of_many_hours_in_one_call_are_those_of_each_hour(world: list[Event]) -> None:
    events = cleaned_events(world)
    key = [*NEEDED, "first_at"]
    at_once = session_parts(events, PLAYER_ID_ATTRIBUTES, SILENCE)
    assert at_once.sort(key).equals(parts_by_hour(events).sort(key))


def event(
    name: str, hours: float, attributes: Mapping[str, object] | None = None, txn: int = 0,
    session: str = "s1", ingest_hour: datetime = NOON,
) -> Event:  # fmt: skip
    """An event so many hours after noon."""
    at = NOON + timedelta(hours=hours)
    return Event(session, at, name, ingest_hour, dict(attributes or {}), txn)


def sessions_of(*events: Event) -> pl.DataFrame:
    return engine_sessions(cleaned_events(list(events)))


def players(*events: Event) -> list[str | None]:
    return sessions_of(*events)["player_id"].to_list()


def durations(*events: Event) -> list[float]:
    return sessions_of(*events)["duration_seconds"].to_list()


def test_a_sign_in_of_a_later_ingest_hour_owns_the_whole_session() -> None:
    sign_in = event("SessionStart", 1, {"PlayerId": "p1"}, ingest_hour=NIGHT)
    assert players(event("Crash", 0), sign_in, event("Crash", 2)) == ["p1"]


def test_the_first_identifying_event_wins_by_time_then_transaction_then_player() -> None:
    first, second = {"PlayerId": "p1"}, {"PlayerId": "p2"}
    assert players(event("SessionStart", 1, first), event("SessionStart", 0, second)) == ["p2"]
    assert players(
        event("SessionStart", 0, first, txn=2), event("SessionStart", 0, second, txn=1)
    ) == ["p2"]
    assert players(
        event("SessionStart", 0, second), event("SessionStart", 0, first, ingest_hour=NIGHT)
    ) == ["p1"]


def test_of_the_identifying_attributes_of_an_event_the_first_present_counts() -> None:
    assert players(event("Install", 0, {"AccountId": "a", "UserId": "u", "PlayerId": " "})) == ["u"]
    assert players(event("Install", 0, {"AccountId": "a", "PlayerId": {"Id": "p"}})) == ["a"]
    assert players(event("Install", 0, {"Extra": {"PlayerId": "p"}})) == [None]


def test_a_session_ends_only_after_more_silence_than_allowed() -> None:
    assert sessions_of(event("Crash", 0), event("Crash", 24))["event_count"].to_list() == [2]
    heard_again = NOON + timedelta(hours=24, microseconds=1)
    for hour in (NOON, NIGHT):
        split = sessions_of(event("Crash", 0), Event("s1", heard_again, "Crash", hour))
        assert split["started_at"].to_list() == [NOON, heard_again]


def test_an_event_of_another_hour_bridges_the_silence_within_an_hour() -> None:
    apart = [event("Crash", 0), event("Issue", 40)]
    bridge = event("FeatureUsed", 20, ingest_hour=NIGHT)
    assert sessions_of(*apart).height == 2
    (row,) = sessions_of(*apart, bridge).to_dicts()
    assert (row["event_count"], row["crash_count"], row["issue_count"]) == (3, 1, 1)


def test_a_long_part_holds_together_what_other_hours_hold_of_its_span() -> None:
    long = [event("Crash", hours) for hours in (0, 16, 32, 48)]
    inner = [
        event("Issue", 1, ingest_hour=NIGHT),
        event("Issue", 40, ingest_hour=NIGHT + timedelta(hours=1)),
    ]
    assert sessions_of(*long, *inner)["event_count"].to_list() == [6]


def test_copies_of_an_event_in_several_hours_count_once() -> None:
    crash = [event("Crash", 0), event("Crash", 0, ingest_hour=NIGHT)]
    (row,) = sessions_of(*crash, event("Crash", 1, ingest_hour=NIGHT)).to_dicts()
    assert (row["event_count"], row["crash_count"]) == (2, 2)


def test_blank_session_ids_are_in_no_session() -> None:
    alone = [event("Crash", 0, session=blank) for blank in ("", " ", "\t")]
    assert sessions_of(*alone).is_empty()
    assert parts_by_hour(cleaned_events(alone)).is_empty()


@pytest.mark.parametrize("text", ["-1", "86400.1", "nan", "inf", "1h", "", "0x10", "1_0", "1e"])
def test_a_session_end_without_a_valid_duration_leaves_it_to_the_events(text: str) -> None:
    end = event("SessionEnd", 1, {"DurationSeconds": text})
    assert durations(event("Crash", 0), end) == [3600.0]
    earlier = event("SessionEnd", 0.5, {"DurationSeconds": "60"})
    assert durations(event("Crash", 0), earlier, end) == [60.0]


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("86400", 86400), ("1e3", 1000), (".5", 0.5)]
)
def test_the_last_valid_session_end_gives_the_duration(text: str, seconds: float) -> None:
    earlier = event("SessionEnd", 0, {"DurationSeconds": "60"})
    for hour in (NOON, NIGHT):
        last = event("SessionEnd", 1, {"DurationSeconds": text}, ingest_hour=hour)
        assert durations(earlier, last) == [seconds]


def test_of_hours_that_interleave_the_last_session_end_gives_the_duration() -> None:
    last, earlier = {"DurationSeconds": "60"}, {"DurationSeconds": "30"}
    assert durations(
        event("Crash", 0),
        event("SessionEnd", 2, last),
        event("Crash", 1, ingest_hour=NIGHT),
        event("SessionEnd", 1.5, earlier, ingest_hour=NIGHT),
    ) == [60.0]


def test_only_a_session_end_gives_a_duration_or_a_normal_end() -> None:
    (row,) = sessions_of(event("Crash", 0, {"DurationSeconds": "9"}), event("Crash", 1)).to_dicts()
    assert (row["duration_seconds"], row["ended_normally"]) == (3600.0, False)
    assert sessions_of(event("SessionEnd", 0))["ended_normally"].to_list() == [True]


def test_traits_are_the_first_present_ones_else_unknown() -> None:
    (row,) = sessions_of(
        event("DeviceInfo", 1, {"Device": "deck", "Platform": "pc"}),
        event("DeviceInfo", 0, {"Device": " "}),
        event("DeviceInfo", 2, {"Device": "phone", "Platform": "phone"}, ingest_hour=NIGHT),
    ).to_dicts()
    assert (row["device"], row["platform"], row["country"]) == ("deck", "pc", "unknown")


def test_local_player_ids_are_told_apart_by_studio() -> None:
    events = cleaned_events([event("Install", 0, {"PlayerId": "p1"})])
    local = session_parts(events, ["PlayerId"], SILENCE, local_sources=["source"])
    assert local["player_id"].to_list() == ["studio:p1"]


def test_only_overlapping_chains_are_read_again() -> None:
    hours = [
        event("Crash", 0),
        event("Crash", 1, ingest_hour=NIGHT),
        event("Crash", 0, session="s2"),
        event("Crash", 2, session="s2"),
        event("Crash", 1, session="s2", ingest_hour=NIGHT),
        event("Crash", 99, session="s2", ingest_hour=NIGHT + timedelta(days=5)),
    ]
    asked = []
    events = cleaned_events(hours)

    def needed(keys: pl.DataFrame) -> pl.DataFrame:
        asked.append(keys.select(NEEDED))
        return events.join(keys, on=NEEDED)

    rebuild_sessions(parts_by_hour(events), needed, PLAYER_ID_ATTRIBUTES, SILENCE)
    (keys,) = asked
    assert keys.sort(NEEDED).select("session_id", *INGEST_HOUR).rows() == [
        ("s2", NOON.date(), 12),
        ("s2", NIGHT.date(), 0),
    ]


def test_chains_number_the_sessions_and_mark_the_overlapping() -> None:
    parts = parts_by_hour(
        cleaned_events(
            [
                event("Crash", 0),
                event("Crash", 24, ingest_hour=NIGHT),
                event("Crash", 49),
                event("Crash", 49, ingest_hour=NIGHT),
                event("Crash", 49, session="s2"),
            ]
        )
    )
    chained = chain_parts(parts, SILENCE)
    assert chained.select("session_id", "chain", "overlaps").rows() == [
        ("s1", 1, False),
        ("s1", 1, False),
        ("s1", 2, True),
        ("s1", 2, True),
        ("s2", 3, False),
    ]


def test_overlapping_parts_are_neither_folded_nor_rebuilt_without_their_events() -> None:
    events = cleaned_events([event("Crash", 0), event("Crash", 0, ingest_hour=NIGHT)])
    parts = parts_by_hour(events)
    with pytest.raises(ValueError, match="must be rebuilt"):
        fold_sessions(parts, SILENCE)
    with pytest.raises(ValueError, match="do not match"):
        rebuild_sessions(
            parts, lambda keys: events.clear().join(keys, on=NEEDED), PLAYER_ID_ATTRIBUTES, SILENCE
        )


def test_events_of_hours_without_parts_do_not_slip_into_a_session() -> None:
    events = cleaned_events([event("Crash", 0), event("Crash", 0, ingest_hour=NIGHT)])
    left_out = cleaned_events([event("Issue", 0, ingest_hour=NIGHT + timedelta(hours=1))])
    found = pl.concat([events, left_out])
    parts = parts_by_hour(events)
    built = rebuild_sessions(
        parts, lambda keys: found.join(keys, on=NEEDED), PLAYER_ID_ATTRIBUTES, SILENCE
    )
    assert built["event_count"].to_list() == [1]


def test_no_events_give_empty_frames_of_the_promised_columns() -> None:
    none = cleaned_events([])
    parts = session_parts(none, PLAYER_ID_ATTRIBUTES, SILENCE)
    assert parts.is_empty() and parts.columns == list(SessionParts.column_names())
    assert parts.schema == parts_by_hour(cleaned_events([event("Crash", 0)])).schema
    built = engine_sessions(none)
    assert built.is_empty() and built.columns == list(Sessions.column_names())
    assert built.schema == sessions_of(event("Crash", 0)).schema
