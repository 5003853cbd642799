"""Lines of JSON -> the six fields of a telemetry line.

Belongs here: what a JSON line must look like. Does not: judging the fields' contents.
"""

import json
import re
from collections.abc import Iterable
from operator import itemgetter

import orjson
import polars as pl

from kpi_platform.arrivals.telemetry.parsing.plain_json import FIELDS, plain_fields
from kpi_platform.schemas.texts.body_text import MAX_DEPTH
from kpi_platform.schemas.texts.json_text import is_too_deep, without_halves

# Fewer lines are read one by one sooner than all together.
_FEW = 50
# What Python and others write where JSON has no number.
_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")
_OF_FIELDS = itemgetter(*FIELDS)
_BODY_KEY = '"BodyMessage"'
_BLANKS = re.compile(r"[ \t\r\n]*+")


def read_objects(lines: pl.Series) -> pl.DataFrame:
    """Return the six fields (columns `FIELDS`) of each line, all null if it lacks one of them, and
    `is_json`: the body is surely an object or a list; that it is not says nothing.

    A line is one JSON object; other names in it are ignored, of duplicates the last counts. Text
    stands for itself, null for the empty text, a number for its source text; only `BodyMessage`
    may be an object or a list, of which the exact source text is taken; in it may stand what is
    no JSON but written for a number all the same (`NaN`, `Infinity`), as in other bodies.
    """
    if len(lines) < _FEW:
        return _one_by_one(lines)
    fields = plain_fields(lines)
    rows = fields["BodyMessage"].is_null().arg_true()
    if not len(rows):
        return fields
    others = _one_by_one(lines[rows])
    return fields.with_columns(fields[name].scatter(rows, others[name]) for name in others.columns)


def _one_by_one(lines: Iterable[str | None]) -> pl.DataFrame:
    rows = [None if line is None else _quick_fields(line) or _fields(line) for line in lines]
    empty = (None,) * len(FIELDS)
    schema = dict.fromkeys(FIELDS, pl.String)
    read = pl.DataFrame([row or empty for row in rows], schema=schema, orient="row")
    return read.with_columns(is_json=pl.lit(value=False))


def _quick_fields(line: str) -> tuple[str, ...] | None:
    """The fields of a line as nearly all are written, exactly as `_fields` gives them, in a tenth
    of the time; None says nothing about other lines."""
    if line.count("{") + line.count("[") > MAX_DEPTH:
        return None
    try:
        members = orjson.loads(line)
        *names, transaction, body = _OF_FIELDS(members)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if type(transaction) is int and (transaction or "-0" not in line):
        transaction = str(transaction)
    if not all(type(text) is str for text in (*names, transaction)):
        return None
    text = body if type(body) is str else _body_source(line, list(members), body)
    return None if text is None else (*names, transaction, text)


def _body_source(line: str, names: list[str], body: object) -> str | None:
    """The source text of the body, an object or a list, if it is plain where it lies."""
    # Without escaped letters the key is written as it is, and, being there once, it is the key.
    at = line.find(_BODY_KEY)
    if not isinstance(body, dict | list) or "\\u" in line or line.find(_BODY_KEY, at + 1) >= 0:
        return None
    rest = line[at + len(_BODY_KEY) :].lstrip(" \t").removeprefix(":")
    place = names.index("BodyMessage") + 1
    end = rest.rfind("}") if place == len(names) else rest.rfind(f'"{names[place]}"')
    text = rest[:end].strip(" \t\r")
    if place < len(names):
        text = text.removesuffix(",").rstrip(" \t\r")
    try:
        # A whole value that begins where the body does is the body.
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return text


def _fields(line: str) -> tuple[str, ...] | None:
    if is_too_deep(line):
        return None
    try:
        members = _members(line)
    except (ValueError, IndexError):
        return None
    if members is None or any(name not in members for name in FIELDS):
        return None
    return tuple(members[name] for name in FIELDS)


def _members(line: str) -> dict[str, str] | None:
    """Walk the top level of the object; IndexError, ValueError: it is none."""
    at = _skip(line, 0)
    if line[at] != "{":
        return None
    members: dict[str, str] = {}
    separator = ","
    while separator == ",":
        at = _skip(line, at + 1)
        if line[at] != '"':
            return None
        name, at = _DECODER.raw_decode(line, at)
        at = _skip(line, at)
        if line[at] != ":":
            return None
        start = _skip(line, at + 1)
        value, end = _DECODER.raw_decode(line, start)
        if name in FIELDS:
            source = line[start:end]
            text = _text(value, source)
            if name != "BodyMessage" and (text is None or source in _NO_NUMBERS):
                return None
            members[str(name)] = source if text is None else text
        at = _skip(line, end)
        separator = line[at]
    return members if separator == "}" and _skip(line, at + 1) == len(line) else None


def _text(value: object, source: str) -> str | None:
    """The text of a scalar; None for objects and lists."""
    if isinstance(value, dict | list):
        return None
    if value is None:
        return ""
    return without_halves(value) if isinstance(value, str) and source[0] == '"' else source


def _skip(line: str, at: int) -> int:
    blanks = _BLANKS.match(line, at)
    return at if blanks is None else blanks.end()


# Numbers stay text: nothing is computed, and thousands of digits cost nothing.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)
