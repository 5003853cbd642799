"""Bodies: what the grammar accepts, and that the fast way through columns equals it."""

import json
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.cleaned import bodies
from kpi_platform.cleaned.bodies import decode_bodies, decode_exactly
from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.texts.body_text import MAX_DEPTH, decode_body

ACCEPTED = [
    (
        "{ 'Name': 'SoftwareVersion', 'Version': 1.22.03, 'Device': 'Gameboy'}",
        "SoftwareVersion",
        '{"Version":"1.22.03","Device":"Gameboy"}',
    ),
    ('{"Name":"A","V":1.10,"n":null,"t":true}', "A", '{"V":"1.10","n":null,"t":"true"}'),
    ("{Name: A, 'v': 'null', w: null}", "A", '{"v":"null","w":null}'),
    ("  {'Name':'A'}\t", "A", "{}"),
    ('{"Name": "A", "Text": "it\'s"}', "A", '{"Text":"it\'s"}'),
    (r"{'Name': 'A', 'Text': 'it\'s \"x\"'}", "A", r'{"Text":"it' + "'" + r's \"x\""}'),
    ("{'Name': 'A', 'Text': '\"'}", "A", r'{"Text":"\""}'),
    ("{'Name': 'A', 'a': {'b': [1, {c: 2.0}, []], 'd': {}}}", "A", None),
    ("{'Name': 'A', 'v': 1, 'v': 2}", "A", '{"v":"2"}'),
    ("{'Name': 'A', 'Name': 'B'}", "B", "{}"),
    ("{'Name': 'A', 'v': 123456789012345678901234567890}", "A", None),
    ("{'Name': 'A', 'os': Windows 10, 'at': 12:30, 'url': http://x/y?z=1}", "A", None),
    (r"{'Name': 'A', 'p': 'C:\dir'}", "A", r'{"p":"C:\\dir"}'),
    (r"{'Name': 'A', 'p': '\u00e9\ud83d\ude00\ud800'}", "A", '{"p":"é😀\ufffd"}'),
    ("{'Name': 'A', 'p': '\x00'}", "A", '{"p":"\ufffd"}'),
    ("{'Name': 'A', 'p': 'a, b', 'q': 'a,', 'r': ', '}", "A", '{"p":"a, b","q":"a,","r":", "}'),
    ("{'Version': 1, 'Name': 'A'}", "A", '{"Version":"1"}'),
]
REFUSED = [
    "", "x", "[1]", "{", "}", "{'Name': 'A'", "{'Name': 'A}", "{'Name': 'A'} x", "{'Name': 'A',}",
    "{'Name': 'A' 'b': 1}", "{'Name': }", "{'Name'}", "{A: 1 B: 2}", "{'Name': 'A', 'v': [1}",
    "{'Name': 'A', 'v': it's}", "{'Name': 'A', 'v': [1,]}", "{'Name': 'A'}}", "{,}",
]  # fmt: skip
UNNAMED = [
    "{}", "{ }", "{'name': 'A'}", "{'Name': ''}", "{'Name': ' '}", "{'Name': null}",
    "{'Name': {'Name': 'A'}}", "{'a': {'Name': 'A'}}", "{'Name': 'A', 'Name': null}",
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "attributes"), ACCEPTED)
def test_accepted_bodies(text: str, name: str, attributes: str | None) -> None:
    body = decode_body(text)
    assert body is not None
    assert body.event_name == name
    assert attributes is None or body.attributes == attributes
    assert isinstance(json.loads(body.attributes), dict)


def test_values_keep_their_source_text() -> None:
    body = decode_body(
        "{Name: A, big: 123456789012345678901234567890, f: 1.0e5, os: Windows 10, at: 12:30,"
        " nested: {'b': [1.10, {c: 2.0, c: 3}, []], 'd': {}}}"
    )
    assert body is not None
    assert body.attributes == (
        '{"big":"123456789012345678901234567890","f":"1.0e5","os":"Windows 10","at":"12:30",'
        '"nested":{"b":["1.10",{"c":"3"},[]],"d":{}}}'
    )


@pytest.mark.parametrize("text", REFUSED)
def test_refused_bodies(text: str) -> None:
    assert decode_bodies(pl.Series([text])).row(0) == (None, None, "bad_body")


@pytest.mark.parametrize("text", UNNAMED)
def test_bodies_without_a_name(text: str) -> None:
    decoded = decode_bodies(pl.Series([text]))
    assert decoded["event_name"].to_list() == [None]
    assert decoded["reason"].to_list() == ["missing_event_name"]


def test_deep_nesting_has_a_limit_but_no_recursion() -> None:
    def nested(depth: int) -> str:
        return "{Name:A,a:" + "{a:" * (depth - 1) + "1" + "}" * depth

    assert decode_body(nested(200)) is not None
    assert decode_body(nested(MAX_DEPTH)) is not None
    assert decode_body(nested(MAX_DEPTH + 1)) is None
    assert decode_body("{a:" + "[" * 1_000_000) is None


def test_a_long_version_is_kept_whole() -> None:
    version = "1." * 5000 + "0"
    decoded = decode_bodies(pl.Series([f"{{'Name': 'SoftwareVersion', 'Version': {version}}}"]))
    assert decoded.select(attribute("Version")).item() == version


def test_every_null_body_is_bad() -> None:
    decoded = decode_bodies(pl.Series([None, "{'Name': 'A'}"], dtype=pl.String))
    assert decoded["reason"].to_list() == ["bad_body", None]


QUOTE = st.sampled_from(["'", '"'])
KEYS = st.sampled_from(["Name", "a", "b", "Version", "x.y", "e-f"])
PIECES = [
    "a",
    "Z9",
    "1.10",
    " ",
    ",",
    ", ",
    ":",
    "'",
    '"',
    "}",
    "{",
    "[",
    "\\",
    "null",
    "\x00",
    "é",
]
FREE_TEXT = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)


@st.composite
def values(draw: st.DrawFn) -> str:
    quote = draw(QUOTE)
    quoted = quote + draw(FREE_TEXT) + quote
    return draw(
        st.sampled_from([quoted, quoted, "null", "1.22.03", "-5", "a b", "12:30", "x:", ""])
    )


@st.composite
def body_texts(draw: st.DrawFn) -> str:
    members = []
    for key in draw(st.lists(KEYS, max_size=4)):
        quote, value = draw(QUOTE), draw(values())
        if key == "Name" and draw(st.booleans()):
            value = "'Event'"
        colon = draw(st.sampled_from([": ", ":", " : ", " :", ":  "]))
        members.append(quote + key + quote + colon + value)
    comma = draw(st.sampled_from([", ", ",", " , ", " ,"]))
    start, end = draw(st.sampled_from(["{", "{ ", " {"])), draw(st.sampled_from(["}", " }", "} "]))
    return start + comma.join(members) + end


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(body_texts(), st.none()), min_size=1, max_size=40))
def test_the_fast_way_equals_the_grammar(texts: list[str | None]) -> None:
    column = pl.Series(texts, dtype=pl.String)
    with patch.object(bodies, "_FEW", 0):
        fast = decode_bodies(column)
    assert fast.rows() == decode_exactly(column).rows()


@pytest.mark.parametrize(
    "text",
    [
        "{'Name': 'A', 'v': 1.10, 'w': null, 'x': 'a, b'}",
        '{ "Name" : "A" , "v":null,"w" :"null" }',
        "{'v': ':', 'Name': 'A', 'w': ''}",
        "{'Name': 'A'}",
    ],
)
def test_usual_bodies_take_the_fast_way(text: str) -> None:
    with patch.object(bodies, "_FEW", 0), patch.object(bodies, "_row", None):
        fast = decode_bodies(pl.Series([text] * 3))
    assert fast.equals(decode_exactly(pl.Series([text] * 3)))


ODD = st.text(st.sampled_from(list("aV\"'\\{}[],: \x00é\n")), max_size=6)
NESTED = st.recursive(
    st.one_of(ODD, st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ODD, inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(ODD | st.just("V"), NESTED, max_size=4), min_size=1, max_size=5))
def test_an_attribute_is_what_json_says(objects: list[dict[str, object]]) -> None:
    texts = [json.dumps(o, ensure_ascii=False, separators=(",", ":")) for o in objects]
    found = pl.DataFrame({"attributes": texts}).select(attribute("V")).to_series().to_list()
    expected = [v if isinstance(v := o.get("V"), str) and v.strip() else None for o in objects]
    assert found == expected
