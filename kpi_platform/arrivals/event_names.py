"""Bodies as they arrive -> the names of their events, without decoding what need not be.

Belongs here: reading `Name` off a body, and which bodies may turn out to be of no use. Does not:
attributes, and whether a body is usable.
"""

import polars as pl

from kpi_platform.schemas.body_text import BLANKS, EVENT_NAME_KEY, FLAT_BODY, decode_body

NAMED = pl.Schema({"event_name": pl.String, "is_sound": pl.Boolean})

_FLAT = rf"^[{BLANKS}]*{FLAT_BODY}[{BLANKS}]*$"
_NAME = r"([A-Za-z0-9_][A-Za-z0-9_. -]*)"
_SINGLE_FIRST = rf"^\{{ ?'Name' ?: ?'{_NAME}' ?[,}}]"
_DOUBLE_FIRST = rf'^\{{ ?"Name" ?: ?"{_NAME}" ?[,}}]'
# In a flat body quotes only ever delimit, so that a quoted key followed by a colon is a key.
_KEY = r"""['"]Name['"] ?:"""
_FIRST = rf"""^\{{ ?{_KEY} ?['"]{_NAME}['"]"""
_ANYWHERE = rf"""[{{,] ?{_KEY} ?['"]{_NAME}['"]"""


def read_event_names(bodies: pl.Series) -> pl.DataFrame:
    """Read the name off each body: `event_name`, and whether the body is `is_sound`.

    The name is null if there is none or the body cannot be decoded; a body that names its event
    first and breaks later may still show its name. A sound body surely decodes to an event; of
    the others, which are flat in no plain writing nor JSON, it is not known. Both depend on
    nothing but the body.
    """
    body = bodies.to_frame("body")
    # Where `Name` stands once, nothing can override it.
    once = pl.col("body").str.count_matches(EVENT_NAME_KEY, literal=True) == 1
    flat = body["body"].str.contains(_FLAT).fill_null(value=False)
    names = body.select(pl.when(flat & once).then(pl.col("body").str.extract(_FIRST))).to_series()
    named = pl.DataFrame([names.alias("event_name"), names.is_not_null().alias("is_sound")])
    rest = names.is_null().arg_true()
    if not len(rest):
        return named
    others = _read_unusual(body[rest], flat[rest])
    return named.select(
        column.scatter(rest, others[column.name]) for column in named.iter_columns()
    )


def _read_unusual(body: pl.DataFrame, flat: pl.Series) -> pl.DataFrame:
    text = pl.col("body")
    in_flat = pl.when(text.str.count_matches(_KEY) == 1).then(text.str.extract(_ANYWHERE))
    # An escape could hide another `Name`.
    sure = text.str.count_matches(EVENT_NAME_KEY, literal=True) == 1
    sure &= ~text.str.contains("\\", literal=True)
    in_others = pl.when(sure).then(
        pl.coalesce(text.str.extract(first) for first in (_SINGLE_FIRST, _DOUBLE_FIRST))
    )
    json_name = text.str.json_path_match(f"$.{EVENT_NAME_KEY}").str.strip_chars(BLANKS)
    is_json = json_name.str.contains(r"^[^{\[]").fill_null(value=False)
    named = body.select(
        event_name=pl.when(flat).then(in_flat).otherwise(in_others), is_sound=flat | is_json
    )
    rest = named["event_name"].is_null().arg_true()
    names = [_name(text) for text in body["body"][rest]]
    return named.with_columns(
        named["event_name"].scatter(rest, pl.Series(names, dtype=pl.String)),
        named["is_sound"].scatter(rest, pl.Series([name is not None for name in names])),
    )


def _name(text: str | None) -> str | None:
    body = None if text is None else decode_body(text)
    return None if body is None else body.event_name
