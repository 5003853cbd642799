"""Texts that say nothing: what nobody sees around a value, and words that clients send for none.

Belongs here: what counts as invisible and as such a word, for every attribute that names somebody
or something. Does not: which attributes are read by these rules.
"""

from collections.abc import Collection, Iterator

import polars as pl

# Clients print an empty variable in the words of their language (semantics, section 4).
WORDS_FOR_NOBODY = (
    *("null", "none", "undefined", "nan", "0", "-1", "[object object]"),
    "00000000-0000-0000-0000-000000000000",
)

# Controls, blanks, format characters without a mark of their own, fillers and variation selectors.
_INVISIBLE = (
    *((0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160)),
    *((0x1680, 0x1680), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F)),
    *((0x205F, 0x206F), (0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F)),
    *((0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB), (0x13430, 0x1343F)),
    *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)


def _characters() -> Iterator[str]:
    for first, last in _INVISIBLE:
        yield from map(chr, range(first, last + 1))


INVISIBLE = "".join(_characters())
"""The characters that nobody sees at the ends of a value: both Python and Polars strip them."""


def somebody(text: pl.Expr, words_for_nobody: Collection[str] = WORDS_FOR_NOBODY) -> pl.Expr:
    """The text without invisible characters around it; null where nothing is left, or one of
    `words_for_nobody` (compared in lower case)."""
    trimmed = text.str.strip_chars(INVISIBLE)
    says_nothing = (trimmed == "") | trimmed.str.to_lowercase().is_in(list(words_for_nobody))
    return pl.when(~says_nothing).then(trimmed)
