"""Lines of JSON read together are read as each by itself."""

import json
from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.arrivals.telemetry.parsing import jsonl
from kpi_platform.arrivals.telemetry.parsing.event_names import judge_bodies
from kpi_platform.arrivals.telemetry.parsing.plain_json import FIELDS, plain_fields

LINE = {
    "Category": "Telemetry",
    "Timestamp": "2026-01-01T05:00:00Z",
    "ServiceName": "Client",
    "SessionId": "s1",
    "TransactionId": 7,
    "BodyMessage": {"Name": "Crash", "Version": "1.10", "at": {"x": [1, 2.50, None], "y": {}}},
}
WRITERS: dict[str, Callable[[object], str]] = {
    "as Python writes": json.dumps,
    "without blanks": lambda line: json.dumps(line, separators=(",", ":")),
    "sorted": lambda line: json.dumps(line, sort_keys=True),
    "Unicode": lambda line: json.dumps(line, ensure_ascii=False),
}
SCALARS = (
    st.text(st.sampled_from('a"\\/{}[],: \x01\x02\x03\x04\x05\x00\u2028é\ud83d'), max_size=4)
    | st.integers(-5, 10**20)
    | st.floats()
    | st.sampled_from([True, None, -0.0])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["Name", "a", "BodyMessage"]), inner, max_size=2)
    ),
    max_leaves=5,
)


def alone(lines: pl.Series) -> pl.DataFrame:
    """Every line read by itself."""
    return jsonl._one_by_one(lines).select(FIELDS)


@st.composite
def _lines(draw: st.DrawFn) -> list[str]:
    """Lines of a few writers, some of them damaged."""
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        order = draw(st.permutations([*FIELDS, *draw(st.sampled_from([[], ["More"]]))]))
        odd = draw(st.dictionaries(st.sampled_from([*FIELDS, "More"]), VALUES, max_size=2))
        whole = {"More": 1.5, **LINE, **odd}
        text = draw(st.sampled_from(list(WRITERS.values())))({name: whole[name] for name in order})
        cut = draw(st.integers(0, len(text)) | st.just(len(text)))
        put = draw(st.sampled_from(["", "", "", '"', "}", ",", " ", "\\", "{", "\x01"]))
        text = draw(st.sampled_from([text, text, text[:cut] + put + text[cut:], text[:cut]]))
        lines += [text.encode("utf-8", "replace").decode()] * draw(st.integers(1, 2))
    return lines


@given(_lines())
@settings(max_examples=150, deadline=None)
def test_lines_read_together_are_as_each_alone(lines: list[str]) -> None:
    texts = pl.Series("line", [*lines, None], dtype=pl.String)
    plain = plain_fields(texts)
    rows = plain["BodyMessage"].is_not_null().arg_true()
    assert plain[rows].select(FIELDS).equals(alone(texts[rows]))
    judged = judge_bodies(plain["BodyMessage"], plain["is_json"].fill_null(value=False))
    assert judged.equals(judge_bodies(plain["BodyMessage"]))


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "body", [LINE["BodyMessage"], "{'Name': 'x'}", '{"Name": "a\\/b"}', {"t": 'say "hi"\\'}]
)
def test_what_writers_write_is_read_for_whole_columns(writer: str, body: object) -> None:
    lines = pl.Series("line", [WRITERS[writer]({**LINE, "BodyMessage": body, "More": True})] * 3)
    plain = plain_fields(lines)
    assert plain["BodyMessage"].null_count() == 0
    assert plain.select(FIELDS).equals(alone(lines))
