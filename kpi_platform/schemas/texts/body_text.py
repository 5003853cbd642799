"""The text form of an event body: the grammar it is written in, decoded exactly, one at a time.

Belongs here: what a valid body is, because two rooms read bodies and may not read them apart.
Does not: decoding of whole columns, and what becomes of bodies that are not valid.

A body is one JSON object or its relaxed form:

- strings in single or double quotes; the other quote inside is data; a backslash escapes as in
  JSON, `\\'` too; an escape that JSON does not know stays as written (`C:\\dir`);
- bare words, numbers and versions, which keep their text (`1.10`, `12:30`, `Windows 10`), inner
  blanks included; a colon inside is data unless a blank or the value's end follows it;
- bare `null` is null; keys may be bare; objects and lists nest up to `MAX_DEPTH`;
- NUL, bare or escaped, becomes U+FFFD: no database but DuckDB can hold it;
- of duplicate keys the last wins, in the place of the first;
- no trailing commas, no comments, nothing after the closing brace.
"""

import json
import re
from typing import NamedTuple

# Of every JSON that comes in, whichever way: far below where a parser's own stack ends.
MAX_DEPTH = 500
EVENT_NAME_KEY = "Name"
BLANKS = " \t\r\n\f\v"
NUL, REPLACEMENT = "\0", "\ufffd"

# Flat bodies in plain writing, which nearly all are: a pattern for whole columns, understood by
# Polars and Python alike. Quotes only delimit; keys are quoted; values hold no quote, backslash,
# brace or control character, and do not end in a comma (and blank) before their closing quote.
_FLAT_KEY = r"(?:'[A-Za-z0-9_.-]+'|\"[A-Za-z0-9_.-]+\")"
_PLAIN_TEXT = r"(?:[^'\"\\,{}\[\]\x00-\x1f]|, ?[^'\"\\,{}\[\]\x00-\x20])*"
_PLAIN_WORD = r"[A-Za-z0-9_.+-]+(?:[:/]+[A-Za-z0-9_.+-]+)*"
FLAT_VALUE = rf"(?:'{_PLAIN_TEXT}'|\"{_PLAIN_TEXT}\"|{_PLAIN_WORD})"
_FLAT_MEMBER = rf"{_FLAT_KEY} ?: ?{FLAT_VALUE}"
FLAT_BODY = rf"\{{ ?{_FLAT_MEMBER}(?: ?, ?{_FLAT_MEMBER})* ?\}}"

_SINGLE = r"'([^'\\]*+(?:\\.[^'\\]*+)*+)'"
_DOUBLE = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_PLAIN = r"[^\s,:{}\[\]'\"]"
_BARE = rf"({_PLAIN}(?:{_PLAIN}|:(?![\s,}}\]]|\Z)|[ \t]++(?={_PLAIN}))*+)"
_FLAGS = re.DOTALL | re.ASCII
_START = re.compile(r"\s*\{\s*", _FLAGS)
_KEY = re.compile(rf"(?:{_SINGLE}|{_DOUBLE}|({_PLAIN}++))\s*:\s*", _FLAGS)
_VALUE = re.compile(rf"(?:{_SINGLE}|{_DOUBLE}|{_BARE}|([{{\[])\s*)", _FLAGS)
_CLOSE = re.compile(r"\s*([}\]])", _FLAGS)
_COMMA = re.compile(r"\s*,\s*", _FLAGS)
_END = re.compile(r"\s*\Z", _FLAGS)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {**{c: c for c in "\"'\\/"}, "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Body(NamedTuple):
    """A decoded body: its event name (null if none) and its other keys as canonical JSON text.

    Canonical: no blanks between tokens, scalars are strings of their source text, null is null,
    keys in the order of the source, `Name` of the top level left out.
    """

    event_name: str | None
    attributes: str


def decode_body(text: str) -> Body | None:
    """Decode one body; None if it does not follow the grammar. Never raises, never recurses."""
    start = _START.match(text)
    if start is None:
        return None
    return _Decoder(text).read(start.end())


class _Decoder:
    """Reads values left to right; every open object or list is a level of explicit stack."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.open: list[dict[str, str] | list[str]] = [{}]
        self.keys: list[str] = []
        self.event_name: str | None = None
        self.result = ""

    def read(self, at: int) -> Body | None:
        position: int | None = at
        if (closed := _CLOSE.match(self.text, at)) is not None:
            position = self._close(closed)
        while position is not None and self.open:
            position = self._member(position)
        if position is None or _END.match(self.text, position) is None:
            return None
        return Body(self.event_name, self.result)

    def _member(self, at: int) -> int | None:
        """Read one key and value, or one item, and the comma or closings after it."""
        if isinstance(self.open[-1], dict):
            key = _KEY.match(self.text, at)
            if key is None:
                return None
            self.keys.append(_string(key[1], key[2], key[3]))
            at = key.end()
        value = _VALUE.match(self.text, at)
        if value is None:
            return None
        if value[4] is None:
            self._put(_scalar(value))
            return self._after_value(value.end())
        return self._descend(value)

    def _descend(self, opening: re.Match[str]) -> int | None:
        if len(self.open) >= MAX_DEPTH:
            return None
        self.open.append({} if opening[4] == "{" else [])
        closed = _CLOSE.match(self.text, opening.end())
        if closed is None:
            return opening.end()
        at = self._close(closed)
        return None if at is None else self._after_value(at)

    def _after_value(self, at: int) -> int | None:
        while self.open:
            comma = _COMMA.match(self.text, at)
            if comma is not None:
                return comma.end()
            closed = _CLOSE.match(self.text, at)
            closed_at = None if closed is None else self._close(closed)
            if closed_at is None:
                return None
            at = closed_at
        return at

    def _close(self, closing: re.Match[str]) -> int | None:
        level = self.open[-1]
        if (closing[1] == "}") != isinstance(level, dict):
            return None
        self.open.pop()
        if isinstance(level, list):
            self._put((None, f"[{','.join(level)}]"))
        elif self.open:
            self._put((None, _object(level)))
        else:
            level.pop(json.dumps(EVENT_NAME_KEY), None)
            self.result = _object(level)
        return closing.end()

    def _put(self, value: tuple[str | None, str]) -> None:
        level = self.open[-1]
        if isinstance(level, list):
            level.append(value[1])
            return
        key = self.keys.pop()
        level[_quoted(key)] = value[1]
        if key == EVENT_NAME_KEY and len(self.open) == 1:
            self.event_name = value[0] if value[0] and value[0].strip(BLANKS) else None


def _object(level: dict[str, str]) -> str:
    return "{" + ",".join([f"{key}:{value}" for key, value in level.items()]) + "}"


def _scalar(value: re.Match[str]) -> tuple[str | None, str]:
    if value[3] == "null":
        return None, "null"
    text = _string(value[1], value[2], value[3])
    return text, _quoted(text)


def _string(single: str | None, double: str | None, bare: str | None) -> str:
    if bare is not None:
        return without_nul(bare)
    text = single if single is not None else double or ""
    return without_nul(unescape(text) if "\\" in text else text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def unescape(text: str) -> str:
    """Resolve the backslash escapes of a quoted string; halves of surrogate pairs alone, which
    no UTF-8 text can hold, and NUL, which no text of PostgreSQL can, become U+FFFD."""
    if "\\u" not in text:
        return _ESCAPE.sub(_unescaped, text)
    pairs = _ESCAPE.sub(_unescaped, text).encode("utf-16-le", "surrogatepass")
    return pairs.decode("utf-16-le", "replace")


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1] is not None:
        return without_nul(chr(int(escape[1], 16)))
    return _ESCAPED.get(escape[2], escape[0])


def without_nul(text: str) -> str:
    """Replace each NUL by U+FFFD."""
    return text.replace("\0", "\ufffd")
