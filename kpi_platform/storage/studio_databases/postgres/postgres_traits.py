"""What PostgreSQL's catalog tells of a schema's tables: who may write, what hides, what derives.

Belongs here: the statements and their answers as `SchemaTraits`. Does not: running them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kpi_platform.storage.studio_databases import sql
from kpi_platform.storage.studio_databases.interface import SchemaTraits

Ask = Callable[[str], Sequence[Mapping[str, Any]]]
# A permissive policy that is anybody's (role 0) or a role's that we are shows some rows; without
# one, none is shown.
_TABLES = """
SELECT current_user::text AS role, c.relname::text AS "table",
       has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') AS may_write,
       CASE WHEN c.relkind NOT IN ('r', 'p') THEN 'all'
            WHEN NOT row_security_active(c.oid) THEN 'all'
            WHEN EXISTS (
              SELECT 1 FROM pg_policy p, unnest(p.polroles) AS r (role)
              WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
                AND CASE WHEN r.role = 0 THEN true ELSE pg_has_role(r.role, 'MEMBER') END
            ) THEN 'some' ELSE 'none' END AS shown
FROM pg_class c
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema})
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
"""
_PARENTS = """
SELECT c.relname::text AS "table", n.nspname::text AS parent_schema, p.relname::text AS parent
FROM (
  SELECT r.ev_class AS child, d.refobjid AS parent
  FROM pg_rewrite r JOIN pg_depend d
    ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
   AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
  UNION
  SELECT inhrelid, inhparent FROM pg_inherits
) of_each
JOIN pg_class c ON c.oid = of_each.child
JOIN pg_class p ON p.oid = of_each.parent AND p.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_namespace n ON n.oid = p.relnamespace
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema})
"""


def read_traits(ask: Ask, schema: str) -> SchemaTraits:
    """The traits of a schema; `ask` runs a statement and returns its rows by column."""
    tables = ask(_TABLES.format(schema=sql.literal(schema)))
    parents: dict[str, set[tuple[str, str]]] = {}
    for row in ask(_PARENTS.format(schema=sql.literal(schema))):
        parents.setdefault(row["table"], set()).add((row["parent_schema"], row["parent"]))
    return SchemaTraits(
        role=str(tables[0]["role"]) if tables else "",
        writable=tuple(sorted(row["table"] for row in tables if row["may_write"])),
        hidden={row["table"]: row["shown"] for row in tables if row["shown"] != "all"},
        parents={table: frozenset(found) for table, found in parents.items()},
    )
