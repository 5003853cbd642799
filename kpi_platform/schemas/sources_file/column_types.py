"""What a database's type name means, whichever database it is.

Belongs here: families of types and the difference between two types. Does not: reading values.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

Family = Literal[
    "boolean",
    "integer",
    "decimal",
    "float",
    "text",
    "timestamp",
    "timestamptz",
    "date",
    "json",
    "nested",
    "uuid",
    "other",
]
Change = Literal["same", "widened", "narrowed", "retyped"]
NUMBERS: frozenset[Family] = frozenset({"integer", "decimal", "float"})
TIMES: frozenset[Family] = frozenset({"timestamp", "timestamptz", "date"})
UNLIMITED = 10**9

# Family and size: bits of a number, significant bits of a float; texts have theirs in brackets.
_PLAIN: dict[str, tuple[Family, int]] = {
    "boolean": ("boolean", 1),
    "bool": ("boolean", 1),
    "tinyint": ("integer", 8),
    "utinyint": ("integer", 9),
    "smallint": ("integer", 16),
    "int2": ("integer", 16),
    "usmallint": ("integer", 17),
    "integer": ("integer", 32),
    "int": ("integer", 32),
    "int4": ("integer", 32),
    "oid": ("integer", 33),
    "uinteger": ("integer", 33),
    "bigint": ("integer", 64),
    "int8": ("integer", 64),
    "ubigint": ("integer", 65),
    "hugeint": ("integer", 128),
    "uhugeint": ("integer", 129),
    "real": ("float", 24),
    "float4": ("float", 24),
    "float": ("float", 24),
    "double": ("float", 53),
    "double precision": ("float", 53),
    "float8": ("float", 53),
    "date": ("date", 0),
    "timestamp": ("timestamp", 0),
    "datetime": ("timestamp", 0),
    "timestamp without time zone": ("timestamp", 0),
    "timestamp_s": ("timestamp", 0),
    "timestamp_ms": ("timestamp", 0),
    "timestamp_ns": ("timestamp", 0),
    "timestamp with time zone": ("timestamptz", 0),
    "timestamptz": ("timestamptz", 0),
    "json": ("json", 0),
    "jsonb": ("json", 0),
    "super": ("json", 0),
    "variant": ("json", 0),
    "hstore": ("other", 0),
    "uuid": ("uuid", 0),
}
_TEXTS = {
    "text",
    "varchar",
    "character varying",
    "character",
    "char",
    "bpchar",
    "nvarchar",
    "nchar",
    "string",
    "name",
    "citext",
}
_DECIMALS = {"numeric", "decimal"}


@dataclass(frozen=True)
class ColumnType:
    """A type's family, its size (bits, digits or characters) and digits after the point."""

    family: Family
    size: int = 0
    scale: int = 0


@cache
def column_type(name: str) -> ColumnType:
    """What the type called `name` by PostgreSQL, DuckDB or Redshift means."""
    text = name.strip().lower()
    if text.endswith("]") or text.startswith(("struct(", "map(", "union(", "list(", "row(")):
        return ColumnType("nested")
    if text.startswith("enum("):
        return ColumnType("text", UNLIMITED)
    base = " ".join(re.sub(r"\([^)]*\)", " ", text).split())
    digits = [int(part) for part in re.findall(r"\d+", " ".join(re.findall(r"\(([^)]*)\)", text)))]
    if base in _TEXTS:
        return ColumnType("text", digits[0] if digits else UNLIMITED)
    if base in _DECIMALS:
        # Without brackets PostgreSQL keeps whatever digits a number has.
        size, scale = (*digits, 0)[:2] if digits else (UNLIMITED, UNLIMITED // 2)
        return ColumnType("decimal", size, scale)
    if base in _PLAIN:
        return ColumnType(*_PLAIN[base])
    return ColumnType("other")


def change_between(old: str, new: str) -> Change:
    """What became of a column whose type was `old` and is `new`.

    Widened: every value there could be still fits and means the same.
    """
    before, after = column_type(old), column_type(new)
    by_name = before.family in ("nested", "other")
    if before == after and (not by_name or old.lower() == new.lower()):
        return "same"
    if before.family == after.family:
        if by_name:
            return "retyped"
        fits = before.size <= after.size and before.scale <= after.scale
        fits = fits and before.size - before.scale <= after.size - after.scale
        return "widened" if fits else "narrowed"
    if before.family == "integer" and after.family == "decimal":
        return "widened" if after.size - after.scale >= _digits(before.size) else "narrowed"
    if before.family == "integer" and after.family == "float":
        return "widened" if after.size >= before.size else "narrowed"
    return "retyped"


def _digits(bits: int) -> int:
    return len(str(1 << (bits - 1)))
