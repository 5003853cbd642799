"""Lines of an hour -> distinct events: identity, copies, and nothing lost."""

import random
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kpi_platform.cleaned.events import COUNTED_WHOLE, EventCleaner, clean_events
from kpi_platform.schemas.tables import CleanedEvents, QuarantinedEvents, RawTelemetry

AT = datetime(2026, 1, 1, 5, 0, 0, 123000, UTC)
SOURCES = pl.DataFrame({"source": ["game"], "studio": ["studio"], "game": ["The Game"]})
LINE: dict[str, object] = {
    "source": "game",
    "category": "T",
    "event_timestamp_utc": AT,
    "service_name": "App",
    "title_session_id": "S",
    "title_transaction_id": 1,
    "body_message": "{'Name': 'A', 'v': 1.10}",
    "event_name": None,
    "raw_line": None,
    "file_name": "f.tsv",
    "line_number": 1,
    "p_ingest_date_utc": AT.date(),
    "p_ingest_hour_utc": 5,
}


def raw(*changes: dict[str, object]) -> pl.DataFrame:
    lines = [LINE | {"line_number": n} | change for n, change in enumerate(changes, 1)]
    return pl.DataFrame(lines, schema=RawTelemetry.to_polars_schema())


def test_one_event() -> None:
    cleaned = clean_events(raw({}), SOURCES)
    CleanedEvents.validate(cleaned.events)
    assert cleaned.events.drop("event_id").to_dicts() == [
        {
            "source": "game",
            "studio": "studio",
            "game": "The Game",
            "service_name": "App",
            "session_id": "S",
            "transaction_id": 1,
            "event_name": "A",
            "event_at": AT,
            "attributes": '{"v":"1.10"}',
            "p_ingest_date_utc": AT.date(),
            "p_ingest_hour_utc": 5,
        }
    ]


def test_the_event_id_never_changes() -> None:
    # Ids are stored in tables for years: another value here would double every resent event.
    assert clean_events(raw({}), SOURCES).events["event_id"].item() == (
        "453aa3552892d99b299a7b7e879bcfba"
    )


@pytest.mark.parametrize(
    "same",
    [{"category": "X"}, {"file_name": "g.tsv"}, {"body_message": " {'Name': 'A', 'v': 1.10}\t"}],
)
def test_copies(same: dict[str, object]) -> None:
    cleaned = clean_events(raw({}, same), SOURCES)
    assert cleaned.events.height == 1
    assert cleaned.accounts.select("source", "duplicates").rows() == [("game", 1)]


@pytest.mark.parametrize(
    "other",
    [
        {"source": "game2"},
        {"service_name": "App2"},
        {"title_session_id": "S2"},
        {"title_transaction_id": 2},
        {"event_timestamp_utc": AT.replace(microsecond=123001)},
        {"body_message": "{'Name': 'A', 'v': 1.1}"},
        {"body_message": "{'Name': 'A','v': 1.10}"},
        {"service_name": "AppS", "title_session_id": ""},
        {"service_name": "App1:", "title_session_id": "S"},
    ],
)
def test_no_copies(other: dict[str, object]) -> None:
    cleaned = clean_events(raw({}, other), SOURCES)
    assert cleaned.events["event_id"].n_unique() == 2
    assert cleaned.accounts["duplicates"].sum() == 0


def test_a_source_nobody_listed_is_its_own_game() -> None:
    event = clean_events(raw({"source": "new"}), SOURCES).events
    assert event.select("source", "studio", "game").row(0) == ("new", "unassigned", "new")


def test_bad_bodies_are_quarantined() -> None:
    late = AT.replace(microsecond=123456)
    cleaned = clean_events(
        raw({"body_message": "x"}, {"body_message": "{}", "event_timestamp_utc": late}), SOURCES
    )
    QuarantinedEvents.validate(cleaned.quarantined)
    assert cleaned.quarantined.select("reason", "raw_line", "p_stage").rows() == [
        ("bad_body", "T\t2026-01-01T05:00:00.123+0000\tApp\tS\t1\tx", "decode"),
        ("missing_event_name", "T\t2026-01-01T05:00:00.123456+0000\tApp\tS\t1\t{}", "decode"),
    ]
    assert cleaned.accounts.select("source", "duplicates").rows() == [("game", 0)]


def test_at_most_64_kib_of_a_bad_line_are_kept() -> None:
    cleaned = clean_events(raw({"body_message": "é" * 100_000}), SOURCES)
    assert 65_530 <= len(cleaned.quarantined["raw_line"].item().encode()) <= 65_536


def test_an_hour_without_lines() -> None:
    cleaned = clean_events(raw(), SOURCES)
    assert cleaned.events.schema == CleanedEvents.to_polars_schema()
    assert cleaned.quarantined.schema == QuarantinedEvents.to_polars_schema()
    assert cleaned.accounts.rows() == []


def test_events_are_counted_of_all_however_many_come_at_a_time() -> None:
    bodies = ("{'Name': 'SoftwareVersion', 'Version': 1.2}", "{'Name': 'SessionStart'}")
    lines = [
        {"body_message": bodies[number % 3 == 0], "title_transaction_id": number}
        for number in range(COUNTED_WHOLE + 1)
    ]
    cleaner = EventCleaner(SOURCES)
    cleaner.add(raw(*lines))
    carried = cleaner.carried().select("event_name", "attribute", "events", "carrying").rows()
    counts = {tuple(row[:2]): tuple(row[2:]) for row in carried}
    assert counts["", ""] == (5001, 5001)
    assert counts["SoftwareVersion", ""] == (3334, 3334)
    assert counts["SessionStart", ""] == (1667, 1667)
    # Of these some are looked at, which tell the shares.
    looked_at, carrying = counts["SoftwareVersion", "Version"]
    assert 100 < looked_at < 400 and carrying == looked_at


BODIES = ["{'Name': 'A'}", "{'Name': 'A', 'v': 1}", "{'Name': 'B', 'v': \"it's\"}", "{}", "x"]
LINES = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["game", "other"]),
        "title_session_id": st.sampled_from(["", "S"]),
        "title_transaction_id": st.integers(-1, 1),
        "body_message": st.sampled_from(BODIES),
    }
)


@settings(max_examples=100, deadline=None)
@given(st.lists(LINES, max_size=30), st.integers(0, 30), st.randoms(use_true_random=False))
def test_lines_are_accounted_for_in_any_order_and_any_parts(
    lines: list[dict[str, object]], cut: int, chance: random.Random
) -> None:
    hour = raw(*lines)
    cleaned = clean_events(hour, SOURCES)
    accounted = cleaned.events.height + cleaned.quarantined.height
    assert accounted + cleaned.accounts["duplicates"].sum() == len(lines)
    shuffled = hour[chance.sample(range(len(lines)), len(lines))]
    cleaner = EventCleaner(SOURCES)
    cleaner.add(shuffled[:cut])
    cleaner.add(shuffled[cut:])
    events = pl.concat([cleaned.events.clear(), *cleaner.events()])
    assert_frame_equal(events, cleaned.events, check_row_order=False)
    assert cleaner.quarantined().equals(cleaned.quarantined)
    assert cleaner.accounts().equals(cleaned.accounts)
