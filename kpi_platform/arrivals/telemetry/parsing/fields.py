"""Lines -> their six fields as text.

Belongs here: separators, headers and blank lines. Does not: the contents of fields.
"""

import polars as pl

from kpi_platform.arrivals.telemetry.lines import MAX_LINE_BYTES
from kpi_platform.arrivals.telemetry.parsing.jsonl import read_objects
from kpi_platform.arrivals.telemetry.parsing.plain_json import FIELDS

_HEADER = r"(?i)^[ \t]*" + r"[ \t]+".join(FIELDS) + r"[ \t]*$"
_BY_BLANKS = r"^ *" + r"([^ ]+) +" * 5 + r"([^ ].*)$"
_BLANKS = " \t\r\x0b\x0c"


def split_by_tabs(lines: pl.DataFrame) -> pl.DataFrame:
    """Add the columns `FIELDS`: the parts of `line` around its first five tabs, null if fewer."""
    split = pl.col("line").str.splitn("\t", len(FIELDS)).alias("parts")
    parts = lines.select(split).unnest("parts")
    return lines.hstack(parts.rename(dict(zip(parts.columns, FIELDS, strict=True))))


def split_by_blanks(lines: pl.DataFrame) -> pl.DataFrame:
    """Replace the columns `FIELDS` of lines without a tab: parts around runs of blanks.

    Blanks before the first field separate nothing.
    """
    has_tab = pl.col("line").str.contains("\t", literal=True)
    parts = pl.col("line").str.extract_groups(_BY_BLANKS).struct
    return lines.with_columns(
        pl.when(has_tab).then(name).otherwise(parts[number]).alias(name)
        for number, name in enumerate(FIELDS)
    )


def split_json(lines: pl.DataFrame) -> pl.DataFrame:
    """Add the columns `FIELDS` of lines that are JSON objects, null if one is missing, and
    `is_json` of their bodies, as `read_objects` does."""
    return lines.hstack(read_objects(lines["line"]))


def replace_nul(fields: pl.DataFrame) -> pl.DataFrame:
    """Replace each NUL in the columns `FIELDS` by U+FFFD: no text of PostgreSQL can hold one."""
    return fields.with_columns(pl.col(FIELDS).str.replace_all("\0", "\ufffd", literal=True))


def is_no_line(line: pl.Expr) -> pl.Expr:
    """Return whether a physical line does not count: nothing but blanks, or a header. A line
    over the size limit counts whatever it holds, for its content is not looked at."""
    fits = line.str.len_bytes() <= MAX_LINE_BYTES
    return fits & ((line.str.strip_chars(_BLANKS) == "") | line.str.contains(_HEADER))
