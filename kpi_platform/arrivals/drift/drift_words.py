"""Changes of schemas in plain words.

Belongs here: one sentence per change. Does not: finding changes.
"""

from kpi_platform.arrivals.drift.drift import Change

_STOPS = ". This studio's hours stop until it is put right."
_STOPS_SOURCES = ". The hours of the sources that read it stop until it is put right."
_USES = {
    "key": "the key",
    "watermark": "the watermark",
    "event_at": "the event's time",
    "player_id": "the player",
    "session_id": "the session",
    "transaction_id": "the transaction",
    "deleted": "the mark of deleted rows",
    "only": "the condition on rows",
    "json_columns": "JSON attributes",
    "event": "the event's name",
}


def sentence(change: Change) -> str:
    """The change in one sentence with what it is used for, what suffers, and what happens."""
    text = _what(change)
    if change.uses:
        text += f"; it is {', '.join(_USES.get(use, use) for use in change.uses)}"
    if change.reason and change.is_blocking and change.kind.startswith("column"):
        text += f" and {change.reason}"
    if change.kpis:
        text += f"; affects {', '.join(change.kpis)}"
    if change.is_blocking:
        return text + (_STOPS if change.stops_studio else _STOPS_SOURCES)
    return text + "."


def _what(change: Change) -> str:
    table, column = f"table {change.table}", f"column {change.column} of table {change.table}"
    return {
        "table added": f"{table} is new ({change.now}), not mapped yet",
        "table removed": f"{table} is gone",
        "table renamed": f"{table} is gone, probably renamed to {change.now}",
        "table unreadable": f"{column} may not be read: permission is missing",
        "table hides rows": f"{table} shows our role {change.now} of its rows: row-level security "
        + ("has no policy for it" if change.now == "none" else "has a policy"),
        "column added": f"{column} is new ({change.now}); kept as an attribute",
        "column removed": f"{column} is gone",
        "column renamed": f"{column} is gone, probably renamed to {change.now}",
        "column retyped": f"{column} was {change.was}, is {change.now}",
        "column widened": f"{column} was {change.was}, is now the wider {change.now}",
        "column narrowed": f"{column} was {change.was}, is now the narrower {change.now}",
        "column misfits": f"{column} is {change.now}",
    }[change.kind]
