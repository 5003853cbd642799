"""Events of Dagster are packed in SQLite: the same come back, those of earlier releases too."""

import hashlib
import sqlite3
from pathlib import Path

import pytest
from dagster._core.events.log import EventLogEntry
from dagster._serdes import serialize_value
from hypothesis import given
from hypothesis import strategies as st

from kpi_platform.orchestration.event_storage import HomeStorage
from kpi_platform.orchestration.packed_events import WORDS, packed, unpacked

# What the first release that packed events made of a text.
TEXT = '{"__class__": "EventLogEntry", "dagster_event": null, "user_message": "kept"}'
PACKED_THEN = bytes.fromhex("0123b5d30af508bac9d9a905c0ec0700")


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    assert unpacked(packed(text)) == text
    # As before events were packed.
    assert unpacked(text) == text


def test_what_an_earlier_release_packed_is_read() -> None:
    assert unpacked(PACKED_THEN) == TEXT
    digest = hashlib.sha256(WORDS).hexdigest()
    assert digest == "0434e578380e80918e8cf98a8b5e6121f4eb9c65d14b3be35ce8ccdc4867c8ae"


def test_what_another_release_packed_is_said_not_guessed() -> None:
    with pytest.raises(ValueError, match="does not know"):
        unpacked(b"\x02" + packed(TEXT)[1:])


def _entry(message: str) -> EventLogEntry:
    return EventLogEntry(None, 20, message, "run-1", 1.0)


def test_events_of_before_and_packed_ones_are_read_together(tmp_path: Path) -> None:
    log = HomeStorage.from_local(str(tmp_path)).event_log_storage
    log.store_event(_entry("packed"))
    before = _entry("as Dagster writes it")
    path = tmp_path / "history" / "runs" / "run-1.db"
    assert [each.user_message for each in log.get_logs_for_run("run-1")] == ["packed"]
    with sqlite3.connect(path) as con:
        con.execute(
            "insert into event_logs (run_id, event, timestamp) values (?, ?, ?)",
            ("run-1", serialize_value(before), "2026-01-01 00:00:00"),
        )
        kinds = [row[0] for row in con.execute("select typeof(event) from event_logs order by id")]
    con.close()
    assert kinds == ["blob", "text"]
    assert [each.user_message for each in log.get_logs_for_run("run-1")] == [
        "packed",
        "as Dagster writes it",
    ]
