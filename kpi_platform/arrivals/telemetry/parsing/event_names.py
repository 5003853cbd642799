"""Bodies as they arrive -> the names of their events, without decoding what need not be.

Belongs here: reading `Name` off a body, and which bodies may turn out to be of no use. Does not:
attributes, and whether a body is usable.
"""

import orjson
import polars as pl

from kpi_platform.arrivals.telemetry.parsing.nested_bodies import read_nested_names
from kpi_platform.schemas.texts.body_text import (
    BLANKS,
    EVENT_NAME_KEY,
    FLAT_BODY,
    MAX_DEPTH,
    decode_body,
    without_nul,
)

NAMED = pl.Schema({"event_name": pl.String, "is_sound": pl.Boolean})

_FLAT = rf"^[{BLANKS}]*{FLAT_BODY}[{BLANKS}]*$"
_NAME = r"([A-Za-z0-9_][A-Za-z0-9_. -]*)"
_SINGLE_FIRST = rf"^\{{ ?'Name' ?: ?'{_NAME}' ?[,}}]"
_DOUBLE_FIRST = rf'^\{{ ?"Name" ?: ?"{_NAME}" ?[,}}]'
# In a flat body quotes only ever delimit, so that a quoted key followed by a colon is a key.
_KEY = r"""['"]Name['"] ?:"""
_ANYWHERE = rf"""[{{,] ?{_KEY} ?['"]{_NAME}['"]"""


def read_event_names(bodies: pl.Series) -> pl.Series:
    """Read the name off each body, null if there is none or the body cannot be decoded.

    A body that names its event first and breaks later may still show its name. Depends on
    nothing but the body.
    """
    body = bodies.to_frame("body")
    names = body.select(event_name=_first_key()).to_series()
    rest = names.is_null().arg_true()
    if not len(rest):
        return names
    return names.scatter(rest, judge_bodies(bodies[rest])["event_name"])


def judge_bodies(bodies: pl.Series, is_json: pl.Series | None = None) -> pl.DataFrame:
    """Read the name off each body: `event_name`, as `read_event_names` does, and whether the
    body `is_sound`: it surely decodes to an event. Of bodies that are flat in no plain writing
    nor JSON, that is not known.

    `is_json`: which bodies are known to be JSON; of those that begin with their name no more is
    to be asked.
    """
    if is_json is None or not is_json.any():
        return _judged(bodies)
    first = bodies.to_frame("body").select(event_name=_first_key()).to_series()
    is_sound = is_json & first.is_not_null()
    named = pl.DataFrame({"event_name": first, "is_sound": is_sound}, NAMED)
    rest = (~is_sound).arg_true()
    if not len(rest):
        return named
    judged = _judged(bodies[rest])
    return named.with_columns(column.scatter(rest, judged[column.name]) for column in named)


def _judged(bodies: pl.Series) -> pl.DataFrame:
    text = pl.col("body")
    body = bodies.to_frame("body")
    flat = body["body"].str.contains(_FLAT).fill_null(value=False)
    in_flat = pl.when(text.str.count_matches(_KEY) == 1).then(text.str.extract(_ANYWHERE))
    named = body.select(
        event_name=pl.when(flat).then(in_flat).otherwise(_first_key()), is_sound=flat
    )
    rest = (~flat | named["event_name"].is_null()).fill_null(value=True).arg_true()
    if not len(rest):
        return named
    others, nested = bodies[rest], read_nested_names(bodies[rest])
    judgements = [
        (name, True) if name is not None else _judge(text, first)
        for text, first, name in zip(others, named["event_name"][rest], nested, strict=True)
    ]
    judged = pl.DataFrame(judgements, NAMED, orient="row")
    return named.with_columns(
        named["event_name"].scatter(rest, judged["event_name"]),
        named["is_sound"].scatter(rest, judged["is_sound"]),
    )


def _first_key() -> pl.Expr:
    """The name of bodies that begin with it and in which nothing can override it."""
    text = pl.col("body")
    # An escape could hide another `Name`.
    once = text.str.count_matches(EVENT_NAME_KEY, literal=True) == 1
    sure = once & ~text.str.contains("\\", literal=True)
    return pl.when(sure).then(
        pl.coalesce(text.str.extract(first) for first in (_SINGLE_FIRST, _DOUBLE_FIRST))
    )


def _judge(text: str | None, first: str | None) -> tuple[str | None, bool]:
    """Name and soundness of one body, whose name may be known as it stands `first`."""
    if text is None:
        return None, False
    if (told := _json_name(text)) is not None:
        name = told or None
    elif first is not None:
        return first, False
    else:
        body = decode_body(text)
        name = None if body is None else body.event_name
    return name, name is not None


def _json_name(text: str) -> str | None:
    """The name of a body that is JSON, exactly as `decode_body` reads it, in a fraction of the
    time; empty if it has none. None if the body is no JSON, or its name is no text."""
    if text.count("{") + text.count("[") > MAX_DEPTH:
        return None
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    name = body.get(EVENT_NAME_KEY, "") if isinstance(body, dict) else None
    if not isinstance(name, str):
        return None
    return without_nul(name) if name.strip(BLANKS) else ""
