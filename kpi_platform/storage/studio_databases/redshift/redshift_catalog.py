"""Redshift's catalog: tables, views, late-binding views and external tables, with their types.

Belongs here: the statements and joining their answers. Does not: running them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from kpi_platform.storage.studio_databases.interface import CATALOG, SchemaTraits

Ask = Callable[[str], Sequence[Sequence[Any]]]
SCHEMAS = (
    "SELECT schema_name FROM svv_all_schemas WHERE database_name = current_database() "
    "AND schema_name NOT IN ('information_schema', 'pg_catalog', 'pg_internal') "
    "AND schema_name NOT LIKE 'pg\\\\_%' ORDER BY 1"
)
_COLUMNS = """
SELECT table_name, column_name, ordinal_position, data_type, character_maximum_length,
       numeric_precision, numeric_scale, is_nullable
FROM svv_all_columns WHERE database_name = current_database() AND schema_name = {schema}
"""
_KINDS = """
SELECT table_name, table_type FROM svv_all_tables
WHERE database_name = current_database() AND schema_name = {schema}
"""
# A function of the leader node: it can be joined with nothing.
_LATE_BINDING = """
SELECT view_name, col_name, col_num, col_type
FROM pg_get_late_binding_view_cols()
  cols(view_schema name, view_name name, col_name name, col_type varchar, col_num int)
WHERE view_schema = {schema}
"""
# Keys are promises of the studio, which Redshift does not hold; `conkey` is read on the leader.
_KEYS = """
SELECT c.relname, a.attname FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
WHERE k.contype = 'p' AND n.nspname = {schema}
"""
_UNREADABLE = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = {schema} AND c.relkind IN ('r', 'v')
  AND NOT has_table_privilege(c.oid, 'SELECT')
"""
_WRITABLE = """
SELECT current_user, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = {schema} AND c.relkind = 'r' AND (has_table_privilege(c.oid, 'INSERT')
  OR has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE'))
"""
# Late-binding views depend on nothing that the catalog knows.
_PARENTS = """
SELECT DISTINCT v.relname, tn.nspname, t.relname FROM pg_rewrite r
JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace vn ON vn.oid = v.relnamespace
JOIN pg_depend d ON d.objid = r.oid JOIN pg_class t ON t.oid = d.refobjid
JOIN pg_namespace tn ON tn.oid = t.relnamespace
WHERE vn.nspname = {schema} AND t.oid <> v.oid AND t.relkind IN ('r', 'v')
"""
_KIND_NAMES = {"TABLE": "table", "VIEW": "view", "EXTERNAL TABLE": "external"}


def literal(text: str) -> str:
    """A text as Redshift's literal, in which a backslash escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def read_catalog(ask: Ask, schema: str) -> pl.DataFrame:
    """The catalog of a schema as `CATALOG`."""
    name = literal(schema)
    kinds = {str(t): _KIND_NAMES.get(str(k), "table") for t, k in ask(_KINDS.format(schema=name))}
    keys = {(str(t), str(c)) for t, c in ask(_KEYS.format(schema=name))}
    unreadable = {str(row[0]) for row in ask(_UNREADABLE.format(schema=name))}
    rows: dict[tuple[str, str], tuple[Any, ...]] = {}
    for table, column, place, kind, length, digits, scale, nullable in ask(
        _COLUMNS.format(schema=name)
    ):
        key = (str(table), str(column))
        type_name = _type_name(str(kind), length, digits, scale)
        may_be_null = str(nullable).upper() != "NO"
        rows[key] = (
            key[0],
            kinds.get(key[0], "table"),
            key[1],
            int(place),
            type_name,
            may_be_null,
            key in keys,
            key[0] not in unreadable,
        )
    for view, column, place, kind in ask(_LATE_BINDING.format(schema=name)):
        key = (str(view), str(column))
        is_readable = key[0] not in unreadable
        rows[key] = (
            *(key[0], "late_binding_view", key[1], int(place)),
            *(str(kind), True, False, is_readable),
        )
    return pl.DataFrame(list(rows.values()), schema=CATALOG, orient="row").sort("table", "position")


def read_traits(ask: Ask, schema: str) -> SchemaTraits:
    """Which tables our role may change, and what views show the rows of."""
    name = literal(schema)
    writable = ask(_WRITABLE.format(schema=name))
    parents: dict[str, set[tuple[str, str]]] = {}
    for view, its_schema, table in ask(_PARENTS.format(schema=name)):
        parents.setdefault(str(view), set()).add((str(its_schema), str(table)))
    return SchemaTraits(
        role=str(writable[0][0]) if writable else "",
        writable=tuple(sorted(str(row[1]) for row in writable)),
        parents={view: frozenset(found) for view, found in parents.items()},
    )


def _type_name(kind: str, length: object, digits: object, scale: object) -> str:
    text = kind.lower()
    if text.startswith(("character", "varchar", "char")) and "(" not in text and length:
        return f"{text}({length})"
    if text in ("numeric", "decimal") and digits:
        return f"{text}({digits},{scale or 0})"
    return text
