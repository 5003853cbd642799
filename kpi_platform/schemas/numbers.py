"""Numbers as people and platforms write them -> plain decimal text, exactly.

Belongs here: cleaning one number. Does not: which columns hold numbers.
"""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import polars as pl

# Beyond this no count, amount or duration of a game is meant; 1e400 would also break every cast.
LARGEST = Decimal(10) ** 15
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NOTE = re.compile(r"\s*\([^()]*\)$")
_UNIT = re.compile(r"\s*(?:[^\W\d_]+|%|[$€£¥])$")
_CURRENCY = re.compile(r"^([+-]?)\s*[$€£¥]\s*")
_BLANKS = "'_  \u202f\u2009"
_GROUPED = {
    ".": re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"),
    ",": re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d+)?"),
}


def parse_number(text: str, decimal: str = ".") -> Decimal | None:
    """The number that a text means, or None: no number, not finite, or beyond `LARGEST`.

    A note in parentheses (`283669656(4.5%)`), a unit (`1362044 hours`), a currency sign and
    separators of thousands are left out. `decimal` is the mark before decimals.
    """
    bare = _CURRENCY.sub(r"\1", _UNIT.sub("", _NOTE.sub("", text.strip()), count=1).strip())
    if _GROUPED[decimal].fullmatch(bare):
        bare = bare.replace("," if decimal == "." else ".", "")
    if re.fullmatch(rf"[+-]?\d{{1,3}}(?:[{_BLANKS}]\d{{3}})+(?:[.,]\d+)?", bare):
        bare = re.sub(f"[{_BLANKS}]", "", bare)
    if decimal == ",":
        bare = bare.replace(",", ".")
    if not _PLAIN.fullmatch(bare):
        return None
    try:
        number = Decimal(bare)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) <= LARGEST else None


def number_text(scale: Decimal = Decimal(1), decimal: str = ".") -> Callable[[str], str | None]:
    """A function from a text to its number times `scale`, plainly written; None if it is none."""

    def clean(text: str) -> str | None:
        number = parse_number(text, decimal)
        return None if number is None else _written(number if scale == 1 else number * scale)

    return clean


def _written(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text and len(text) > 30 else text


def each_text(texts: pl.Expr, change: Callable[[str], str | None]) -> pl.Expr:
    """Apply a function to every different text of a column once; null stays null."""

    def apply(column: pl.Series) -> pl.Series:
        unique = column.unique().drop_nulls()
        made = pl.Series([change(text) for text in unique], dtype=pl.String)
        return column.replace_strict(unique, made, default=None, return_dtype=pl.String)

    return texts.map_batches(apply, return_dtype=pl.String, is_elementwise=True)
