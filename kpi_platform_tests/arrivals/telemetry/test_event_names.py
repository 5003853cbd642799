"""Names read off bodies agree with the grammar, and a body called sound decodes to an event."""

import json

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kpi_platform.arrivals.telemetry.parsing.event_names import (
    NAMED,
    judge_bodies,
    read_event_names,
)
from kpi_platform.arrivals.telemetry.parsing.nested_bodies import read_nested_names
from kpi_platform.schemas.texts.body_text import BLANKS, decode_body

PIECES = st.sampled_from(
    ["Name", "'Name'", '"Name"', "A", "'A'", '"B"', "{", "}", "[", "]", ":", ": ", ",", ", ", "'",
     '"', "\\", r"\u0061", "null", "1.10", "{'Name': 'A'", '{"Name": "A"', " ", "\t", "é", "\x00"]
)  # fmt: skip
BODIES = st.lists(PIECES, max_size=12).map("".join)
SCALARS = st.sampled_from(["A", "", " ", "{", 1, 1.5, True, None])
KEYS = st.sampled_from(["Name", "a", "UserName"])
JSON_BODIES = st.dictionaries(KEYS, st.recursive(SCALARS, st.lists, max_leaves=4)).map(json.dumps)


@settings(max_examples=1000, deadline=None)
@given(st.lists(BODIES | JSON_BODIES, min_size=1, max_size=5))
@example(["{'Name': 'A', 'b': [1}", "{'Name': 'A'} x", "{'Name': 'A', 'UserName': 'B'}"])
def test_names_agree_with_the_grammar_and_sound_bodies_decode(bodies: list[str]) -> None:
    named = judge_bodies(pl.Series(bodies, dtype=pl.String))
    assert named.schema == NAMED
    assert read_event_names(pl.Series(bodies, dtype=pl.String)).equals(named["event_name"])
    for text, (name, is_sound) in zip(bodies, named.rows(), strict=True):
        body = decode_body(text.strip(BLANKS))
        decoded = None if body is None else body.event_name
        assert decoded is not None or not is_sound, text
        assert name == decoded or decoded is None, text


NESTED_PIECES = st.sampled_from(
    ["'Name': 'A'", "'Name':'A'", "'b'", '"c"', "'x {'", '"]"', "{", "}", "[", "]", ":", ", ", ",",
     "1.10", "null", "12:30", "'", '"', "{'a': [1, {'b': c}]}", "'v': {'w': 1}, ", "[]", "{}"]
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(NESTED_PIECES, max_size=10).map(lambda parts: "{" + "".join(parts) + "}"))
@example("{'v': {'w': 1}, 'Name': 'A'}")
@example('{"a": "x: {"k": "v"}, y", \'Name\': \'A\'}')
@example("{{}: 1, 'Name': 'A'}")
def test_names_read_off_nested_bodies_are_those_of_the_grammar(body: str) -> None:
    name = read_nested_names(pl.Series([body])).item()
    decoded = decode_body(body)
    assert name is None or (decoded is not None and decoded.event_name == name)


def test_plain_nested_bodies_are_read_without_decoding_them() -> None:
    bodies = [
        "{'V':{'a':[1,2.5]},'Name':'X','n':3}",
        ' { "V" : [ { "a" : [] }, {} ] , "Name" : "X" }',
        "{'Name': 'X', 'at': {'x': [1, {'y': 12:30}], 'z': 'a {b} [c], d'}}",
    ]
    assert read_nested_names(pl.Series(bodies)).to_list() == ["X"] * 3


def test_usual_bodies_are_sound() -> None:
    bodies = [
        "{ 'Name': 'SoftwareVersion', 'Version': 1.22.03, 'Device': 'Gameboy'}",
        "{'Version': 1, 'Name': 'A'}\t",
        '{"Name": "A", "UserName": "B", "v": null}',
        '{"Name": "A", "Message": "a \\"quoted\\" word", "at": {"x": [1, 2]}}',
    ]
    assert judge_bodies(pl.Series(bodies))["is_sound"].all()
