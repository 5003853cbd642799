"""JSON from outside -> values whose scalars keep their source text, however deep or odd.

Belongs here: reading one JSON text, and mending what no text may hold. Does not: which members
mean what, and bodies of telemetry (`body_text.py`), whose limit of nesting holds here too.
"""

import json
import re
from collections.abc import Sequence
from typing import TypeAlias

from kpi_platform.schemas.texts.body_text import MAX_DEPTH

# A number is a text here, so that 1.10 stays 1.10 and long ids keep their digits.
Json: TypeAlias = "dict[str, Json] | list[Json] | str | bool | None"

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)


def read_json(text: str) -> Json:
    """The value that a text holds, its numbers as texts. Raises ValueError if it is no JSON, or
    nests deeper than `MAX_DEPTH`."""
    if is_too_deep(text):
        raise ValueError("nested too deeply")
    found: Json = _DECODER.decode(text)
    return found


def is_too_deep(text: str) -> bool:
    """Whether objects and lists nest deeper than `MAX_DEPTH`, as far as parsers recurse."""
    return text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH


def write_json(value: object) -> str:
    """Plain JSON text without blanks, which UTF-8 and every database can hold."""
    return without_halves(_ENCODER.encode(value))


def scalar_text(value: Json) -> str | None:
    """A value as one text: scalars as they were written, objects and lists as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return write_json(value)


def text_at(text: str, path: Sequence[str]) -> str | None:
    """The text of what lies at `path` in a JSON text; None if nothing does, or if it is no JSON.

    A step names a member of an object, or by its number an item of a list.
    """
    try:
        found = read_json(text)
    except ValueError:
        return None
    for step in path:
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    whole = scalar_text(found)
    return None if whole is None else without_halves(whole)


def without_halves(text: str) -> str:
    """Halves of surrogate pairs alone, which no UTF-8 text can hold, become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _depth(text: str) -> int:
    depth = deepest = 0
    for token in _BRACKET.finditer(text):
        depth += (token[0] in "{[") - (token[0] in "}]")
        deepest = max(deepest, depth)
    return deepest
