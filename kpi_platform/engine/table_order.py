"""The order of the hourly tables: what each is made of. Told here, and nowhere else.

Belongs here: which table reads which. Does not: how hours wait for a table (`hour_queue`), and
what Dagster makes of the order (`orchestration/asset_specs`).
"""

from collections.abc import Mapping

_HISTORY = ("sessions", "cleaned_events")
_EVENTS = ("raw_telemetry", "raw_console_feed", "raw_studio_events", "raw_stream_feed")
MADE_OF: Mapping[str, tuple[str, ...]] = {
    "raw_telemetry": (),
    "raw_console_feed": (),
    "raw_studio_events": (),
    # Streams that are tables of a studio's warehouse are captured with its other tables.
    "raw_stream_feed": ("raw_studio_events",),
    "stream_stats": ("raw_studio_events",),
    "cleaned_events": _EVENTS,
    "quarantined_events": _EVENTS,
    "hour_ledger": _EVENTS,
    "table_ledger": _EVENTS,
    "sessions": ("cleaned_events",),
    "user_version_history": _HISTORY,
    "user_version_intervals": _HISTORY,
}
# Written by the step of another table, in whose queue their hours wait.
_WRITTEN_WITH = {
    "stream_stats": "raw_stream_feed",
    "quarantined_events": "cleaned_events",
    "hour_ledger": "cleaned_events",
    "table_ledger": "cleaned_events",
    "user_version_intervals": "user_version_history",
}
# The tables that have a step of their own, each after those it reads.
STEPS = tuple(name for name in MADE_OF if name not in _WRITTEN_WITH)


def next_tables(table: str) -> list[str]:
    """The tables whose steps read `table`: where an hour of it that changed has to follow."""
    readers = (_WRITTEN_WITH.get(name, name) for name, read in MADE_OF.items() if table in read)
    return list(dict.fromkeys(readers))
