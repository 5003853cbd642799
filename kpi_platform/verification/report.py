"""What a verification found, as lines for people and as plain values for programs.

Belongs here: words. Does not: finding out.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from kpi_platform.settings import PARTITION_FORMAT
from kpi_platform.verification.compare import Difference, TableComparison
from kpi_platform.verification.verify import Verification

_WORDS = {
    "changed": "differs",
    "missing": "is missing from the lake",
    "unexpected": "should not be there",
}


def as_values(found: Verification) -> dict[str, Any]:
    """The whole verification as values that JSON can hold."""
    return {
        "equal": found.is_equal,
        "hours": found.hours,
        "stale": [
            {"hour": item.hour.strftime(PARTITION_FORMAT), "reason": item.reason}
            for item in found.stale
        ],
        "held": [
            {
                "hour": item.hour.strftime(PARTITION_FORMAT),
                "files": item.files,
                "lines": item.lines,
            }
            for item in found.held
        ],
        "tables": [_table_values(table) for table in found.tables],
        "players": found.players,
        "unreadable": [
            {
                "table": item.table,
                "file": item.file,
                "reason": item.reason,
                "first_hour": item.first and item.first.strftime(PARTITION_FORMAT),
                "last_hour": item.last and item.last.strftime(PARTITION_FORMAT),
                "command": item.command,
            }
            for item in found.unreadable
        ],
        "not_compared": found.not_compared,
        "hours_taken": found.taken,
        "hours_without_lines": len(found.dropped),
        "hours_closed": len(found.closed),
    }


def as_lines(found: Verification) -> Iterator[str]:
    """The verification as lines: stale hours, tables, rows that differ, and the verdict."""
    for item in found.stale:
        yield f"stale {item.hour.strftime(PARTITION_FORMAT)}: {item.reason}"
    for held in found.held:
        yield (
            f"held {held.hour.strftime(PARTITION_FORMAT)}: {held.files:,} files are gone,"
            f" their {held.lines:,} lines taken as stored"
        )
    for table in found.tables:
        state = "equal" if not table.differing else f"{table.differing:,} rows DIFFER"
        yield f"{table.table}: {table.rows:,} rows, {state}"
        for difference in table.differences:
            yield f"  {_line(difference)}"
        if more := table.differing - len(table.differences):
            yield f"  and {more:,} more"
    if found.players:
        yield f"players that differ: {', '.join(found.players)}"
    stale = f", {len(found.stale)} stale" if found.stale else ""
    for damage in found.unreadable:
        yield f"CANNOT BE READ: {damage.line}"
    verdict = "equal to a build from scratch" if found.is_equal else "NOT what the files say"
    left = f"; {len(found.unreadable):,} files CANNOT BE READ" if found.unreadable else ""
    left += "".join(f"; not compared: {reason}" for reason in found.not_compared)
    if found.taken:
        left += f"; the events of {found.taken:,} hours outside the window were taken as stored"
    if found.dropped:
        left += (
            f"; the lines of {len(found.dropped):,} hours, from"
            f" {found.dropped[0].strftime(PARTITION_FORMAT)} to"
            f" {found.dropped[-1].strftime(PARTITION_FORMAT)}, are gone: events taken as stored"
        )
    if found.closed:
        left += (
            f"; {len(found.closed):,} hours, from"
            f" {found.closed[0].strftime(PARTITION_FORMAT)} to"
            f" {found.closed[-1].strftime(PARTITION_FORMAT)}, are closed: their sessions and"
            " sightings taken as stored"
        )
    yield f"{found.hours:,} hours{stale}: {verdict}{left}"


def _table_values(table: TableComparison) -> dict[str, Any]:
    return {
        "table": table.table,
        "rows": table.rows,
        "differing": table.differing,
        "differences": [
            {
                "kind": item.kind,
                "key": {name: _plain(value) for name, value in item.key.items()},
                "columns": {
                    name: {"lake": _plain(lake), "rebuilt": _plain(rebuilt)}
                    for name, (lake, rebuilt) in item.columns.items()
                },
            }
            for item in table.differences
        ],
    }


def _line(difference: Difference) -> str:
    key = ", ".join(f"{name} {_plain(value)}" for name, value in difference.key.items())
    columns = "; ".join(
        f"{name} is {_plain(lake)}, should be {_plain(rebuilt)}"
        for name, (lake, rebuilt) in difference.columns.items()
    )
    return f"{key} {_WORDS[difference.kind]}" + (f": {columns}" if columns else "")


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
