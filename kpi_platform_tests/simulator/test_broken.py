"""Each broken line is broken in the way it says, and in no other."""

import json
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from kpi_platform.simulator.files.broken import LONG_MARK, NOT_UTF8_MARK, _line
from kpi_platform.simulator.files.schedule import REASONS

HOUR = datetime(2026, 1, 2, 3, tzinfo=UTC)


def _fields(reason: str, seed: int) -> list[str]:
    return _line(Random(seed), reason, 0, "S", HOUR).split("\t")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("reason", REASONS)
def test_a_broken_line_has_six_fields_or_says_so(reason: str, seed: int) -> None:
    assert (len(_fields(reason, seed)) == 6) == (reason != "wrong_field_count")


@pytest.mark.parametrize("seed", range(8))
def test_times_lie_beyond_the_limits(seed: int) -> None:
    future = datetime.fromisoformat(_fields("future_timestamp", seed)[1])
    late = datetime.fromisoformat(_fields("too_late", seed)[1])
    assert future >= HOUR + timedelta(hours=1 + 24)
    assert late < HOUR - timedelta(days=30)


def test_marks_stand_where_bytes_will() -> None:
    assert NOT_UTF8_MARK in _fields("not_utf8", 1)[5]
    assert LONG_MARK in _fields("line_too_long", 1)[5]


@pytest.mark.parametrize("seed", range(5))
def test_transaction_ids_are_no_64_bit_integers(seed: int) -> None:
    text = _fields("bad_transaction_id", seed)[4]
    assert not text.isdigit() or int(text) > 2**63


def test_json_lines_are_json() -> None:
    line = json.loads(_line(Random(1), "missing_event_name", 1, "S", HOUR))
    assert "Name" not in line["BodyMessage"]
