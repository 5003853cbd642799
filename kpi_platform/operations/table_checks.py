"""Whether the tables are those of this release, and can be read by those who are to read them.

Belongs here: columns beside contracts, a read really made, what waits in the books. Does not: what
the rows are, which `kpi verify` looks at.
"""

from contextlib import closing

from kpi_platform.delivery.outbox import read_waiting
from kpi_platform.engine.layout import is_half_upgraded
from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.dbt.projects import definitions_waiting
from kpi_platform.operations.findings import Finding
from kpi_platform.operations.status import open_incidents
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, LakeError

BUILD_MARTS = "dagster job execute -m kpi_platform.definitions -j definitions_rebuild"
_READ_FIRST = "kpi_daily"
# dbt's variable `reader_role`.
_READERS = "kpi_readers"
_UNDELIVERED = "alerts_undelivered"


def check_tables(lake: Lake) -> list[Finding]:
    """Each table of the lake: its log, and its columns beside the contract of this release."""
    if is_half_upgraded(lake):
        return [Finding("tables", "wrong", "an upgrade began and did not end", "kpi upgrade")]
    names = [name for name in lake.tables() if not name.startswith("published/")]
    findings = [finding for name in names for finding in _table(lake, name)]
    if findings:
        return findings
    return [Finding("tables", "well", f"{len(names)} tables are as this release has them")]


def _table(lake: Lake, name: str) -> list[Finding]:
    try:
        snapshot = lake.open(name)
    except LakeError as error:
        return [Finding("tables", "wrong", str(error), "kpi verify names what is damaged, and how")]
    if snapshot is None or name not in TABLES:
        said = f"{name} is no table of this release: a newer one wrote it, or it is not ours"
        return [Finding("tables", "note", said)]
    columns = {field.name for field in snapshot.schema().fields}
    wanted = set(TABLES[name].polars_schema.names())
    if missing := sorted(wanted - columns):
        said = f"{name} is of an older release: it lacks {', '.join(missing)}"
        return [Finding("tables", "wrong", said, "kpi upgrade")]
    if unknown := sorted(columns - wanted):
        said = f"{name} is of a newer release: this one does not know {', '.join(unknown)}"
        return [Finding("tables", "wrong", said, "install the release that wrote it")]
    return []


def check_readers(platform: Platform) -> list[Finding]:
    """Whether what consumers read can be read: the published table, and in PostgreSQL the mart by
    the role of the readers."""
    table = platform.lake.published(_READ_FIRST)
    if table is None:
        return [Finding("readers", "note", "nothing is published yet")]
    # A count would be answered by the log alone.
    rows = table.collect().height
    findings = [Finding("readers", "well", f"published/{_READ_FIRST} is read: {rows:,} rows")]
    if platform.settings.warehouse == "postgres":
        findings.append(_role(platform))
    return findings


def _role(platform: Platform) -> Finding:
    copy = platform.warehouse_copy
    assert copy is not None  # noqa: S101 - the warehouse is PostgreSQL
    question = (
        "select has_schema_privilege(r.rolname, n.oid, 'USAGE')"
        " and has_table_privilege(r.rolname, c.oid, 'SELECT')"
        " from pg_roles r, pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where r.rolname = %s and c.relname = %s and n.nspname = 'marts'"
    )
    with closing(copy.connect()) as open_, open_.cursor() as to:
        to.execute(question, (_READERS, _READ_FIRST))
        answer = to.fetchone()
    if answer is None:
        said = f"there is no role {_READERS}, or no marts.{_READ_FIRST}"
        return Finding("readers", "wrong", said, f"create role {_READERS}, then run any hour")
    if not answer[0]:
        said = f"{_READERS} may not read marts.{_READ_FIRST}"
        return Finding("readers", "wrong", said, "run any hour: each build grants it")
    return Finding("readers", "well", f"{_READERS} may read marts.{_READ_FIRST}")


def check_definitions() -> list[Finding]:
    """Whether a changed definition waits to be built; hours go on by the one before meanwhile."""
    waiting = definitions_waiting()
    if not waiting:
        return [
            Finding(
                "definitions",
                "well",
                "the marts are built by those that are installed, or the next run builds them",
            )
        ]
    said = f"changed and not built: {waiting}; hours go on by those before"
    return [Finding("definitions", "wrong", said, BUILD_MARTS)]


def check_alerts(lake: Lake) -> list[Finding]:
    """Whether anything that was to be told could not be delivered."""
    failed = [row for row in open_incidents(lake) if row.get("kind") == _UNDELIVERED]
    if not failed:
        # Known at once; an hour later it is an incident.
        refused = [entry for entry in read_waiting(lake) if entry.attempts]
        if refused:
            one = "1 message was not taken and waits"
            wait = one if len(refused) == 1 else f"{len(refused)} messages were not taken and wait"
            said = f"{wait}: {refused[-1].error}"
            return [Finding("alerts", "note", said, "kpi alerts test")]
        return [Finding("alerts", "well", "nothing waits that could not be delivered")]
    return [
        Finding("alerts", "wrong", str(row.get("cause")), str(row.get("mend") or "kpi alerts test"))
        for row in failed
    ]
