"""Bodies of telemetry lines -> event names and attributes, whole columns at a time.

Belongs here: decoding columns of bodies. Does not: the grammar itself (`schemas.body_text`), and
what a bad body means for its line.

Nearly all bodies of an hour are flat and come in a few shapes, one per kind of event: the same
keys in the same order. The shapes are learned from a sample; a body that matches one is rewritten
by replacing separators, which no value of such a body can contain. All others are decoded one by
one, by the grammar. Both ways give the same result: a test holds them together.
"""

import re
from itertools import product

import polars as pl

from kpi_platform.schemas.texts.body_text import (
    BLANKS,
    EVENT_NAME_KEY,
    FLAT_BODY,
    FLAT_VALUE,
    Body,
    decode_body,
)

BODIES = pl.Schema({"event_name": pl.String, "attributes": pl.String, "reason": pl.String})

# Below this many different bodies, learning shapes costs more than it saves.
_FEW = 2_000
_SAMPLE = 200
_MOST_SHAPES = 100

_FLAT = re.compile(FLAT_BODY)
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_. -]*"
_NAME_FIRST = rf"""^\{{ ?['"]Name['"] ?: ?['"]({_NAME})"""
_NO_REASON = pl.lit(None, pl.String).alias("reason")
_KEYS = re.compile(r"(?:^\{|,) ?['\"]([A-Za-z0-9_.-]+)['\"] ?:")


def _separators() -> dict[str, str]:
    """Every way a separator of a flat body may be written, and how we write it."""
    ways: dict[str, str] = {}
    quotes, blanks = ("'", '"'), (" ", "")
    for quote, before, after in product(quotes, blanks, blanks):
        colon = f"{quote}{before}:{after}"
        ways[colon] = '":"'
        for closed in blanks:
            ways[f"{colon}null{closed}}}"] = '":null}'
        for opened in quotes:
            ways[f"{colon}{opened}"] = '":"'
            for gap, blank in product(blanks, blanks):
                ways[f"{colon}null{gap},{blank}{opened}"] = '":null,"'
    for closed, before, after, opened in product(("'", '"', ""), blanks, blanks, quotes):
        ways[f"{closed}{before},{after}{opened}"] = '","'
    for closed, blank in product(("'", '"', ""), blanks):
        ways[f"{closed}{blank}}}"] = '"}'
    for blank, opened in product(blanks, quotes):
        ways[f"{{{blank}{opened}"] = '{"'
    ways |= {"{}": "{}", "{ }": "{}"}
    # Of those that begin at one place the first listed is taken: it has to be the longest.
    return dict(sorted(ways.items(), key=lambda way: -len(way[0])))


_SEPARATORS = _separators()


def decode_bodies(bodies: pl.Series, names: pl.Series | None = None) -> pl.DataFrame:
    """Decode a column of bodies: one row per body, in order.

    `names` are event names that were read off the bodies before, null where none was; of bodies
    that can be decoded they must be right. Columns: `event_name` (null if none), `attributes`
    (canonical JSON text without `Name`, null if the body is bad), `reason` (null, `bad_body` or
    `missing_event_name`). A null body is bad.
    """
    return decode_trimmed(bodies.str.strip_chars(BLANKS), names)


def decode_trimmed(bodies: pl.Series, names: pl.Series | None = None) -> pl.DataFrame:
    """Do what `decode_bodies` does, for bodies without blanks around them."""
    texts = bodies.alias("body")
    if len(texts) < _FEW:
        return decode_exactly(texts)
    is_shaped, is_name_first = _match_shapes(texts)
    if is_shaped.all():
        return _rewrite(texts, names, is_name_first=is_name_first)
    shaped, odd = texts.filter(is_shaped), texts.filter(~is_shaped)
    shaped_names = None if names is None else names.filter(is_shaped)
    rewritten = _rewrite(shaped, shaped_names, is_name_first=is_name_first)
    decoded = pl.concat([rewritten, decode_exactly(odd)])
    places = pl.concat([is_shaped.arg_true(), (~is_shaped).arg_true()])
    return decoded[places.arg_sort()]


def decode_exactly(bodies: pl.Series) -> pl.DataFrame:
    """Do what `decode_bodies` does, by the grammar alone."""
    unique = bodies.unique(maintain_order=True)
    rows = [_row(None if body is None else decode_body(body)) for body in unique]
    decoded = pl.DataFrame(rows, schema=BODIES, orient="row")
    if len(unique) == len(bodies):
        return decoded
    known = decoded.with_columns(unique.alias("body"))
    return (
        bodies.alias("body")
        .to_frame()
        .join(known, on="body", how="left", nulls_equal=True, maintain_order="left")
        .drop("body")
    )


def _row(body: Body | None) -> tuple[str | None, str | None, str | None]:
    if body is None:
        return None, None, "bad_body"
    if body.event_name is None:
        return None, body.attributes, "missing_event_name"
    return body.event_name, body.attributes, None


def _match_shapes(texts: pl.Series) -> tuple[pl.Series, bool]:
    """Learn the shapes of `texts`; return which texts have one, and whether all shapes begin
    with the name."""
    shapes: dict[tuple[str, ...], str] = {}
    matched = pl.repeat(value=False, n=len(texts), eager=True)
    while len(shapes) < _MOST_SHAPES:
        known = len(shapes)
        sample = texts.filter(~matched)
        for body in sample.gather_every(max(1, len(sample) // _SAMPLE)):
            _learn(body, shapes)
        if len(shapes) == known:
            break
        # In one order, whatever was met first: a pattern seen before is not compiled again.
        pattern = f"^(?:{'|'.join(sorted(shapes.values()))})$"
        matched = texts.str.contains(pattern).fill_null(value=False)
        if (~matched).sum() < _FEW:
            break
    return matched, all(keys[0] == EVENT_NAME_KEY for keys in shapes)


def _learn(body: str | None, shapes: dict[tuple[str, ...], str]) -> None:
    if body is None or _FLAT.fullmatch(body) is None:
        return
    keys = tuple(_KEYS.findall(body))
    if keys in shapes or EVENT_NAME_KEY not in keys or len(set(keys)) < len(keys):
        return
    shapes[keys] = r"\{ ?" + " ?, ?".join(map(_member, keys)) + r" ?\}"


def _member(key: str) -> str:
    escaped = re.escape(key)
    value = FLAT_VALUE
    if key == EVENT_NAME_KEY:
        value = rf"(?:'{_NAME}'|\"{_NAME}\")"
    return rf"(?:'{escaped}'|\"{escaped}\") ?: ?{value}"


def _rewrite(texts: pl.Series, names: pl.Series | None, *, is_name_first: bool) -> pl.DataFrame:
    """Decode bodies that have a shape."""
    body = pl.col("body")
    frame = texts.alias("body").to_frame()
    if is_name_first:
        # Leaving the name out before rewriting spares rewriting a third of the text.
        comma = body.str.find(",", literal=True)
        others = _written(pl.concat_str(pl.lit("{"), body.str.slice(comma + 1)))
        attributes = pl.when(comma.is_null()).then(pl.lit("{}")).otherwise(others)
        name = body.str.extract(_NAME_FIRST)
    else:
        frame = frame.select(body=_written(body))
        others = body.str.replace(r'^\{"Name":"[^"]*",?', "{")
        attributes = others.str.replace(r',"Name":"[^"]*"', "")
        name = body.str.extract(r'[{,]"Name":"([^"]*)"')
    if names is not None and not names.has_nulls():
        return frame.select(names.alias("event_name"), attributes.alias("attributes"), _NO_REASON)
    return frame.select(name.alias("event_name"), attributes.alias("attributes"), _NO_REASON)


def _written(body: pl.Expr) -> pl.Expr:
    """Write every separator of flat bodies our way."""
    return body.str.replace_many(list(_SEPARATORS), list(_SEPARATORS.values()), leftmost=True)
