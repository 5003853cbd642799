"""Sessions through parts of ingest hours, against the slow reference over all events at once."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings

from kpi_platform.cleaned.sessions import (
    chain_parts,
    fold_sessions,
    overlapping_keys,
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
    parts = parts_by_hour(events)
    needed = events.join(overlapping_keys(parts, SILENCE), on=NEEDED, how="semi")
    return rebuild_sessions(parts, needed, PLAYER_ID_ATTRIBUTES, SILENCE)


def sessions_of(*events: Event) -> list[dict[str, object]]:
    return engine_sessions(cleaned_events(list(events))).to_dicts()


@given(worlds())
@settings(max_examples=300, deadline=None)
def test_sessions_equal_the_reference_however_events_lie_in_hours(world: list[Event]) -> None:
    events = cleaned_events(world)
    built = engine_sessions(events)
    assert built.sort("source", "service_name", "session_id", "started_at").to_dicts() == (
        reference_sessions(world)
    )
    Sessions.validate(built)
    SessionParts.validate(parts_by_hour(events))


@given(worlds())
@settings(max_examples=50, deadline=None)
def test_parts_of_many_hours_in_one_call_are_those_of_each_hour(world: list[Event]) -> None:
    events = cleaned_events(world)
    key = [*NEEDED, "first_at"]
    at_once = session_parts(events, PLAYER_ID_ATTRIBUTES, SILENCE)
    assert at_once.sort(key).equals(parts_by_hour(events).sort(key))
