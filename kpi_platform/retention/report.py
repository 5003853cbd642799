"""What a run of retention does or did, as lines for people and as plain values for programs.

Belongs here: words. Does not: finding out.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from kpi_platform.engine.books.kept_days import Closed
from kpi_platform.retention.events import Events
from kpi_platform.retention.run import Retention
from kpi_platform.settings import PARTITION_FORMAT

_MOST_HOURS = 20
_MENDS = {
    "never run": "run them: dagster asset materialize --select '*' --partition-range",
    "failed": "run them again",
    "not finished": "run them again",
    "files changed": "run them again",
    "a run is working on it": "they go with the next run of retention",
}


def as_values(found: Retention, *, is_dry: bool) -> dict[str, Any]:
    """The whole run as values that JSON can hold."""
    sealing, lines, events = found.sealing, found.lines, found.events
    return {
        "dry_run": is_dry,
        "keep_lines_days": found.keep_days,
        "now": sealing.now and sealing.now.isoformat(),
        "sealed_days": [day.isoformat() for day in sealing.days],
        "sealed_before": len(sealing.sealed),
        "hours": [hour.strftime(PARTITION_FORMAT) for hour in lines.hours],
        "rows": lines.rows,
        "bytes": lines.bytes,
        "hours_held_back": found.held_back,
        "keep_events_days": events and events.keep_days,
        "kept_through": _iso((events.next or events.kept) if events else None),
        "kept_before": _iso(events.kept if events else None),
        "event_hours": [hour.strftime(PARTITION_FORMAT) for hour in events.hours] if events else [],
        "event_rows": events.rows if events else 0,
        "event_bytes": events.bytes if events else 0,
        "events_wait_for": events.reason if events else "",
        "waiting_days": sealing.waiting_days,
        "waiting": [
            {"hour": item.hour.strftime(PARTITION_FORMAT), "reason": item.reason}
            for item in found.waiting
        ],
    }


def as_lines(found: Retention, *, is_dry: bool = False) -> Iterator[str]:
    """The run as lines: what is sealed, what goes, what is waited for."""
    sealing, lines = found.sealing, found.lines
    if sealing.now is None:
        yield "no hour was processed yet: nothing is old enough"
        return
    yield (
        f"now is {sealing.now:%Y-%m-%d %H:%M} UTC: days up to {sealing.last} are over for"
        f" {found.keep_days} days"
    )
    seals, went = ("would be sealed", "would go") if is_dry else ("sealed", "gone")
    yield f"{len(sealing.days):,} days {seals}{_span(sealing.days)}; {len(sealing.sealed):,} were"
    parts = [
        f"{rows:,} rows of {table} ({lines.bytes[table]:,} bytes)"
        for table, rows in lines.rows.items()
    ]
    yield f"{len(lines.hours):,} hours' lines {went}: {', '.join(parts) or 'no rows'}"
    if found.held_back:
        yield f"{found.held_back:,} hours keep their lines: they hold events of days not sealed"
    if found.events is not None:
        yield from _of_events(found.events, is_dry=is_dry)
    if sealing.waiting_days:
        yield f"{sealing.waiting_days:,} days are old enough and wait for hours:"
    for reason, mend in _MENDS.items():
        hours = [item.hour for item in found.waiting if item.reason == reason]
        if hours:
            named = ", ".join(hour.strftime(PARTITION_FORMAT) for hour in hours[:_MOST_HOURS])
            more = f" and {len(hours) - _MOST_HOURS:,} more" if len(hours) > _MOST_HOURS else ""
            yield f"  {reason}: {named}{more}; {mend}"


def _of_events(events: Events, *, is_dry: bool) -> Iterator[str]:
    seals, went = ("would be kept", "would go") if is_dry else ("are kept", "gone")
    kept = events.next or events.kept
    if kept is not None:
        yield f"figures of days up to {kept.through} {seals if events.next else 'are kept'}"
    yield (
        f"{len(events.hours):,} hours' events {went}: {events.rows:,} rows of cleaned_events"
        f" ({events.bytes:,} bytes)"
    )
    if events.reason:
        yield f"days up to {events.last} are old enough for events to go, and wait: {events.reason}"


def _iso(kept: Closed | None) -> str | None:
    return kept.through.isoformat() if kept else None


def _span(days: list[date]) -> str:
    return f" ({min(days)} to {max(days)})" if days else ""
