"""Bodies as they arrive -> the names of their events, without decoding what need not be.

Belongs here: reading `Name` off a body. Does not: attributes, and whether the body is usable.
"""

import polars as pl

from kpi_platform.schemas.body_text import BLANKS, EVENT_NAME_KEY, FLAT_BODY, decode_body

_FEW = 2_000
_NAME = r"([A-Za-z0-9_][A-Za-z0-9_. -]*)"
_SINGLE_FIRST = rf"^\{{ ?'Name' ?: ?'{_NAME}' ?[,}}]"
_DOUBLE_FIRST = rf'^\{{ ?"Name" ?: ?"{_NAME}" ?[,}}]'
# In a flat body quotes only ever delimit, so that a quoted key followed by a colon is a key.
_ANYWHERE = rf"""[{{,] ?['"]Name['"] ?: ?['"]{_NAME}['"]"""


def read_event_names(bodies: pl.Series) -> pl.Series:
    """Return the event name of each body, null if it has none or cannot be decoded.

    A body that names its event first and breaks later may still show its name here.
    """
    # Where `Name` stands once, and no escape can hide another, nothing can override it.
    once = bodies.str.count_matches(EVENT_NAME_KEY, literal=True) == 1
    sure = once & ~bodies.str.contains("\\", literal=True)
    first = pl.coalesce(pl.col("b").str.extract(p) for p in (_SINGLE_FIRST, _DOUBLE_FIRST))
    names = bodies.to_frame("b").select(pl.when(sure).then(first).alias("event_name")).to_series()
    rest = names.is_null().arg_true()
    if not len(rest):
        return names
    return names.scatter(rest, _read_unusual(bodies[rest], sure[rest]))


def _read_unusual(bodies: pl.Series, sure: pl.Series) -> pl.Series:
    if len(bodies) < _FEW:
        return _read_exactly(bodies)
    flat = sure & bodies.str.strip_chars(BLANKS).str.contains(rf"^{FLAT_BODY}$")
    names = bodies.set(~flat, None).str.extract(_ANYWHERE)
    rest = names.is_null().arg_true()
    return names.scatter(rest, _read_exactly(bodies[rest])) if len(rest) else names


def _read_exactly(bodies: pl.Series) -> pl.Series:
    found = [decode_body(body) for body in bodies]
    return pl.Series([None if body is None else body.event_name for body in found], dtype=pl.String)
