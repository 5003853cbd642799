"""Lines of JSON in plain writing -> the six fields of a telemetry line, for whole columns.

Belongs here: the lines that nearly all writers write: members in a few orders, texts without
escapes but for quotes, backslashes and slashes. Does not: any other line, of which nothing is said
here (`jsonl.py` reads each by itself).

The members of a line, their order and kinds are learned from lines; a line is of a shape if it
matches one pattern. Then no text holds a quote, so that cutting at quotes cuts between members.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import orjson
import polars as pl

from kpi_platform.schemas.texts.body_text import MAX_DEPTH

FIELDS = ("Category", "Timestamp", "ServiceName", "SessionId", "TransactionId", "BodyMessage")

_Kind: TypeAlias = Literal["text", "number", "word", "nested"]
_MOST_SHAPES = 8
_MOST_LEVELS = 8
# While lines are cut, these stand for escapes; lines that hold them are not plain.
_ESCAPED = {'\\"': "\x01", "\\\\": "\x02", "\\/": "\x03"}
_MEANT = {"\x01": '"', "\x02": "\\", "\x03": "/"}
_WRITTEN = {mark: escape for escape, mark in _ESCAPED.items()}
_MARKED = "[\x01\x02\x03]"
_TEXT, _NESTED = "\x04", "\x05"

_B = r"[ \t]*"
_QUOTED = r'"[^"\\\x00\x04-\x1f]*"'
_INTEGER = r"-?(?:0|[1-9][0-9]*)"
_NUMBER = rf"{_INTEGER}(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_WORD = rf"(?:{_NUMBER}|true|false|null)"


def _container(text: str, value: str) -> str:
    """The pattern of an object or a list of these values."""
    member = rf"{text}{_B}:{_B}{value}"
    return (
        rf"\{{{_B}(?:{member}(?:{_B},{_B}{member})*{_B})?\}}"
        rf"|\[{_B}(?:{value}(?:{_B},{_B}{value})*{_B})?\]"
    )


_FLAT = rf"^(?:{_container(_QUOTED, rf'(?:{_QUOTED}|{_WORD})')})$"
_NOTHING = pl.DataFrame(schema={**dict.fromkeys(FIELDS, pl.String), "is_json": pl.Boolean})
_OF_MARKS = _container(_TEXT, rf"(?:{_TEXT}|{_NESTED}|{_WORD})")
_VALUES: dict[_Kind, str] = {
    "text": _QUOTED,
    "number": _INTEGER,
    "word": _WORD,
    "nested": r"[{\[].*[}\]]",
}


class _Shape(NamedTuple):
    """The members of lines in their order, each with its kind."""

    members: tuple[tuple[str, _Kind], ...]

    def pattern(self) -> str:
        """What lines of this shape match, if their nested member is sound."""
        written = (rf'"{re.escape(name)}"{_B}:{_B}{_VALUES[kind]}' for name, kind in self.members)
        return rf"^{_B}\{{{_B}{f'{_B},{_B}'.join(written)}{_B}\}}[ \t\r]*$"

    def place(self) -> int | None:
        """Where the member stands that is an object or a list."""
        kinds = [kind for _, kind in self.members]
        return kinds.index("nested") if "nested" in kinds else None


def plain_fields(lines: pl.Series) -> pl.DataFrame:
    """The columns `FIELDS` of each line in plain writing; all null says nothing about a line.

    `is_json`: the body is surely an object or a list; that it is not says nothing.
    """
    texts, left = _masked(lines), lines.is_not_null().arg_true()
    fields: pl.DataFrame | None = None
    for _ in range(_MOST_SHAPES):
        shape = _shape_of(lines[int(left[0])]) if len(left) else None
        if shape is None:
            break
        waiting = texts if len(left) == len(texts) else texts[left]
        matches = waiting.str.contains(shape.pattern()).fill_null(value=False)
        if matches.all() and len(left) == len(texts):
            # As of nearly every file: nothing is to be picked out.
            return _cut(texts, shape)
        found = _cut(waiting.filter(matches), shape)
        fields = _placed(fields, left.filter(matches), found, len(lines))
        left = left.filter(~matches)
    return _NOTHING.clear(len(lines)) if fields is None else fields


def _placed(
    fields: pl.DataFrame | None, rows: pl.Series, found: pl.DataFrame, height: int
) -> pl.DataFrame:
    """The fields with those found of some rows."""
    fields = _NOTHING.clear(height) if fields is None else fields
    return fields.with_columns(column.scatter(rows, found[column.name]) for column in fields)


def _masked(lines: pl.Series) -> pl.Series:
    """The lines with marks for escapes; null where these stand already."""
    if not lines.str.contains("\\", literal=True).any():
        return lines.set(lines.str.contains(_MARKED), None)
    masked = lines.to_frame("line").select(
        pl.when(~pl.col("line").str.contains(_MARKED)).then(
            pl.col("line").str.replace_many(_ESCAPED, leftmost=True)
        )
    )
    return masked.to_series()


def _shape_of(line: str | None) -> _Shape | None:
    """The shape of a line; None if it has none that is looked for."""
    if line is None or line.count("{") + line.count("[") > MAX_DEPTH:
        return None
    try:
        members = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(members, dict) or not set(FIELDS) <= members.keys():
        return None
    kinds = {name: _kind(name, value) for name, value in members.items()}
    nested = [name for name, kind in kinds.items() if kind == "nested"]
    texts = [kinds[name] for name in FIELDS[:4]]
    is_told = all(kind == "text" for kind in texts) and nested in ([], ["BodyMessage"])
    is_told &= kinds["TransactionId"] in ("text", "number") and kinds["BodyMessage"] != "number"
    is_told &= kinds["BodyMessage"] != "word" and not any('"' in n or "\\" in n for n in members)
    return _Shape(tuple(kinds.items())) if is_told else None


def _kind(name: str, value: object) -> _Kind:
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict | list):
        return "nested"
    is_number = name == "TransactionId" and type(value) is int
    return "number" if is_number else "word"


def _cut(texts: pl.Series, shape: _Shape) -> pl.DataFrame:
    """`FIELDS` and `is_json` of lines that match a shape's pattern, null of those that are none."""
    place = shape.place()
    if place is None:
        cut = _pieces(texts, shape.members)
        return _with_meaning(cut, shape).with_columns(is_json=pl.lit(value=False))
    after = shape.members[place + 1 :]
    cut = _pieces(texts, shape.members[: place + 1])
    rest = cut["BodyMessage"]
    if after:
        # It stands once: behind its first quote there are as many as it has, to the line's end.
        tail = _Shape(after).pattern().removeprefix(rf"^{_B}\{{{_B}")
        starts = rest.str.find(rf"{_B},{_B}{tail}")
        data = rest.cast(pl.Binary).to_frame("data").with_columns(start=starts)
        parts = data.select(
            head=pl.col("data").bin.slice(0, "start").cast(pl.String),
            tail=pl.col("data").bin.slice("start").cast(pl.String),
        )
        cut = cut.with_columns(parts["head"].alias("BodyMessage"))
        cut = cut.hstack(_pieces(parts["tail"], after))
    else:
        ends = pl.col("BodyMessage").str.strip_chars_end(" \t\r").str.head(-1)
        cut = cut.with_columns(ends)
    cut = cut.with_columns(
        pl.col("BodyMessage").str.strip_chars_start(" \t:").str.strip_chars_end(" \t")
    )
    sound = _is_json(cut["BodyMessage"])
    found = _with_meaning(cut, shape).with_columns(is_json=pl.lit(value=True))
    return found if sound.all() else found.with_columns(pl.when(sound).then(pl.all()).name.keep())


def _pieces(texts: pl.Series, members: Sequence[tuple[str, _Kind]]) -> pl.DataFrame:
    """The members' values, cut at quotes; the last has all that follows, if it is nested."""
    places: dict[str, int] = {}
    at = 0
    for name, kind in members:
        # Before a name there is its quote and what parts it from the member before.
        places[name] = at + (3 if kind == "text" else 2)
        at += 4 if kind == "text" else 2
    parts = texts.to_frame("line").select(pl.col("line").str.splitn('"', at + 1)).unnest("line")
    return parts.select(
        pl.col(f"field_{place}").alias(name) for name, place in places.items() if name in FIELDS
    )


def _with_meaning(cut: pl.DataFrame, shape: _Shape) -> pl.DataFrame:
    """The values as `jsonl` gives them: texts without escapes, all else as it was written."""
    kinds = dict(shape.members)

    def meant(name: str) -> pl.Expr:
        value = pl.col(name)
        if kinds[name] == "number":
            return value.str.strip_chars(" \t\r:,}")
        if not cut[name].str.contains(_MARKED).any():
            return value
        marks = _MEANT if kinds[name] == "text" else _WRITTEN
        return value.str.replace_many(marks)

    return cut.select(meant(name).alias(name) for name in FIELDS)


def _is_json(texts: pl.Series) -> pl.Series:
    """Whether texts are objects or lists, as far as a few replacements tell; never null."""
    sound = texts.str.contains(_FLAT).fill_null(value=False)
    rows = (~sound).arg_true()
    left = texts[rows].str.replace_all(_QUOTED, _TEXT)
    for _ in range(_MOST_LEVELS):
        if not len(rows):
            break
        left = left.str.replace_all(_OF_MARKS, _NESTED)
        done = left == _NESTED
        sound = sound.scatter(rows.filter(done), True) if done.any() else sound
        rows, left = rows.filter(~done), left.filter(~done)
    return sound
