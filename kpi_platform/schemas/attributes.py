"""Reading one attribute off the column `attributes` of `cleaned_events`, for every room.

Belongs here: the one expression that knows how the text is written. Does not: which attributes
mean what, and the decoding of the bodies the text was made from.
"""

import json
import re
from functools import partial

import polars as pl

# A quote right after a brace or comma opens a key: inside a string every quote has a backslash
# before it, and a closing quote is never followed by a name.
_NESTED = ['":{', '":[']
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|null', re.DOTALL)


def attribute(name: str, column: str = "attributes") -> pl.Expr:
    """Return the expression of the top-level scalar attribute `name`: its source text, unescaped.

    Null where the attribute is missing, null, blank (nothing but whitespace), an object or a
    list. `column` holds the text that `cleaned_events` writes; other JSON is not understood.
    """
    return (
        pl.col(column)
        .map_batches(partial(_extract, name), return_dtype=pl.String, is_elementwise=True)
        .alias(name)
    )


def _extract(name: str, texts: pl.Series) -> pl.Series:
    key = json.dumps(name, ensure_ascii=False)
    pattern = rf'[{{,]{re.escape(key)}:"([^"\\]*(?:\\.[^"\\]*)*)"'
    # The literal search is far cheaper than the pattern, and most events lack most attributes.
    present = texts.str.contains(f"{key}:", literal=True)
    if not present.any():
        return pl.repeat(None, len(texts), dtype=pl.String, eager=True).alias(texts.name)
    values = texts.set(~present, None).str.extract(pattern)
    odd = present & (texts.str.contains_any(_NESTED) | values.str.contains("\\", literal=True))
    if odd.any():
        rows = odd.fill_null(value=False).arg_true()
        exact = [_walk(text, key) for text in texts.gather(rows)]
        values = values.scatter(rows, pl.Series(exact, dtype=pl.String))
    return values.set(values.str.strip_chars() == "", None)


def _walk(text: str, key: str) -> str | None:
    """Find `key` at the top level of canonical text by its tokens, minding how deep each is."""
    depth = 0
    previous = ""
    for token in _TOKEN.finditer(text):
        depth += (token[0] in "{[") - (token[0] in "}]")
        is_value = text[token.start() - 1] == ":"
        if depth == 1 and is_value and previous == key and token[0][0] == '"':
            value: str = json.loads(token[0])
            return value
        previous = token[0]
    return None
