"""Nested bodies in plain writing -> the names of their events, for whole columns.

Belongs here: what the flat pattern of `body_text` is for flat bodies. Does not: bodies with escapes
or in odd writing, which are decoded one by one.

Every quoted text is replaced by one mark, from left to right, so that quotes match or one is left;
then, from the inside out, every object and list of marks and plain words by another. What is left
of a sound body is flat.
"""

import polars as pl

from kpi_platform.schemas.texts.body_text import BLANKS, EVENT_NAME_KEY

_LEVELS = 3
_NAME_KEY, _TEXT, _NESTED = "\x01", "\x02", "\x03"
_KEY = rf"'{EVENT_NAME_KEY}'|\"{EVENT_NAME_KEY}\""
_QUOTED = r"'[^'\"\\\x00-\x1f]*'|\"[^'\"\\\x00-\x1f]*\""
_NAME = rf"""{_NAME_KEY} ?: ?['"]([A-Za-z0-9_][A-Za-z0-9_. -]*)['"]"""
_WORD = r"[A-Za-z0-9_.+-]+(?:[:/]+[A-Za-z0-9_.+-]+)*"
_VALUE = rf"(?:{_TEXT}|{_NESTED}|{_WORD})"
_MEMBER = rf"{_TEXT} ?: ?{_VALUE}"
_CONTAINER = rf"\{{ ?(?:{_MEMBER}(?: ?, ?{_MEMBER})*)? ?\}}|\[ ?(?:{_VALUE}(?: ?, ?{_VALUE})*)? ?\]"
_FLAT = rf"\{{ ?(?:{_MEMBER} ?, ?)*{_NAME_KEY} ?: ?{_TEXT}(?: ?, ?{_MEMBER})* ?\}}"
_SOUND = rf"^[{BLANKS}]*{_FLAT}[{BLANKS}]*$"
_OTHER = r"[\x00-\x08\x0e-\x1f\\]"


def read_nested_names(bodies: pl.Series) -> pl.Series:
    """The names of bodies that surely decode to an event; null of all others."""
    text = pl.col("body")
    is_plain = (text.str.count_matches(EVENT_NAME_KEY, literal=True) == 1) & ~text.str.contains(
        _OTHER
    )
    named = text.str.replace_all(_KEY, _NAME_KEY)
    left = named.str.replace_all(_QUOTED, _TEXT)
    for _ in range(_LEVELS):
        left = left.str.replace_all(_CONTAINER, _NESTED)
    plain = bodies.to_frame("body").with_columns(pl.when(is_plain).then(text).alias("body"))
    return plain.select(
        name=pl.when(left.str.contains(_SOUND)).then(named.str.extract(_NAME))
    ).to_series()
