"""Numbers as people and platforms write them -> plain decimal text, exactly.

Belongs here: cleaning one number, and what may stand around it. Does not: which columns hold
numbers. Only what leaves a number as it is may be cut off; whatever could change it makes the text
no number at all.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Literal

import polars as pl

# Beyond this no count, amount or duration of a game is meant; 1e400 would also break every cast.
LARGEST = Decimal(10) ** 15
# Longer texts, and more decimals, are no measure of anything: a database may refuse them.
MOST_CHARACTERS = 64
MOST_DECIMALS = 40
# Digits enough for every product of a text and a scale.
_EXACT = Context(prec=4 * MOST_CHARACTERS)
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?")
# A share in parentheses behind the number: `283669656(4.5%)`.
_SHARE = re.compile(r"\s*\(\s*[+-]?\d+(?:[.,]\d+)?\s*%\s*\)$")
_WORD = re.compile(r"(?<=[\d.,])\s*([^\W\d_]+)$")
_MAGNITUDES = {"k": 3, "K": 3, "M": 6, "B": 9}
_SIGN_BEFORE = re.compile(r"^([+-]?)\s*((?:[A-Z]{2,3})?[$€£¥₹₩₽]|[A-Za-z]{3}(?=[\s\d+-]))\s*")
_SIGN_BEHIND = re.compile(r"(?<=[\d.,])\s*([$€£¥₹₩₽]|[A-Za-z]{3})$")
_BLANKS = "'_  \u202f\u2009"
_THOUSANDS = {".": f",{_BLANKS}", ",": f".{_BLANKS}"}

Measure = Literal["number", "amount", "seconds", "hours", "viewers", "channels"]
# Words that only repeat what a figure is measured in.
_UNITS: dict[Measure, frozenset[str]] = {
    "number": frozenset(),
    "amount": frozenset(),
    "seconds": frozenset({"s", "sec", "secs", "second", "seconds"}),
    "hours": frozenset({"h", "hr", "hrs", "hour", "hours"}),
    "viewers": frozenset({"viewer", "viewers"}),
    "channels": frozenset({"channel", "channels"}),
}
# Those of a stream platform, which adds shares.
_FIGURES = ("hours", "viewers", "channels")
# What a sign may stand for; a code of three letters stands for itself.
_DOLLARS = "AUD BBD BMD BND BSD BZD CAD CLP COP FJD HKD JMD LRD MXN NAD NZD SGD TTD TWD USD XCD"
_CURRENCIES = {
    "$": frozenset(_DOLLARS.split()),
    "€": frozenset({"EUR"}),
    "£": frozenset({"GBP"}),
    "¥": frozenset({"CNY", "JPY"}),
    "₹": frozenset({"INR"}),
    "₩": frozenset({"KRW"}),
    "₽": frozenset({"RUB"}),
    "US$": frozenset({"USD"}),
    "CA$": frozenset({"CAD"}),
    "A$": frozenset({"AUD"}),
    "AU$": frozenset({"AUD"}),
    "NZ$": frozenset({"NZD"}),
    "HK$": frozenset({"HKD"}),
}


@dataclass(frozen=True)
class NumberForm:
    """How a column's numbers are written, and what they measure.

    `decimal` is the mark before decimals; `scale` multiplies exactly; `is_refund` makes the
    result negative whichever sign it was written with.
    """

    measure: Measure = "number"
    decimal: Literal[".", ","] = "."
    scale: Decimal = Decimal(1)
    is_refund: bool = False


def parse_number(text: str, form: NumberForm | None = None) -> Decimal | None:
    """The number that a text means, before `scale`; None: no number, not finite, or too large.

    Left out are blanks around it, separators of thousands, the unit that its measure has anyway
    (`1362044 hours` of hours), a figure's share in parentheses, and an amount's currency, which
    `stated_currencies` tells. `K`, `M` and `B` multiply, but not durations, where M may be minutes.
    Percentages, other units and other notes make it no number.
    """
    form = form or NumberForm()
    bare = text.strip()
    if len(bare) > MOST_CHARACTERS:
        return None
    if form.measure == "amount":
        bare, _ = _without_currency(bare)
    if form.measure in _FIGURES:
        bare = _SHARE.sub("", bare)
    bare, zeros = _without_word(bare, form.measure)
    plain = _plain(bare, form.decimal)
    if plain is None or not _PLAIN.fullmatch(plain):
        return None
    try:
        number = Decimal(plain).scaleb(zeros, _EXACT)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) <= LARGEST else None


def stated_currencies(text: str) -> frozenset[str]:
    """The currencies that an amount's own text may mean; none if it states none."""
    return _without_currency(text.strip()[:MOST_CHARACTERS])[1]


def number_text(form: NumberForm) -> Callable[[str], str | None]:
    """A function from a text to its number times the scale, plainly written; None if it is none."""

    def clean(text: str) -> str | None:
        number = parse_number(text, form)
        if number is None:
            return None
        scaled = number if form.scale == 1 else _EXACT.multiply(number, form.scale)
        if scaled and scaled.adjusted() < -MOST_DECIMALS:
            return None
        # No purchase that is zero is a refund of minus zero.
        return _written(scaled.copy_abs().copy_negate() if form.is_refund and scaled else scaled)

    return clean


def _without_currency(text: str) -> tuple[str, frozenset[str]]:
    for pattern, rest in ((_SIGN_BEFORE, r"\1"), (_SIGN_BEHIND, "")):
        match = pattern.search(text)
        if match is not None:
            code = match[match.lastindex or 0].upper()
            return pattern.sub(rest, text, count=1), _CURRENCIES.get(code, frozenset({code}))
    return text, frozenset()


def _without_word(text: str, measure: Measure) -> tuple[str, int]:
    """The text without its unit or magnitude, and the zeros that this adds."""
    match = _WORD.search(text)
    if match is None:
        return text, 0
    word, bare = match[1], text[: match.start()]
    if word.lower() in _UNITS[measure]:
        return _without_word(bare, "number" if measure == "seconds" else measure)
    if word in _MAGNITUDES and measure != "seconds":
        return bare, _MAGNITUDES[word]
    return text, 0


def _plain(text: str, decimal: Literal[".", ","]) -> str | None:
    """The text with a point before its decimals and no separators; None if these contradict."""
    for mark in _THOUSANDS[decimal]:
        grouped = rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(mark)}\d{{3}})+(?:{re.escape(decimal)}\d*)?"
        if mark in text and re.fullmatch(grouped, text):
            return text.replace(mark, "").replace(decimal, ".")
    if decimal == ",":
        # Where a comma stands before decimals, a lone point is neither.
        return None if "." in text else text.replace(",", ".")
    return text


def _written(number: Decimal) -> str:
    text = f"{number:f}"
    if len(text) <= 30 or "." not in text:
        return text
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals[:MOST_DECIMALS]}".rstrip("0").rstrip(".")


def each_text(texts: pl.Expr, change: Callable[[str], str | None]) -> pl.Expr:
    """Apply a function to every different text of a column once; null stays null."""

    def apply(column: pl.Series) -> pl.Series:
        unique = column.unique().drop_nulls()
        made = pl.Series([change(text) for text in unique], dtype=pl.String)
        return column.replace_strict(unique, made, default=None, return_dtype=pl.String)

    return texts.map_batches(apply, return_dtype=pl.String, is_elementwise=True)
