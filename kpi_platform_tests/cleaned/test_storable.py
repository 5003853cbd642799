"""Texts that no database can hold, whichever way they come in: replaced before any sees them."""

from datetime import UTC, datetime

import polars as pl
import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.cleaned.conform import RowOrigin, conform
from kpi_platform.cleaned.events import clean_events
from kpi_platform.schemas.sources_file.source_tables import EventMapping
from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.texts.json_text import write_json
from kpi_platform.storage.kpi_database.copies import copy_rows
from kpi_platform_tests.servers import PostgresServer

AT = datetime(2026, 1, 1, tzinfo=UTC)
SOURCES = pl.DataFrame({"source": ["s"], "studio": ["a"], "game": ["g"]})
# How a NUL, a half of a pair and other oddities come in a body's text.
ODD = ["\0", "\\u0000", "\\\\u0000", "\\ud83d", "\x01", "\ufeff", "\U0001f600", "\u2028"]


def line(service: str, session: str, body: str) -> dict[str, object]:
    """A line of `raw_telemetry`."""
    return {
        "source": "s", "category": "Telemetry", "body_message": body, "title_session_id": session,
        "title_transaction_id": 1, "service_name": service, "event_name": None,
        "event_timestamp_utc": AT, "raw_line": None, "file_name": "f", "line_number": 1,
        "p_ingest_date_utc": AT.date(), "p_ingest_hour_utc": 0,
    }  # fmt: skip


def cleaned(*lines: dict[str, object]) -> pl.DataFrame:
    raw = pl.DataFrame(list(lines), schema=TABLES["raw_telemetry"].polars_schema)
    return clean_events(raw, SOURCES).events


def mapped(text: str) -> pl.DataFrame:
    """The events of a studio's or feed's row in which every value is this text."""
    columns = ("who", "session", "service", "kind", "props", "other")
    mapping = {
        "event": {"column": "kind"}, "event_at": "at", "player_id": "who", "session_id": "session",
        "service_name": "service", "json_columns": "props",
    }  # fmt: skip
    row = dict.fromkeys(columns, f"x{text}") | {"at": AT.isoformat()}
    rows = pl.DataFrame(
        {
            "source": "s", "row": [write_json(row)], "row_key": "k", "file_name": "f",
            "line_number": 1, "p_ingest_date_utc": AT.date(), "p_ingest_hour_utc": 0,
        },
        schema_overrides={"p_ingest_hour_utc": pl.Int32},
    )  # fmt: skip
    lines = conform(rows, EventMapping.model_validate(mapping), RowOrigin("g")).lines
    return clean_events(lines, SOURCES).events


def odd_events() -> pl.DataFrame:
    """Events of every way in, with every oddity in every place."""
    bodies = [f"{{'Name':'F{odd}','Feature':'x{odd}y','k{odd}':{{'in':['{odd}']}}}}" for odd in ODD]
    telemetry = cleaned(
        *(line(f"svc{odd}", f"s{odd}", body) for odd, body in zip(ODD, bodies, strict=True)),
        line("svc", "s\0", "{Name: F, Feature: a\0b}"),
        line("svc", "s", "{'Name':'Purchase','Amount':'" + "9" * 140_000 + "'}"),
    )
    return pl.concat([telemetry, *(mapped(odd) for odd in ODD)])


def test_every_way_in_gives_texts_that_postgres_holds_and_reads(
    postgres_server: PostgresServer,
) -> None:
    events = odd_events()
    assert events.height == 2 * len(ODD) + 2
    columns = ["source", "service_name", "session_id", "event_name", "attributes"]
    connection = psycopg2.connect(postgres_server.create_database("storable").dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute("create schema lake")
            typed = ", ".join(f"{name} text" for name in columns)
            cursor.execute(f"create table lake.cleaned_events ({typed})")
            copy_rows(cursor, "cleaned_events", events.select(columns))
            cursor.execute(
                "select event_name, service_name, session_id, attributes::jsonb ->> 'Feature',"
                " (select count(*) from jsonb_each_text(attributes::jsonb))"
                " from lake.cleaned_events"
            )
            stored = cursor.fetchall()
    finally:
        connection.close()
    assert [row[:3] for row in stored] == events.select(
        "event_name", "service_name", "session_id"
    ).rows()
    assert ("F\ufffd", "svc\ufffd", "s\ufffd", "x\ufffdy", 2) in stored
    # An escaped backslash before `u0000` is no NUL.
    assert "x\\u0000y" in {row[3] for row in stored}


@settings(deadline=None)
@given(st.text(max_size=12), st.sampled_from(["'", '"']))
def test_no_text_of_a_body_keeps_a_nul(text: str, quote: str) -> None:
    body = f"{{'Name':'A','F':{quote}{text}{quote}}}"
    for event in cleaned(line(text, text, body)).to_dicts():
        assert "\0" not in "".join(value for value in event.values() if isinstance(value, str))
        assert pl.Series([event["attributes"]]).str.json_decode(pl.Struct({"F": pl.String}))[0]


@pytest.mark.parametrize("text", ["a\0b", "a\ufffdb"])
def test_events_that_differ_in_nul_stay_two(text: str) -> None:
    both = [line("svc", text, "{'Name':'A'}"), line("svc", "other", "{'Name':'A'}")]
    twin = line("svc", "a\0b" if text != "a\0b" else "a\ufffdb", "{'Name':'A'}")
    assert cleaned(*both, twin).height == 3
