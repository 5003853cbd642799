"""How the platform stands, as one screen for people and as plain values for programs.

Belongs here: words. Does not: finding out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from kpi_platform.operations.dagster_facts import RunState, RunStates
from kpi_platform.operations.hour_states import FailedHours, SourceState
from kpi_platform.operations.status import Status, TableSize
from kpi_platform.operations.table_checks import BUILD_MARTS
from kpi_platform.schemas.hours.hour_ranges import named_range
from kpi_platform.settings import PARTITION_FORMAT

_SOURCES_SHOWN, _INCIDENTS_SHOWN, _TABLES_SHOWN = 12, 5, 6


def as_values(found: Status) -> dict[str, Any]:
    """The whole status as values that JSON can hold; hours are partition keys."""
    return {
        "at": found.at.isoformat(),
        "needs_somebody": found.needs_somebody,
        "newest_complete_hour": _key(found.fresh.complete),
        "newest_processed_hour": _key(found.fresh.processed),
        "sources": [
            {
                "source": each.source,
                "newest_hour": _key(each.newest_hour),
                "complete_through": _key(each.complete_through),
                "is_late": each.is_late,
            }
            for each in found.sources
        ],
        "failed": {
            "hours": found.failed.hours,
            "ranges": [[_key(first), _key(last)] for first, last in found.failed.ranges],
            "reason": found.failed.reason,
        },
        "held": {"files": found.held_files, "hours": found.held_hours},
        "waiting": found.waiting,
        "incidents": [
            {name: _plain(value) for name, value in row.items()} for row in found.incidents
        ],
        "runs": None if found.runs is None else _run_values(found.runs),
        "no_runs": found.no_runs,
        "tables": [asdict(each) for each in found.sizes],
        "bytes": sum(each.bytes for each in found.sizes),
        "verified": found.verified,
        "changed_definitions": found.changed_definitions,
    }


def as_lines(found: Status) -> Iterator[str]:
    """The status as lines: hours, sources, what waits, incidents, runs, sizes, the last verify."""
    fresh = found.fresh
    age = "" if fresh.age is None else f", {_span(fresh.age)} old"
    yield f"newest complete hour  {_key(fresh.complete) or 'none yet'}{age}"
    yield f"newest hour run       {_key(fresh.processed) or 'none yet'}"
    # Those that are late first: they are what somebody looks for.
    sources = sorted(found.sources, key=lambda each: (not each.is_late, each.source))
    yield from _source_lines(sources[:_SOURCES_SHOWN])
    yield from _more(len(sources) - _SOURCES_SHOWN, "sources")
    yield f"failed hours          {_failed(found.failed)}"
    yield f"held files            {_held(found)}"
    waiting = ", ".join(f"{count:,} of {table}" for table, count in found.waiting.items())
    yield f"waiting hours         {waiting or 'none'}"
    if found.changed_definitions:
        yield f"changed definitions   {found.changed_definitions}: {BUILD_MARTS}"
    yield f"open incidents        {len(found.incidents) or 'none'}"
    for row in found.incidents[:_INCIDENTS_SHOWN]:
        yield f"  {row.get('incident_id')} {row.get('kind')}: {row.get('cause')}"
        yield from (f"    -> {command}" for command in str(row.get("mend") or "").splitlines())
    yield from _more(len(found.incidents) - _INCIDENTS_SHOWN, "incidents")
    yield from _run_lines(found)
    yield f"size of the lake      {_megabytes(sum(each.bytes for each in found.sizes))}"
    largest = sorted(found.sizes, key=lambda each: (not each.error, -each.bytes))
    yield from (f"  {_size(each)}" for each in largest[:_TABLES_SHOWN])
    yield f"last verify           {_verified(found)}"


def _source_lines(sources: Sequence[SourceState]) -> Iterator[str]:
    width = max((len(each.source) for each in sources), default=0)
    for each in sources:
        newest = _key(each.newest_hour) or "nothing yet"
        late = "  LATE" if each.is_late else ""
        through = _key(each.complete_through) or "never"
        yield f"  {each.source:<{width}}  newest {newest:<16}  complete through {through}{late}"


def _failed(failed: FailedHours) -> str:
    if not failed.hours:
        return "none"
    named = ", ".join(_range(first, last) for first, last in failed.ranges[:3])
    rest = ", ..." if len(failed.ranges) > 3 else ""
    return f"{failed.hours:,}: {named}{rest}; the newest: {failed.reason}"


def _held(found: Status) -> str:
    if not found.held_files:
        return "none"
    hours = "1 hour" if found.held_hours == 1 else f"{found.held_hours:,} hours"
    return f"{found.held_files:,} in {hours}; kpi removals list"


def _run_lines(found: Status) -> Iterator[str]:
    if found.runs is None:
        yield f"runs                  not shown: {found.no_runs}"
        return
    runs = found.runs
    yield (
        f"runs                  {runs.at_work} at work, {runs.queued} queued,"
        f" {runs.backfills} {'backfill' if runs.backfills == 1 else 'backfills'} under way"
    )
    yield from (f"  {_run(run)}" for run in runs.newest)


def _run(run: RunState) -> str:
    began = "" if run.started_at is None else f" {run.started_at:%Y-%m-%d %H:%M}"
    took = "" if run.seconds is None else f", {run.seconds:,.0f} s"
    failed = run.failed_hours if run.failed_hours not in ("", "none") else ""
    return (
        f"{run.run_id[:8]}{began} {run.job} {run.hours}".rstrip()
        + f": {run.status.lower()}{took}"
        + (f", failed hours {failed}" if failed else "")
    )


def _size(size: TableSize) -> str:
    if size.error:
        return f"{size.table}: {size.error}"
    return f"{size.table}: {_megabytes(size.bytes)}, {size.files:,} files, {size.rows:,} rows"


def _verified(found: Status) -> str:
    if found.verified is None:
        return "never; kpi verify"
    said = "equal" if found.verified.get("equal") else "DIFFERENT; kpi verify"
    count = found.verified.get("hours")
    return f"{found.verified.get('at')}, {count} hour{'' if count == 1 else 's'}: {said}"


def _run_values(runs: RunStates) -> dict[str, Any]:
    return {
        "queued": runs.queued,
        "at_work": runs.at_work,
        "backfills": runs.backfills,
        "newest": [
            {name: _plain(value) for name, value in asdict(run).items()} for run in runs.newest
        ],
    }


def _more(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"  and {count:,} more {what}: --json"


def _key(hour: datetime | None) -> str | None:
    return None if hour is None else hour.strftime(PARTITION_FORMAT)


def _range(first: datetime, last: datetime) -> str:
    return named_range(str(_key(first)), str(_key(last)))


def _span(age: timedelta) -> str:
    hours = age / timedelta(hours=1)
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
