"""Mapped values and times: paths keep the source's text, clocks mean what they say."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.schemas.sources_file.mapped_values import (
    decode_rows,
    field,
    instant_of,
    states_another_currency,
    value_of,
)
from kpi_platform.schemas.sources_file.source_values import Time, Value
from kpi_platform.schemas.texts.json_text import write_json


def at(text: str, zone: str = "UTC") -> datetime | None:
    frame = pl.DataFrame({"t": [text]}, schema={"t": pl.String})
    found: datetime | None = frame.select(
        instant_of(Time(column="t", unit="text", zone=zone))
    ).item()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01 10:05:00 PM", (22, 5)),
        ("2026-03-01 12:05 a.m.", (0, 5)),
        ("2026-03-01 12:05 pm", (12, 5)),
        ("2026-03-01 13:05 pm", None),
        ("2026-03-01 00:05 am", None),
        ("2026-03-01 10:05:00 EST", (15, 5)),
        ("2026-03-01 10:05:00 CST", None),
        ("2026-03-01 10:05:00 UTC", (10, 5)),
        ("2026-03-01 00:05:00 garbage", None),
        ("2026-03-01T00:05:00+99:99", None),
        ("2026-03-01T10:05:00+02:60", None),
        ("2026-03-01T10:05:00-0530", (15, 35)),
        ("2026-03-01T10:05:00+02", (8, 5)),
        ("2026-03-01T10:05:00.5Z", (10, 5)),
        ("2026-03-01T10:05", (10, 5)),
        ("2026-03-01T25:05", None),
        ("2026-03-0110:05", None),
    ],
)
def test_a_clock_is_read_whole_or_not_at_all(text: str, expected: tuple[int, int] | None) -> None:
    found = at(text)
    assert (found and (found.hour, found.minute)) == expected


@settings(deadline=None)
@given(
    st.datetimes(datetime.fromisoformat("1990-01-02"), datetime.fromisoformat("2100-01-01")),
    st.sampled_from(["T", " "]),
    st.sampled_from(["", "Z", "+00:00", " +0000", " GMT"]),
)
def test_every_way_to_write_a_utc_time_is_that_time(
    moment: datetime, between: str, offset: str
) -> None:
    assert at(moment.isoformat(between, "microseconds") + offset) == moment.replace(tzinfo=UTC)


@settings(deadline=None)
@given(st.text(max_size=30), st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]))
def test_no_text_raises(text: str, zone: str) -> None:
    at("2026-03-01" + text, zone)
    at(text, zone)


SCALAR = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.sampled_from(["true", "false"]),
)


@settings(deadline=None)
@given(st.lists(st.text(max_size=5), min_size=1, max_size=3), SCALAR)
def test_what_a_path_reaches_keeps_its_text(path: list[str], scalar: str) -> None:
    text = scalar
    for step in reversed(path):
        text = f"{{{json.dumps(step)}:{text}}}"
    steps = tuple(path)
    rows = pl.Series([write_json({"doc": doc}) for doc in (text, None, "[", '{"a":1}')])
    found = decode_rows(rows, {"doc"}).select(value_of(Value(column="doc", path=steps))).to_series()
    assert found[0] == scalar and found[1] is None and found[2] is None


@pytest.mark.parametrize("name", ["*", "^.*$", "^a$", "place", "", 'a"b', "ä\n", "column"])
def test_a_column_is_found_by_its_exact_name(name: str) -> None:
    rows = pl.Series([write_json({"a": "x", "zz": "y", name: "own"})])
    for wanted in (set[str](), {name}, {"none"}):
        assert decode_rows(rows, wanted).select(field(name)).to_series().to_list() == ["own"]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("4.99", "USD", False),
        ("$4.99", "usd ", False),
        ("$4.99", "CAD", False),
        ("4.99 EUR", "USD", True),
        ("€4.99", None, True),
        ("5 min", "USD", True),
        (None, "USD", False),
    ],
)
def test_an_amount_beside_another_currency_is_told(
    amount: str | None, currency: str | None, expected: bool
) -> None:
    fields = decode_rows(pl.Series([write_json({"a": amount, "c": currency})]), {"a", "c"})
    another = states_another_currency(Value(column="a"), field("c"))
    assert fields.select(another).item() is expected
