"""What an incident says: its title, what of the figures it touches, and the command that mends it.

Belongs here: words made of an incident alone. Does not: how a service lays them out.

Names of sources come from whoever uploads files: in a command they are quoted for the shell.
"""

import shlex
from collections.abc import Mapping

from kpi_platform.alerts.incidents import Incident, Key
from kpi_platform.schemas.findings import KINDS
from kpi_platform.schemas.hours.hour_ranges import HOUR, named_range

_EVERY_KPI = "active players, sessions, playtime, revenue, retention and all that is made of events"
_AFFECTS = {
    "raw_console_feed": "installs, trophies and subscriptions of consoles",
    "raw_stream_feed": "viewers and hours watched of streams",
    "stream_stats": "viewers and hours watched of streams",
    "user_version_history": "version history and the twelve questions",
    "user_version_intervals": "version history and the twelve questions",
    "kpi_dashboard": "the dashboard",
    "daily_report": "the daily report",
    "kpi_restatements": "the figures named",
}
_OF_ALL_EVENTS = (
    *("raw_telemetry", "raw_studio_events", "cleaned_events", "hour_ledger", "sessions"),
    *("everything", "attributed_events", "quarantined_events"),
)
# Named, not imported: the checks that the daily listing makes, which the others' job does not.
_OF_LISTING = (
    *("every_file_is_under_a_valid_hour", "every_source_is_configured", "every_hour_is_read"),
    "every_file_of_feeds_is_read",
)
_NO_FIGURE = ("sensor_failed", "alerts_undelivered")
_UTC_KEY = "%Y-%m-%d-%H:%M"
# Ranges of which a command of its own is written; further ones are the same with other hours.
_MOST_COMMANDS = 5


def title(incident: Incident) -> str:
    """What happened, to what, in a line."""
    key = incident.key
    about = ", ".join(name for name in (key.source, key.asset, key.check) if name)
    return f"{KINDS[key.kind]}: {about}" if about else KINDS[key.kind]


def affects(key: Key) -> str:
    """The KPIs that it touches, in words."""
    if key.kind in _NO_FIGURE:
        return "no figure; what is wrong elsewhere may go unseen"
    if key.kind == "erasure_overdue":
        return "no figure; a player's data is still there"
    if key.asset in _OF_ALL_EVENTS or not key.asset:
        return _EVERY_KPI
    return _AFFECTS.get(key.asset, f"what is read from {key.asset}")


def studios_of(key: Key, studios: Mapping[str, str]) -> str:
    """The studio of its source; `all` if it is about no source, `unassigned` if nobody names it."""
    return studios.get(key.source, "unassigned") if key.source else "all"


def mend(incident: Incident) -> str:
    """The command that mends it; several are lines."""
    if incident.mend:
        return incident.mend
    kind, key = incident.key.kind, incident.key
    if kind in ("hour_failed", "run_failed", "check_failed") and incident.hours:
        return _run_again(incident)
    if kind == "files_held":
        return _accept(incident)
    return {
        "run_failed": _run_job(key.asset),
        "check_failed": _run_job("landing_listing" if key.check in _OF_LISTING else "freshness"),
        "data_not_fresh": "dagster-daemon run",
        "source_silent": _rows_of("hour_ledger", key.source),
        "attribute_silent": _rows_of("event_attributes", key.source),
        "schema_drifted": "kpi sources discover",
        "figure_restated": 'kpi query "select * from kpi_restatements order by restated_at desc"',
        "backfill_hangs": "dagster instance info",
        "sensor_failed": f"dagster sensor start {_word(key.asset)}",
        "erasure_overdue": "kpi --help",
        "alerts_undelivered": "kpi alerts test",
    }.get(kind, "kpi alerts list")


def _run_job(name: str) -> str:
    return f"dagster job execute -m kpi_platform.definitions -j {_word(name)}"


def _rows_of(table: str, source: str) -> str:
    sql = f"select * from {table} where source = {_sql(source)}"  # noqa: S608 (quoted, and typed)
    return f'kpi query "{sql} order by p_ingest_date_utc desc" --limit 24'


def _run_again(incident: Incident) -> str:
    spans = incident.open_hours or incident.hours
    select = "dagster asset materialize -m kpi_platform.definitions --select '*'"
    lines = []
    for first, end in spans[:_MOST_COMMANDS]:
        a, b = f"{first:{_UTC_KEY}}", f"{end - HOUR:{_UTC_KEY}}"
        option = "--partition" if a == b else "--partition-range"
        lines.append(f"{select} {option} {named_range(a, b)}")
    return "\n".join(lines)


def _accept(incident: Incident) -> str:
    spans = incident.open_hours or incident.hours
    if not spans:
        return "kpi removals list"
    of = f" --source {_word(incident.key.source)}" if incident.key.source else ""
    a, b = f"{spans[0][0]:{_UTC_KEY}}", f"{spans[-1][1] - HOUR:{_UTC_KEY}}"
    return f"kpi removals accept --from {a} --to {b}{of}"


def _word(text: str) -> str:
    return shlex.quote(text)


def _sql(text: str) -> str:
    """A text as a literal within a query that stands in double quotes of a shell."""
    literal = "'" + text.replace("'", "''") + "'"
    return "".join(f"\\{c}" if c in '\\"$`!' else c for c in literal)
