"""Who a sighting belongs to: its session's player, on its own device or the session's."""

from datetime import UTC, datetime, timedelta

import polars as pl

from kpi_platform.history.sightings import attribute_sightings, sightings
from kpi_platform.schemas.tables import Sightings
from kpi_platform_tests.cleaned.test_sessions import INGEST_HOUR, engine_sessions
from kpi_platform_tests.reference import PLAYER_ID_ATTRIBUTES, Event, cleaned_events

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NIGHT = NOON + timedelta(hours=12)


def sightings_by_hour(events: pl.DataFrame) -> pl.DataFrame:
    """The sightings as the hours make them: each from its own events alone."""
    hours = events.partition_by(INGEST_HOUR) or [events]
    return pl.concat(sightings(hour, PLAYER_ID_ATTRIBUTES) for hour in hours)


def engine_attributed(events: pl.DataFrame) -> pl.DataFrame:
    """The attributed sightings as the assets make them."""
    return attribute_sightings(sightings_by_hour(events), engine_sessions(events))


def seen(
    version: str | None = "1.0", at: datetime = NOON, hour: datetime = NOON, **more: str
) -> Event:
    """A SoftwareVersion event; `more` are further attributes, `session` apart."""
    session = more.pop("session", "s1")
    attributes = more if version is None else {"Version": version, **more}
    return Event(session, at, "SoftwareVersion", hour, attributes)


def sign_in(player: str, at: datetime = NOON, hour: datetime = NOON, txn: int = 0) -> Event:
    return Event("s1", at, "SessionStart", hour, {"PlayerId": player}, txn)


def owners(*events: Event) -> list[tuple[str, str, str]]:
    """(player, device, version) of the attributed sightings of these events."""
    attributed = engine_attributed(cleaned_events(list(events)))
    return sorted(attributed.select("player_id", "device", "version").rows())


def test_a_sign_in_of_another_hour_names_the_player_of_earlier_and_later_sightings() -> None:
    late = NOON + timedelta(hours=3)
    events = [seen("1.0"), sign_in("p1", NOON + timedelta(hours=1), NIGHT), seen("1.1", late)]
    assert owners(*events) == [("p1", "unknown", "1.0"), ("p1", "unknown", "1.1")]


def test_sightings_of_a_session_nobody_signed_in_to_stay_unattributed() -> None:
    assert owners(seen("1.0")) == []


def test_the_sign_in_before_a_long_silence_does_not_reach_the_session_after_it() -> None:
    assert owners(sign_in("p1"), seen("1.0", NOON + timedelta(hours=24, microseconds=1))) == []
    assert owners(sign_in("p1"), seen("1.0", NOON + timedelta(hours=24))) == [
        ("p1", "unknown", "1.0")
    ]


def test_the_session_names_the_player_even_if_the_sighting_names_another() -> None:
    assert owners(sign_in("p1"), seen("1.0", NOON + timedelta(hours=1), PlayerId="p2")) == [
        ("p1", "unknown", "1.0")
    ]


def test_a_sighting_without_session_belongs_to_the_player_it_names_or_to_nobody() -> None:
    alone = seen("1.0", session=" ", PlayerId="p9")
    nobody = seen("1.1", session=" ")
    assert owners(sign_in("p1"), alone, nobody) == [("p9", "unknown", "1.0")]


def test_a_device_is_the_sightings_own_else_its_sessions() -> None:
    info = Event("s1", NOON, "DeviceInfo", NIGHT, {"Device": "deck"})
    own = seen("1.1", NOON + timedelta(hours=1), Device="phone")
    blank = seen("1.2", NOON + timedelta(hours=2), Device=" ")
    assert owners(sign_in("p1"), info, seen("1.0"), own, blank) == [
        ("p1", "deck", "1.0"),
        ("p1", "deck", "1.2"),
        ("p1", "phone", "1.1"),
    ]


def test_copies_of_a_sighting_in_several_hours_count_once() -> None:
    assert len(owners(sign_in("p1"), seen("1.0"), seen("1.0", hour=NIGHT))) == 1


def test_only_software_versions_with_a_version_are_sightings() -> None:
    other = Event("s1", NOON, "Crash", NOON, {"Version": "2.0"})
    nested = Event("s1", NOON, "SoftwareVersion", NOON, {"Version": {"Major": "1"}})
    frame = sightings_by_hour(
        cleaned_events([seen("1.0"), seen(" "), seen(""), seen(None), other, nested])
    )
    assert frame["version"].to_list() == ["1.0"]


def test_each_hour_keeps_its_sightings_in_the_promised_columns() -> None:
    events = cleaned_events([seen("1.0"), seen("1.0", hour=NIGHT), seen("1.1", PlayerId="p1")])
    frame = sightings_by_hour(events)
    Sightings.validate(frame)
    assert frame.columns == list(Sightings.column_names())
    assert frame.height == 3
    assert frame["player_id"].null_count() == 3, "sessions name the player of their sightings"


def test_local_player_ids_are_told_apart_by_studio() -> None:
    events = cleaned_events([seen("1.0", session="", PlayerId="p1")])
    assert sightings(events, ["PlayerId"], ["source"])["player_id"].to_list() == ["studio:p1"]
    assert sightings(events, ["PlayerId"], ["other"])["player_id"].to_list() == ["p1"]


def test_no_sightings_give_empty_frames_of_the_same_types() -> None:
    some, none = cleaned_events([seen("1.0"), sign_in("p1")]), cleaned_events([])
    assert sightings_by_hour(none).schema == sightings_by_hour(some).schema
    assert engine_attributed(none).schema == engine_attributed(some).schema
    assert engine_attributed(none).is_empty()
